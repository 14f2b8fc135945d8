"""The panel "Automated Experiment": settings, Start, Pause, Stop, Change objective, and how the run is doing."""

from __future__ import annotations

import functools
import json
import math
import pathlib
import typing

from nion.swift import DocumentController
from nion.swift.model import Notification
from nion.ui import Declarative
from nion.utils import Model, Registry

from dkl_ae.experiment import ChangeObjective, require_known
from dkl_ae.patterns import Reference, save_reference
from dkl_ae.records import Measurement, Reading, Survey, UserError
from dkl_ae.run import (
    CommandApplied,
    Dose,
    Event,
    Outcome,
    PointMeasured,
    ReferenceFound,
    RunEnded,
    RunPaused,
    RunResumed,
    StepCompleted,
    SurveyAcquired,
    model_text,
)
from dkl_ae.scalarizers import COMPOSITE
from dkl_ae.settings import SETTINGS, VALUE, ObjectiveSettings, Plan
from nionswift_plugin.dkl_ae_kit import texts as wording
from nionswift_plugin.dkl_ae_ui.project.session_files import Unfinished, last_unfinished
from nionswift_plugin.dkl_ae_ui.run_panel import files
from nionswift_plugin.dkl_ae_ui.run_panel.form import Form
from nionswift_plugin.dkl_ae_ui.run_panel.reason_log import ReasonLog
from nionswift_plugin.dkl_ae_ui.run_panel.run_control import RunControl, new_run, resumed_run
from nionswift_plugin.dkl_ae_ui.run_panel.selection import selected_rectangle, selected_shape
from nionswift_plugin.dkl_ae_ui.run_panel.settings import about_patch_size, plan_of, remembered_texts
from nionswift_plugin.dkl_ae_ui.run_panel.view import build_view

if typing.TYPE_CHECKING:
    from dkl_ae.model.saved_model import SavedModel

PANEL_TITLE = "Automated Experiment"
_STORAGE_KEY = "dkl-ae/settings"


