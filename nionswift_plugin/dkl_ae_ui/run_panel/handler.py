"""The panel "Automated Experiment": settings, Start, Pause, Stop, Change objective, and how the run is doing."""

from __future__ import annotations

import functools
import json
import pathlib
import typing

from nion.swift import DocumentController
from nion.swift.model import Notification
from nion.ui import Declarative
from nion.utils import Model, Registry

from dkl_ae.experiment import ChangeObjective, require_known
from dkl_ae.records import UserError
from dkl_ae.run import (
    CommandApplied,
    Event,
    Outcome,
    PointMeasured,
    RunEnded,
    Status,
    begun,
    folded,
    news_text,
    outlook_text,
)
from dkl_ae.session import UnconfirmedFileError
from dkl_ae.settings import VALUE, Plan
from nionswift_plugin.dkl_ae_ui.project.session_files import Unfinished, last_unfinished
from nionswift_plugin.dkl_ae_ui.run_panel.confirmations import Confirmations
from nionswift_plugin.dkl_ae_ui.run_panel.controls import Controls
from nionswift_plugin.dkl_ae_ui.run_panel.exchange import Exchange
from nionswift_plugin.dkl_ae_ui.run_panel.form import Form
from nionswift_plugin.dkl_ae_ui.run_panel.readouts import Readouts
from nionswift_plugin.dkl_ae_ui.run_panel.reason_log import ReasonLog
from nionswift_plugin.dkl_ae_ui.run_panel.results import Results
from nionswift_plugin.dkl_ae_ui.run_panel.run_control import RunControl, expected_survey, new_run, resumed_run
from nionswift_plugin.dkl_ae_ui.run_panel.settings import about_patch_size, plan_of, remembered_texts
from nionswift_plugin.dkl_ae_ui.run_panel.view import build_view

PANEL_TITLE = "Automated Experiment"
_STORAGE_KEY = "dkl-ae/settings"


