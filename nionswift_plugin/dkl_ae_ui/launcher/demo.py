"""The main job without a window: the panel drives the simulated microscope, the project and a picture are saved."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

from dkl_ae.reports import save_picture
from dkl_ae.run import Event, Outcome, PointMeasured, ReferenceFound, RunEnded, StepCompleted, SurveyAcquired
from nionswift_plugin.dkl_ae_kit import SIMULATOR_ID
from nionswift_plugin.dkl_ae_ui.launcher import ProgramError
from nionswift_plugin.dkl_ae_ui.launcher.headless import open_swift
from nionswift_plugin.dkl_ae_ui.launcher.project import Project
from nionswift_plugin.dkl_ae_ui.run_panel import PANEL

_TIMEOUT_S = 1800.0


def run_demo(project: Project, progress: Callable[[int, str], None]) -> pathlib.Path:
    """Press Start in the panel and wait for the end; returns the picture's file.

    progress: called with the percentage done and what the panel says.

    Raises ProgramError when the run fails.
    """
    events: list[Event] = []
    with open_swift(project) as swift:
        handler = PANEL.find(swift.window).handler
        handler.watch(events.append)
        handler.set_text("instrument_id", SIMULATOR_ID)
        handler.start_clicked()

        def ended() -> bool:
            progress(handler.progress.value or 0, handler.step_text.value or handler.message.value or "")
            return bool(handler.idle.value)

        swift.pump(ended, _TIMEOUT_S)
        message = handler.message.value or ""
    if not any(isinstance(event, RunEnded) and event.outcome is Outcome.FINISHED for event in events):
        raise ProgramError(message)
    picture = project.folder / "final-maps.png"
    _save_picture(picture, events)
    return picture


def _save_picture(file: pathlib.Path, events: list[Event]) -> None:
    surveyed = next(event for event in events if isinstance(event, SurveyAcquired))
    referred = next(event for event in events if isinstance(event, ReferenceFound))
    measured = [event for event in events if isinstance(event, PointMeasured)]
    completed = [event for event in events if isinstance(event, StepCompleted)]
    save_picture(
        file,
        survey=surveyed.survey,
        scalarizer=surveyed.plan.driver,
        measurements=[event.measurement for event in measured],
        maps=completed[-1].maps,
        pattern=measured[-1].frame.pattern,
        reference=referred.reference,
    )
