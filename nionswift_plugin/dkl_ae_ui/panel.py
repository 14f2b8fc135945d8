"""The panel "Automated Experiment": settings, Start, Pause, Stop, and how the run is doing."""

from __future__ import annotations

import functools
import json
import pathlib
import typing
from collections.abc import Callable, Mapping

from nion.swift import DocumentController, Panel, Workspace
from nion.swift.model import Notification
from nion.ui import Declarative
from nion.utils import Model, Registry

from dkl_ae.acquisition import ACQUISITIONS
from dkl_ae.experiment import VALUE
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
from nionswift_plugin.dkl_ae_ui.panel_view import build_view
from nionswift_plugin.dkl_ae_ui.run_control import RunControl
from nionswift_plugin.dkl_ae_ui.settings import (
    DEVICE_LABELS,
    EMBEDDING_LABELS,
    GOALS,
    NUMBER_FIELDS,
    SURVEY_SOURCES,
    Settings,
    default_parameter,
    remembered_texts,
)

if typing.TYPE_CHECKING:
    from dkl_ae.knowledge import Pretrained

PANEL_ID = "dkl-ae-panel"
PANEL_TITLE = "Automated Experiment"
_STORAGE_KEY = "dkl-ae/settings"
MODEL_SUFFIX = ".dklmodel"
_MODEL_FILES = f"Saved models (*{MODEL_SUFFIX});;All files (*.*)"


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
        self._pretrained: Pretrained | None = None
        self._watchers: list[Callable[[Event], None]] = []
        stored = window.ui.get_persistent_string(_STORAGE_KEY, "")
        texts = remembered_texts(stored)
        self._choices = {
            "instrument_id": Choice({}, ""),
            "camera_id": Choice({}, ""),
            "channel": Choice({}, ""),
            "survey_source": Choice(SURVEY_SOURCES, texts["survey_source"]),
            "scalarizer": Choice({s.name: f"{s.label} ({s.unit})" for s in SCALARIZERS.values()}, texts["scalarizer"]),
            "goal": Choice(GOALS, texts["goal"]),
            "acquisition": Choice({a.name: a.label for a in ACQUISITIONS.values()}, texts["acquisition"]),
            "embedding": Choice(EMBEDDING_LABELS, texts["embedding"]),
            "device": Choice(DEVICE_LABELS, texts["device"]),
        }
        edited = [*(field.name for field in NUMBER_FIELDS), "pretrained"]
        self._edits = {name: Model.PropertyModel[str](texts[name]) for name in edited}
        # What stands in each line edit. Writing it back to the edit at each key would select what was typed.
        self._typed = {name: texts[name] for name in edited}
        # Declarative widgets find what they bind to by attribute name.
        for name, choice in self._choices.items():
            setattr(self, f"{name}_labels", choice.labels)
            setattr(self, f"{name}_index", choice.index)
            setattr(self, f"{name}_changed", functools.partial(self._choice_changed, name))
        for name, model in self._edits.items():
            setattr(self, f"{name}_text", model)
            setattr(self, f"{name}_edited", functools.partial(self._text_edited, name))
        self.acquisition_tip = Model.PropertyModel[str]("")
        self.can_start = Model.PropertyModel[bool](False)
        self.tab_index = Model.PropertyModel[int](0)
        self.idle = Model.PropertyModel[bool](True)
        self.can_save_model = Model.PropertyModel[bool](False)
        self.can_seek_value = Model.PropertyModel[bool](False)
        self.running = Model.PropertyModel[bool](False)
        self.pause_label = Model.PropertyModel[str]("Pause")
        self.progress = Model.PropertyModel[int](0)
        self.message = Model.PropertyModel[str]("")
        self.step_text = Model.PropertyModel[str]("")
        self.time_text = Model.PropertyModel[str]("")
        self.dose_text = Model.PropertyModel[str]("")
        self.best_text = Model.PropertyModel[str]("")
        self.model_text = Model.PropertyModel[str]("")
        self._offer_microscopes(texts)
        self._listeners = [
            Registry.listen_component_registered_event(self._components_changed),
            Registry.listen_component_unregistered_event(self._components_changed),
        ]
        self._explain_acquisition()
        self._follow_choice("goal")
        self._check()
        self.ui_view = build_view()

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
            self._set_edit(name, text)
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
        for text in (self.step_text, self.time_text, self.dose_text, self.best_text, self.model_text):
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

    def browse_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        chosen, _, _ = self._window.get_file_path_dialog("Start from a saved model", "", _MODEL_FILES)
        if chosen:
            self.set_text("pretrained", str(chosen))

    def save_model_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        chosen, _, _ = self._window.get_save_file_path("Save the model", "", _MODEL_FILES)
        if chosen:
            self.save_model(pathlib.Path(chosen))

    def save_model(self, file: pathlib.Path) -> None:
        """Save what the last run's model has learned."""
        if self._pretrained is None:
            return
        file = file if file.suffix else file.with_suffix(MODEL_SUFFIX)
        try:
            self._pretrained.save(file)
        except OSError as error:
            self._tell(f"The model cannot be saved as {file} ({error.strerror}): choose another place.")
        else:
            self._tell(f"Saved {file.name}: a later run can start from it.")

    def _choice_changed(self, name: str, widget: Declarative.UIWidget, current_index: int) -> None:
        self._choices[name].index.value = current_index
        self._follow_choice(name)
        self._check()

    def _follow_choice(self, name: str) -> None:
        """Bring along what depends on a choice."""
        if name == "instrument_id":
            self._offer_devices({})
        if name == "goal":
            self.can_seek_value.value = bool(self.idle.value) and self._choices["goal"].key == VALUE
        if name == "acquisition":
            usual = default_parameter(self._choices["acquisition"].key)
            self._set_edit("acquisition_parameter", usual)
            self._explain_acquisition()

    def _text_edited(self, name: str, widget: Declarative.UIWidget, text: str) -> None:
        self._typed[name] = text
        self._check()

    def _set_edit(self, name: str, text: str) -> None:
        self._typed[name] = text
        self._edits[name].value = text

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
        self.model_text.value = f"Model: {event.explanation}" if event.explanation else ""
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
        learned = self._run.pretrained() if self._run is not None else None
        self._pretrained = learned or self._pretrained
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
        self._follow_choice("goal")
        self.can_start.value = not running
        self.can_save_model.value = not running and self._pretrained is not None
        self.pause_label.value = "Pause"

    # What the settings are.

    def _texts(self) -> dict[str, str]:
        texts = {name: choice.key for name, choice in self._choices.items()}
        texts["channel"] = texts["channel"] or "0"
        return texts | self._typed

    def _check(self) -> None:
        """Say at once what cannot work; Start waits until it is mended."""
        try:
            settings = Settings.from_texts(self._texts())
        except ValueError as error:
            self.can_start.value = False
            self._tell(str(error))
        else:
            self.can_start.value = bool(self.idle.value)
            if self.idle.value:
                self._tell(settings.about_patch_size(self._typed["patch_size"]) or "Ready.")
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


def find_panel(window: DocumentController.DocumentController) -> AutomatedExperimentPanel:
    """The panel that Swift made in a window; raises LookupError when there is none."""
    panel = window.find_dock_panel(PANEL_ID)
    if not isinstance(panel, AutomatedExperimentPanel):
        raise LookupError(f"Swift's window has no panel {PANEL_TITLE}: install nionswift-dkl-ae where Swift is.")
    return panel