class Handler(Declarative.Handler):
    """Binds the panel's widgets to a run. Runs on the window's thread throughout."""

    idle: Model.PropertyModel[bool]
    progress: Model.PropertyModel[int]
    step_text: Model.PropertyModel[str]

    def __init__(self, window: DocumentController.DocumentController) -> None:
        super().__init__()
        self._window = window
        self.status = Status()
        """Of the run under way, or of the last one."""
        self._run: RunControl | None = None
        """Likewise."""
        self._reasons = ReasonLog({})
        self._results = Results()
        self._confirmations = Confirmations(window)
        self._unfinished: Unfinished | None = None
        self._form = Form(remembered_texts(window.ui.get_persistent_string(_STORAGE_KEY, "")))
        self._chosen: Plan | None = None
        """What stands in the panel, unless it cannot work."""
        self._outlook = ""
        """What the model will have to choose from and what it will cost; empty where nothing is known of the survey."""
        self._controls = Controls()
        self._readouts = Readouts()
        self.message = Model.PropertyModel[str]("")
        self.session_text = Model.PropertyModel[str]("")
        self.tab_index = Model.PropertyModel[int](0)
        self._bind()
        self._look_for_unfinished()
        self._listeners = [
            Registry.listen_component_registered_event(self._components_changed),
            Registry.listen_component_unregistered_event(self._components_changed),
        ]
        self._check()
        self.ui_view = build_view()

    def _bind(self) -> None:
        """Declarative widgets find what they bind to by the name of an attribute."""
        exchange = Exchange(self._window, self._form, self._results, self.set_text, self._tell)
        for part in (self._controls, self._readouts, exchange):
            for name in (name for name in dir(part) if not name.startswith("_")):
                setattr(self, name, getattr(part, name))
        for name, choice in self._form.choices.items():
            setattr(self, f"{name}_labels", choice.labels)
            setattr(self, f"{name}_index", choice.index)
            setattr(self, f"{name}_changed", functools.partial(self._choice_changed, name))
        for name, edited in self._form.edits.items():
            setattr(self, f"{name}_text", edited)
            setattr(self, f"{name}_edited", functools.partial(self._text_edited, name))
        self.acquisition_tip = self._form.acquisition_tip
        self.scalarizer_tip = self._form.scalarizer_tip

    def close(self) -> None:
        # Dropping a listener ends it; one that is closed but kept still hears, and complains.
        self._listeners.clear()
        if self._run is not None:
            self._run.close()
            self._run = None
        super().close()

    def set_text(self, name: str, text: str) -> None:
        """Set one setting, by its key, as if the user had."""
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
                self._confirmations.add_named(new.plan)
            else:
                new = resumed_run(self._window, session, self._confirmations.hashes)
            self._run = RunControl(self._window, new, self._on_event, self._on_failure)
        except UnconfirmedFileError as error:
            self._tell(f"The last run reads with {error.file.name}: confirm above the displays that it is run.")
            self._confirmations.ask(error, self.resume_run_clicked)
            return False
        except UserError as error:
            self._tell(str(error))
            return False
        self.status = begun(self._run.plan, self._run.scalarizers)
        self._reasons = ReasonLog({name: scalarizer.label for name, scalarizer in self._run.scalarizers.items()})
        self._tell(self._run.notice or ("Acquiring the survey..." if session is None else "Resuming the last run..."))
        self._show()
        return True

    def pause_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        if self._run is None or not self.status.is_running:
            return
        held = self._run.is_held
        (self._run.resume if held else self._run.pause)()
        self._tell("Running." if held else "Pausing after this point...")
        self._show()

    def stop_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        if self._run is not None and self.status.is_running:
            self._tell("Stopping...")
            self._run.stop()

    def switch_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        if self._run is None or self._chosen is None:
            return
        objective = self._chosen.objective
        self._run.give(ChangeObjective(objective.scalarizer, objective.goal, objective.goal_value))
        running = self.status.is_running
        self._tell("Changing the objective at the next point..." if running else "Learning from the run's readings...")
        self._show()

    def _choice_changed(self, name: str, widget: Declarative.UIWidget, current_index: int) -> None:
        self._form.choose(name, current_index)
        self._check()

    def _text_edited(self, name: str, widget: Declarative.UIWidget, text: str) -> None:
        self._form.type(name, text)
        self._check()

    # What the run reports.

    def _on_event(self, event: Event) -> None:
        self.status = folded(self.status, event)
        self._results.follow(event, self.status, self._run)
        if isinstance(event, RunEnded):
            self._look_for_unfinished()
            self._check()
        self._show()
        if news := self._news(event):
            self._tell(news)
        if isinstance(event, RunEnded) and event.outcome is Outcome.FAILED:
            _notify(event.message)

    def _news(self, event: Event) -> str:
        """What the user should know of an event beside its numbers; else empty."""
        if isinstance(event, PointMeasured) and self.status.objective is not None:
            return self._reasons.news(event.measurement.readings, self.status.objective.scalarizer.name)
        if isinstance(event, CommandApplied) and event.after_run and event.maps is not None:
            return f"{event.objective.scalarizer.label} as the last run read it: its maps are in the run's group."
        return news_text(event, self.status)

    def _on_failure(self, sentence: str) -> None:
        self._tell(sentence)
        self._show()

    def _tell(self, sentence: str) -> None:
        self.message.value = sentence

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
        if not self.status.is_running:
            size = expected_survey(self._window, self._chosen) if self._chosen is not None else None
            self._outlook = outlook_text(self._chosen, size) if self._chosen is not None and size is not None else ""
        self._show()
        if self._chosen is None:
            return
        if not self.status.is_running:
            typed = self._form.texts()["patch_size"]
            self._tell(about_patch_size(self._chosen, typed) or _ready(self._unfinished))
            self._remember()
        elif self._controls.can_switch.value:
            self._tell("Press Change objective for the run to optimize this from the next point on.")

    def _look_for_unfinished(self) -> None:
        self._unfinished = last_unfinished(self._window)
        self.session_text.value = _about(self._unfinished)

    def _show(self) -> None:
        """How the run is doing, and what can be done now."""
        self._readouts.show(self.status, self._outlook)
        self._controls.offer(
            self.status,
            self._run,
            self._chosen,
            self._results,
            seeks_value=self._form.choices["goal"].key == VALUE,
            has_unfinished=self._unfinished is not None,
        )

    def _remember(self) -> None:
        self._window.ui.set_persistent_string(_STORAGE_KEY, json.dumps(self._form.texts()))

    def _components_changed(self, component: typing.Any, types: set[str]) -> None:
        if types & {"stem_controller", "camera_module", "scan_hardware_source"}:
            self._form.offer_microscopes(self._form.texts())


def _notify(sentence: str) -> None:
    Notification.notify(Notification.Notification("dkl-ae.failed", "\N{WARNING SIGN}", PANEL_TITLE, sentence))


def _about(found: Unfinished | None) -> str:
    return f"{found.title}: {found.measured} of {found.points} points" if found is not None else "no unfinished run"


def _ready(found: Unfinished | None) -> str:
    if found is None:
        return "Ready."
    return f"Ready; the last run was left after {found.measured} of {found.points} points and can be resumed."
