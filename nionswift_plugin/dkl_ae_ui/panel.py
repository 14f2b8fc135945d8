"""The panel "Automated Experiment": settings, Start, Pause, Stop, and how the run is doing."""

from __future__ import annotations

import functools
import json
import typing
from collections.abc import Callable, Mapping, Sequence

from nion.swift import DocumentController, Panel, Workspace
from nion.swift.model import Notification
from nion.ui import Declarative
from nion.utils import Model, Registry

from dkl_ae.acquisition import ACQUISITIONS
from dkl_ae.instrument import InstrumentError
from dkl_ae.runner import (
    Dose,
    Event,
    Outcome,
    PointMeasured,
    ReferenceFound,
    RunEnded,
    RunPaused,
    StepCompleted,
    SurveyAcquired,
)
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.survey import Survey
from nionswift_plugin.dkl_ae_ui import microscope
from nionswift_plugin.dkl_ae_ui.run_control import RunControl
from nionswift_plugin.dkl_ae_ui.settings import (
    DEVICE_LABELS,
    NUMBER_FIELDS,
    SURVEY_SOURCES,
    NumberField,
    Settings,
    default_parameter,
    remembered_texts,
)

PANEL_ID = "dkl-ae-panel"
PANEL_TITLE = "Automated Experiment"
_STORAGE_KEY = "dkl-ae/settings"

_LABEL_WIDTH = 142
_CHOICE_WIDTH = 176
_NUMBER_WIDTH = 72
_STATE_LABEL_WIDTH = 96
_LINE_HEIGHT = 16


class Choice:
    """A combo box over keys of the settings; the user sees a label for each."""

    def __init__(self, options: Mapping[str, str], key: str) -> None:
        self.keys = list(options)
        self.labels = Model.PropertyModel[list[str]](list(options.values()))
        self.index = Model.PropertyModel[int](0)
        self.key = key

    @property
    def key(self) -> str:
        index = self.index.value or 0
        return self.keys[index] if 0 <= index < len(self.keys) else ""

    @key.setter
    def key(self, key: str) -> None:
        self.index.value = self.keys.index(key) if key in self.keys else 0

    def offer(self, options: Mapping[str, str]) -> None:
        """Offer other options, keeping what is chosen where it is still offered."""
        if list(options) == self.keys:
            return
        key = self.key
        self.keys = list(options)
        self.labels.value = list(options.values())
        self.key = key