class Handler(Declarative.Handler):
    """The panel's state. Runs on the window's thread throughout."""

    def __init__(self, window: DocumentController.DocumentController) -> None:
        super().__init__()
        self._window = window
        self._chosen: Plan | None = None
        """What stands in the panel, unless it cannot work."""
        self._run: RunControl | None = None
        """The run under way, or the last one."""
        self._plan: Plan | None = None
        """Its plan, as it is now."""
        self._labels: dict[str, str] = {}
        """Of the scalarizers that read its patterns, by name."""
        self._reasons = ReasonLog(self._labels)
        self._latest: Reading | None = None
        self.points_measured = 0
        """By the run so far: what the panel says of them is said."""
        self._survey: Survey | None = None
        self._reference: Reference | None = None
        self._pretrained: SavedModel | None = None
        stored = window.ui.get_persistent_string(_STORAGE_KEY, "")
        self._form = Form(remembered_texts(stored))
        # Declarative widgets find what they bind to by attribute name.
        for name, choice in self._form.choices.items():
            setattr(self, f"{name}_labels", choice.labels)
            setattr(self, f"{name}_index", choice.index)
            setattr(self, f"{name}_changed", functools.partial(self._choice_changed, name))
        for name, model in self._form.edits.items():
            setattr(self, f"{name}_text", model)
            setattr(self, f"{name}_edited", functools.partial(self._text_edited, name))
        self.acquisition_tip = self._form.acquisition_tip
        self.scalarizer_tip = self._form.scalarizer_tip
        self.can_start = Model.PropertyModel[bool](False)
        self.tab_index = Model.PropertyModel[int](0)
        self.idle = Model.PropertyModel[bool](True)
        self.can_save_model = Model.PropertyModel[bool](False)
        self.can_save_reference = Model.PropertyModel[bool](False)
        self.can_switch = Model.PropertyModel[bool](False)
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
        self.session_text = Model.PropertyModel[str]("")
        self.can_resume_run = Model.PropertyModel[bool](False)
        self._unfinished: Unfinished | None = None
        self._look_for_unfinished()
        self._listeners = [
            Registry.listen_component_registered_event(self._components_changed),
            Registry.listen_component_unregistered_event(self._components_changed),
        ]
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
        self._form.set_text(name, text)
        self._check()

    @property
    def session_file(self) -> pathlib.Path | None:
        """Of the run under way, or of the last one."""
        return self._run.session if self._run is not None else None

    # What the user does.

    def start_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        if self._begin(None):
            self._remember()

    def resume_run_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        if self._unfinished is not None:
            self._begin(self._unfinished.file)

    def _begin(self, session: pathlib.Path | None) -> bool:
        """Start a run, or go on with a session; whether that could be done."""
        try:
            if session is None:
                new = new_run(self._window, plan_of(self._form.texts()))
            else:
                new = resumed_run(self._window, session)
            self._run = RunControl(self._window, new, self._on_event, self._on_failure)
        except UserError as error:
            self._tell(str(error))
            return False
        self._plan = self._run.plan
        self._labels = {name: scalarizer.label for name, scalarizer in self._run.scalarizers.items()}
        self._reasons = ReasonLog(self._labels)
        self.progress.value = 0
        self.points_measured = 0
        for text in (self.step_text, self.time_text, self.dose_text, self.best_text, self.model_text):
            text.value = ""
        self._tell(self._run.notice or ("Acquiring the survey..." if session is None else "Taking up the last run..."))
        self._set_running(True)
        return True

    def pause_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        if self._run is None or self.idle.value:
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
        if self._run is not None and self.running.value:
            self._tell("Stopping...")
            self._run.stop()

    def switch_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        if self._run is None or self._chosen is None:
            return
        objective = self._chosen.objective
        self._run.give(ChangeObjective(objective.scalarizer, objective.goal, objective.goal_value))
        self._tell("Learning from the run's readings..." if self.idle.value else "Switching at the next step...")
        self._enable()

    def browse_pretrained_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        self._browse("pretrained", files.MODEL_FILES)

    def browse_reference_file_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        self._browse("reference_file", files.REFERENCE_FILES)

    def browse_scalarizer_file_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        self._browse("scalarizer_file", files.PYTHON_FILES)

    def _browse(self, key: str, kinds: str) -> None:
        chosen, _, _ = self._window.get_file_path_dialog(SETTINGS[key].label, "", kinds)
        if chosen:
            self.set_text(key, str(chosen))

    def take_drawn_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        try:
            self.set_text("reference_region", selected_rectangle(self._window.selected_display_item))
        except UserError as error:
            self._tell(str(error))

    def add_drawn_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        try:
            mask = selected_shape(self._window.selected_display_item)
        except UserError as error:
            self._tell(str(error))
        else:
            expression = self._form.texts()["expression"].strip()
            self.set_text("expression", f"{expression} + {mask}" if expression else mask)

    def save_model_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        if file := files.ask_to_save(self._window, "Save the model", files.MODEL_FILES):
            self.save_model(file)

    def save_model(self, file: pathlib.Path) -> None:
        """Save what the last run's model has learned."""
        if self._pretrained is not None:
            use = "a later run can start from it"
            self._tell(files.save("model", self._pretrained.save, file, files.MODEL_SUFFIX, use))

    def save_reference_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        if file := files.ask_to_save(self._window, "Save the reference", files.REFERENCE_FILES):
            self.save_reference(file)

    def save_reference(self, file: pathlib.Path) -> None:
        """Save the last run's reference."""
        if self._reference is not None:
            write = functools.partial(save_reference, self._reference)
            use = "a later run can take it from the file"
            self._tell(files.save("reference", write, file, files.REFERENCE_SUFFIX, use))

    def _choice_changed(self, name: str, widget: Declarative.UIWidget, current_index: int) -> None:
        self._form.choose(name, current_index)
        self._check()

    def _text_edited(self, name: str, widget: Declarative.UIWidget, text: str) -> None:
        self._form.type(name, text)
        self._check()

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
                self._reference = reference
                self._enable()
                self._tell(f"Running; the bright-field disc is {reference.radius_mrad:.1f} mrad.")
                self._show_dose(dose)
            case PointMeasured():
                self._show_point(event)
            case StepCompleted():
                self._show_step(event)
            case CommandApplied():
                self._show_change(event)
            case RunPaused():
                self._show_pause(event)
            case RunResumed():
                self._show_taken_up(event)
            case RunEnded():
                self._end(event)

    def _show_pause(self, event: RunPaused) -> None:
        self._tell((event.reason or "Paused, the beam is blanked.") if event.paused else "Running.")
        if event.reason:
            self.pause_label.value = "Resume"

    def _show_taken_up(self, event: RunResumed) -> None:
        self._survey = event.interrupted.survey.survey
        self._plan = event.plan
        if event.interrupted.reference is not None:
            self._reference = event.interrupted.reference.reference
        self._show_dose(event.dose)
        self.points_measured = len(event.interrupted.measurements)
        self.progress.value = round(100 * self.points_measured / event.plan.search.points)
        self._tell(
            f"Going on after {len(event.interrupted.measurements)} points, on the survey of then: if the specimen has "
            "moved since, stop and start a new run."
        )

    def _show_point(self, event: PointMeasured) -> None:
        assert self._plan is not None
        readings = event.measurement.readings
        self.progress.value = round(100 * event.number / self._plan.search.points)
        self._latest = readings[self._plan.objective.scalarizer]
        if news := self._reasons.news(readings, self._plan.objective.scalarizer):
            self._tell(news)

    def _show_step(self, event: StepCompleted) -> None:
        assert self._plan is not None
        latest = f": {_shown(self._latest)}" if self._latest is not None else ""
        self.step_text.value = f"Step {event.number} of {self._plan.search.points}{latest}"
        times = event.times
        self.time_text.value = (
            f"{(times.camera + times.scalarizer) * 1000:.0f} ms measuring, {times.model * 1000:.0f} ms model"
        )
        text = model_text(event.explanation)
        self.model_text.value = f"Model: {text}" if text else ""
        self._show_dose(event.dose)
        self._show_best(event.best)
        for notice in event.notices:
            self._tell(notice)
        self.points_measured = event.number

    def _show_best(self, best: Measurement | None) -> None:
        if best is None or self._survey is None or self._plan is None:
            self.best_text.value = ""
            return
        y, x = (
            (fraction - 0.5) * side * self._survey.pixel_size_nm
            for fraction, side in zip((best.position_asked.y, best.position_asked.x), self._survey.shape, strict=True)
        )
        self.best_text.value = f"{_shown(best.readings[self._plan.objective.scalarizer])}\nat x {x:.3f}, y {y:.3f} nm"

    def _show_change(self, event: CommandApplied) -> None:
        self._plan = event.plan
        label = self._labels[event.plan.objective.scalarizer]
        self.model_text.value = ""
        self._show_best(event.best)
        if not event.after_run:
            self._tell(f"The run follows {label} now.")
        elif event.maps is None:
            self._tell(f"The run read too little of {label} for maps: start a run that optimizes it.")
        else:
            self._tell(f"{label} as the last run read it: its maps are in the run's group.")
        if event.after_run and self._run is not None:
            self._pretrained = self._run.pretrained() or self._pretrained
        self._enable()

    def _show_dose(self, dose: Dose) -> None:
        self.dose_text.value = wording.dose(dose)

    def _end(self, event: RunEnded) -> None:
        learned = self._run.pretrained() if self._run is not None else None
        self._pretrained = learned or self._pretrained
        if self._run is not None:
            # With the lattice that was met on the way.
            self._reference = self._run.reference or self._reference
        self._set_running(False)
        self._look_for_unfinished()
        self._check()
        self._tell(event.message)
        if event.outcome is Outcome.FAILED:
            Notification.notify(
                Notification.Notification("dkl-ae.failed", "\N{WARNING SIGN}", PANEL_TITLE, event.message)
            )

    def _on_failure(self, sentence: str) -> None:
        self._tell(sentence)
        self._enable()

    def _tell(self, sentence: str) -> None:
        self.message.value = sentence

    def _set_running(self, running: bool) -> None:
        self.running.value = running
        self.idle.value = not running
        self.pause_label.value = "Pause"
        self._enable()

    # What the settings are.

    def _check(self) -> None:
        """Say at once what cannot work; Start waits until it is corrected."""
        try:
            self._form.offer_scalarizers()
            self._chosen = plan_of(self._form.texts())
            require_known(self._chosen, self._form.scalarizers)
        except UserError as error:
            self._chosen = None
            self._tell(str(error))
        self._enable()
        if self._chosen is None:
            return
        if self.idle.value:
            typed = self._form.texts()["patch_size"]
            self._tell(about_patch_size(self._chosen, typed) or self._ready)
            self._remember()
        elif self.can_switch.value:
            self._tell("Press Change objective for the run to follow this from the next point on.")

    @property
    def _ready(self) -> str:
        found = self._unfinished
        if found is None:
            return "Ready."
        return f"Ready; the last run was left after {found.measured} of {found.points} points and can be resumed."

    def _look_for_unfinished(self) -> None:
        found = self._unfinished = last_unfinished(self._window)
        self.session_text.value = (
            f"{found.title}: {found.measured} of {found.points} points" if found is not None else "no unfinished run"
        )

    def _enable(self) -> None:
        """What can be done now."""
        self.can_resume_run.value = bool(self.idle.value) and self._unfinished is not None
        idle, free = bool(self.idle.value), self._run is None or not self._run.refitting
        self.can_start.value = idle and free and self._chosen is not None
        self.can_switch.value = free and self._would_switch()
        self.can_save_model.value = idle and self._pretrained is not None
        self.can_save_reference.value = self._reference is not None
        self.can_seek_value.value = self._form.choices["goal"].key == VALUE

    def _would_switch(self) -> bool:
        """Whether another scalarizer or goal is chosen than the run follows, and one that the run reads."""
        if self._chosen is None or self._plan is None:
            return False
        chosen, present = self._chosen.objective, self._plan.objective
        if chosen.scalarizer not in self._labels:
            return False
        if chosen.scalarizer == COMPOSITE and chosen.expression != present.expression:
            return False
        return _objective_of(chosen) != _objective_of(present)

    def _remember(self) -> None:
        self._window.ui.set_persistent_string(_STORAGE_KEY, json.dumps(self._form.texts()))

    def _components_changed(self, component: typing.Any, types: set[str]) -> None:
        if types & {"stem_controller", "camera_module", "scan_hardware_source"}:
            self._form.offer_microscopes(self._form.texts())


def _objective_of(settings: ObjectiveSettings) -> tuple[str, str, float | None]:
    """What a change of the objective changes; the value counts only where one is looked for."""
    return settings.scalarizer, settings.goal, settings.goal_value if settings.goal == VALUE else None


def _shown(reading: Reading) -> str:
    if not math.isfinite(reading.value):
        return "undefined"
    return wording.with_error(reading.value, reading.sigma, reading.unit)