class Handler(Declarative.Handler):
    """The panel's state. Runs on the window's thread throughout."""

    def __init__(self, window: DocumentController.DocumentController) -> None:
        super().__init__()
        self._window = window
        self._run: RunControl | None = None
        self._survey: Survey | None = None
        self._points = 0
        self._watchers: list[Callable[[Event], None]] = []
        stored = window.ui.get_persistent_string(_STORAGE_KEY, "")
        texts = remembered_texts(stored)
        self._choices = {
            "instrument_id": Choice({}, ""),
            "camera_id": Choice({}, ""),
            "channel": Choice({}, ""),
            "survey_source": Choice(SURVEY_SOURCES, texts["survey_source"]),
            "scalarizer": Choice({s.name: f"{s.label} ({s.unit})" for s in SCALARIZERS.values()}, texts["scalarizer"]),
            "acquisition": Choice({a.name: a.label for a in ACQUISITIONS.values()}, texts["acquisition"]),
            "device": Choice(DEVICE_LABELS, texts["device"]),
        }
        self._numbers = {field.name: Model.PropertyModel[str](texts[field.name]) for field in NUMBER_FIELDS}
        # What stands in each line edit. Writing it back to the edit at each key would select what was typed.
        self._typed = {field.name: texts[field.name] for field in NUMBER_FIELDS}
        # Declarative widgets find what they bind to by attribute name.
        for name, choice in self._choices.items():
            setattr(self, f"{name}_labels", choice.labels)
            setattr(self, f"{name}_index", choice.index)
            setattr(self, f"{name}_changed", functools.partial(self._choice_changed, name))
        for name, model in self._numbers.items():
            setattr(self, f"{name}_text", model)
            setattr(self, f"{name}_edited", functools.partial(self._number_edited, name))
        self.acquisition_tip = Model.PropertyModel[str]("")
        self.can_start = Model.PropertyModel[bool](False)
        self.idle = Model.PropertyModel[bool](True)
        self.running = Model.PropertyModel[bool](False)
        self.pause_label = Model.PropertyModel[str]("Pause")
        self.progress = Model.PropertyModel[int](0)
        self.message = Model.PropertyModel[str]("")
        self.step_text = Model.PropertyModel[str]("")
        self.time_text = Model.PropertyModel[str]("")
        self.dose_text = Model.PropertyModel[str]("")
        self.best_text = Model.PropertyModel[str]("")
        self._offer_microscopes(texts)
        self._listeners = [
            Registry.listen_component_registered_event(self._components_changed),
            Registry.listen_component_unregistered_event(self._components_changed),
        ]
        self._explain_acquisition()
        self._check()
        self.ui_view = self._build_view()

    def close(self) -> None:
        # Dropping a listener ends it; one that is closed but kept still hears, and complains.
        self._listeners.clear()
        if self._run is not None:
            self._run.close()
            self._run = None
        super().close()

    def set_text(self, name: str, text: str) -> None:
        """Set one setting, by its name in Settings or Plan, as if the user had."""
        if name in self._choices:
            self._choices[name].key = text
            self._follow_choice(name)
        else:
            self._set_number(name, text)
        self._check()

    def watch(self, watcher: Callable[[Event], None]) -> None:
        """Tell someone else of every event of the runs to come, on the window's thread."""
        self._watchers.append(watcher)

    # What the user does.

    def start_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        try:
            settings = Settings.from_texts(self._texts())
            self._run = RunControl(self._window, settings, self._on_event, self._tell)
        except (ValueError, InstrumentError) as error:
            self._tell(str(error))
            return
        self._remember()
        self._points = settings.plan.points
        self.progress.value = 0
        for text in (self.step_text, self.time_text, self.dose_text, self.best_text):
            text.value = ""
        self._tell(self._run.notice or "Acquiring the survey...")
        self._set_running(True)

    def pause_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        if self._run is None:
            return
        if self.pause_label.value == "Pause":
            self._run.pause()
            self.pause_label.value = "Resume"
            self._tell("Pausing after this step...")
        else:
            self._run.resume()
            self.pause_label.value = "Pause"
            self._tell("Running.")

    def stop_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        if self._run is not None:
            self._tell("Stopping...")
            self._run.stop()

    def _choice_changed(self, name: str, widget: Declarative.UIWidget, current_index: int) -> None:
        self._choices[name].index.value = current_index
        self._follow_choice(name)
        self._check()

    def _follow_choice(self, name: str) -> None:
        """Bring along what depends on a choice."""
        if name == "instrument_id":
            self._offer_devices({})
        if name == "acquisition":
            usual = default_parameter(self._choices["acquisition"].key)
            self._set_number("acquisition_parameter", usual)
            self._explain_acquisition()

    def _number_edited(self, name: str, widget: Declarative.UIWidget, text: str) -> None:
        self._typed[name] = text
        self._check()

    def _set_number(self, name: str, text: str) -> None:
        self._typed[name] = text
        self._numbers[name].value = text

    # What the run reports.

    def _on_event(self, event: Event) -> None:
        match event:
            case SurveyAcquired(survey=survey, dose=dose):
                self._survey = survey
                height, width = survey.shape
                nm = survey.pixel_size_nm
                self._tell(
                    f"Survey: {width} x {height} px, {width * nm:.3g} x {height * nm:.3g} nm. "
                    "Measuring the reference..."
                )
                self._show_dose(dose)
            case ReferenceFound(reference=reference, dose=dose):
                self._tell(f"Running; the bright-field disc is {reference.radius_mrad:.1f} mrad.")
                self._show_dose(dose)
            case PointMeasured(step=step):
                self.progress.value = round(100 * step / self._points)
            case StepCompleted():
                self._show_step(event)
            case RunPaused(paused=paused):
                self._tell("Paused, the beam is blanked." if paused else "Running.")
            case RunEnded():
                self._end(event)
        for watcher in self._watchers:
            watcher(event)

    def _show_step(self, event: StepCompleted) -> None:
        self.step_text.value = f"Step {event.step} of {self._points}"
        times = event.times
        self.time_text.value = (
            f"{(times.camera + times.scalarizer) * 1000:.0f} ms measuring, {times.model * 1000:.0f} ms model"
        )
        self._show_dose(event.dose)
        if event.best is not None and self._run is not None and self._survey is not None:
            scalarizer = SCALARIZERS[self._choices["scalarizer"].key]
            reading = event.best.readings[scalarizer.name]
            y, x = (
                (fraction - 0.5) * side * self._survey.pixel_size_nm
                for fraction, side in zip(
                    (event.best.position_asked.y, event.best.position_asked.x),
                    self._survey.shape,
                    strict=True,
                )
            )
            self.best_text.value = (
                f"{reading.value:.4g} ± {reading.sigma:.2g} {reading.unit}\nat x {x:.3f}, y {y:.3f} nm"
            )
        for notice in event.notices:
            self._tell(notice)

    def _show_dose(self, dose: Dose) -> None:
        beam = f"{dose.exposure_s:.2f} s of beam"
        self.dose_text.value = beam if dose.electrons is None else f"{dose.electrons:.3g} electrons, {beam}"

    def _end(self, event: RunEnded) -> None:
        self._run = None
        self._set_running(False)
        self._check()
        self._tell(event.message)
        if event.outcome is Outcome.FAILED:
            Notification.notify(
                Notification.Notification("dkl-ae.failed", "\N{WARNING SIGN}", PANEL_TITLE, event.message)
            )

    def _tell(self, sentence: str) -> None:
        self.message.value = sentence

    def _set_running(self, running: bool) -> None:
        self.running.value = running
        self.idle.value = not running
        self.can_start.value = not running
        self.pause_label.value = "Pause"

    # What the settings are.

    def _texts(self) -> dict[str, str]:
        texts = {name: choice.key for name, choice in self._choices.items()}
        texts["channel"] = texts["channel"] or "0"
        return texts | self._typed

    def _check(self) -> None:
        """Say at once what cannot work; Start waits until it is mended."""
        try:
            Settings.from_texts(self._texts())
        except ValueError as error:
            self.can_start.value = False
            self._tell(str(error))
        else:
            self.can_start.value = bool(self.idle.value)
            if self.idle.value:
                self._tell("Ready.")
                self._remember()

    def _remember(self) -> None:
        self._window.ui.set_persistent_string(_STORAGE_KEY, json.dumps(self._texts()))

    def _explain_acquisition(self) -> None:
        self.acquisition_tip.value = ACQUISITIONS[self._choices["acquisition"].key].tool_tip

    def _components_changed(self, component: typing.Any, types: set[str]) -> None:
        if types & {"stem_controller", "camera_module", "scan_hardware_source"}:
            self._offer_microscopes(self._texts())

    def _offer_microscopes(self, texts: Mapping[str, str]) -> None:
        stems = microscope.instruments()
        choice = self._choices["instrument_id"]
        choice.offer({microscope.identifier(stem): microscope.identifier(stem) for stem in stems})
        if not choice.key or texts.get("instrument_id"):
            choice.key = texts.get("instrument_id", "")
        self._offer_devices(texts)

    def _offer_devices(self, texts: Mapping[str, str]) -> None:
        key = self._choices["instrument_id"].key
        stem = next((s for s in microscope.instruments() if microscope.identifier(s) == key), None)
        cameras = microscope.cameras_of(stem) if stem else []
        scan = microscope.scan_of(stem) if stem else None
        channels = range(scan.channel_count) if scan else range(0)
        offers: dict[str, dict[str, str]] = {
            "camera_id": {c.hardware_source_id: c.display_name for c in cameras},
            "channel": {str(i): scan.get_channel_state(i).name or str(i) for i in channels if scan},
        }
        for name, options in offers.items():
            self._choices[name].offer(options)
            if texts.get(name):
                self._choices[name].key = texts[name]

    # What it looks like.

    def _build_view(self) -> Declarative.UIDescriptionResult:
        u = Declarative.DeclarativeUI()
        exposure, patch_size, seed_points, steps, parameter, random_seed = (
            self._number_row(u, field) for field in NUMBER_FIELDS
        )
        what = u.create_column(
            self._choice_row(u, "instrument_id", "Microscope", "The instrument that is driven."),
            self._choice_row(
                u,
                "survey_source",
                "Survey",
                "Acquire a new frame with the scan's current settings, or use the selected data item when it is "
                "a frame of the scan as it is set now.",
            ),
            self._choice_row(u, "channel", "Scan channel", "The detector of the survey."),
            self._choice_row(u, "camera_id", "Camera", "The camera of the diffraction patterns."),
            exposure,
            spacing=2,
            margin=2,
        )
        how = u.create_column(
            self._choice_row(
                u,
                "scalarizer",
                "Scalarizer",
                "\n".join(f"{s.label}: {s.description}" for s in SCALARIZERS.values()),
            ),
            patch_size,
            seed_points,
            steps,
            self._choice_row(u, "acquisition", "Acquisition", "@binding(acquisition_tip.value)"),
            parameter,
            random_seed,
            self._choice_row(
                u,
                "device",
                "Computes on",
                "Where the model is trained; Automatic takes the GPU when there is one.",
            ),
            spacing=2,
            margin=2,
        )
        buttons = u.create_row(
            u.create_push_button(
                name="start_button",
                text="Start",
                on_clicked="start_clicked",
                enabled="@binding(can_start.value)",
                tool_tip="Acquire the survey and begin to measure.",
            ),
            u.create_push_button(
                name="pause_button",
                text="@binding(pause_label.value)",
                on_clicked="pause_clicked",
                enabled="@binding(running.value)",
                tool_tip="Hold after the step under way with the beam blanked, or go on.",
            ),
            u.create_push_button(
                name="stop_button",
                text="Stop",
                on_clicked="stop_clicked",
                enabled="@binding(running.value)",
                tool_tip="End the run at once, even during an exposure; all that was measured is kept.",
            ),
            u.create_stretch(),
            spacing=8,
        )
        state = u.create_column(
            u.create_progress_bar(
                value="@binding(progress.value)", name="progress_bar", width=_LABEL_WIDTH + _CHOICE_WIDTH
            ),
            self._state_row(u, "Progress", "step", "Points measured so far, seeds included."),
            self._state_row(
                u,
                "Time per step",
                "time",
                "Measuring: move, expose, read out, scalarize. Model: retrain, predict, choose.",
            ),
            self._state_row(
                u,
                "Dose so far",
                "dose",
                "Beam current times exposure over everything exposed, survey and reference included.",
            ),
            self._state_row(
                u,
                "Best so far",
                "best",
                "The largest reading and where it was found, from the survey's centre.",
                lines=2,
            ),
            spacing=2,
        )
        message = u.create_label(
            name="message_label",
            text="@binding(message.value)",
            word_wrap=True,
            width=_LABEL_WIDTH + _CHOICE_WIDTH,
            height=2 * _LINE_HEIGHT,
            tool_tip="What the run is doing, or what stands in its way.",
        )
        # What changes during a run comes first: a low window cuts off the settings, not the message.
        return u.create_column(
            buttons,
            message,
            state,
            u.create_group(what, title="Measure"),
            u.create_group(how, title="Decide"),
            u.create_stretch(),
            spacing=4,
            margin=4,
        )

    def _choice_row(
        self, u: Declarative.DeclarativeUI, name: str, label: str, tool_tip: str
    ) -> Declarative.UIDescriptionResult:
        return _row(
            u,
            label,
            tool_tip,
            u.create_combo_box(
                name=f"{name}_combo",
                items_ref=f"@binding({name}_labels.value)",
                current_index=f"@binding({name}_index.value)",
                on_current_index_changed=f"{name}_changed",
                enabled="@binding(idle.value)",
                width=_CHOICE_WIDTH,
                tool_tip=tool_tip,
            ),
        )

    def _number_row(self, u: Declarative.DeclarativeUI, field: NumberField) -> Declarative.UIDescriptionResult:
        return _row(
            u,
            field.label,
            field.tool_tip,
            u.create_line_edit(
                name=f"{field.name}_edit",
                text=f"@binding({field.name}_text.value)",
                on_text_edited=f"{field.name}_edited",
                enabled="@binding(idle.value)",
                width=_NUMBER_WIDTH,
                tool_tip=field.tool_tip,
            ),
            u.create_label(text=field.unit),
        )

    def _state_row(
        self, u: Declarative.DeclarativeUI, label: str, name: str, tool_tip: str, lines: int = 1
    ) -> Declarative.UIDescriptionResult:
        # Of fixed size: the panel must not grow and push the displays about while numbers change.
        return u.create_row(
            u.create_label(text=label, width=_STATE_LABEL_WIDTH, tool_tip=tool_tip),
            u.create_label(
                text=f"@binding({name}_text.value)",
                width=_LABEL_WIDTH + _CHOICE_WIDTH - _STATE_LABEL_WIDTH,
                height=lines * _LINE_HEIGHT,
                word_wrap=True,
                tool_tip=tool_tip,
            ),
            u.create_stretch(),
            spacing=6,
        )


def _row(
    u: Declarative.DeclarativeUI,
    label: str,
    tool_tip: str,
    *widgets: Declarative.UIDescriptionResult,
) -> Declarative.UIDescriptionResult:
    named: Sequence[Declarative.UIDescriptionResult] = (
        u.create_label(text=label, width=_LABEL_WIDTH, tool_tip=tool_tip),
        *widgets,
    )
    return u.create_row(*named, u.create_stretch(), spacing=6)


class AutomatedExperimentPanel(Panel.Panel):
    """The panel in Swift's own panel menu."""

    def __init__(
        self,
        document_controller: DocumentController.DocumentController,
        panel_id: str,
        properties: Mapping[str, typing.Any],
    ) -> None:
        super().__init__(document_controller, panel_id, PANEL_TITLE)
        self.handler = Handler(document_controller)
        self.widget = Declarative.DeclarativeWidget(
            document_controller.ui, document_controller.event_loop, self.handler
        )


def register() -> None:
    """Put the panel into Swift's panel menu."""
    Workspace.WorkspaceManager().register_panel(
        AutomatedExperimentPanel, PANEL_ID, PANEL_TITLE, ["left", "right"], "left", {"min-width": 340}
    )
