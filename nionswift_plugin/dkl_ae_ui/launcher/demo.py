"""The main job without a window: the panel drives the simulated microscope, the project and a picture are saved."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

from dkl_ae.outputs import free_place
from dkl_ae.reports import save_overview
from dkl_ae.run import Outcome
from dkl_ae.session import open_session
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
    with open_swift(project) as swift:
        handler = PANEL.find(swift.window).handler
        handler.set_text("instrument_id", SIMULATOR_ID)
        handler.start_clicked()

        def ended() -> bool:
            progress(handler.progress.value or 0, handler.step_text.value or handler.message.value or "")
            return bool(handler.idle.value)

        swift.pump(ended, _TIMEOUT_S)
        file, message = handler.session_file, handler.message.value or ""
    if file is None:
        raise ProgramError(message)
    with open_session(file) as session:
        if session.outcome is not Outcome.FINISHED:
            raise ProgramError(message)
        picture = free_place(project.folder / "final-maps.png")
        save_overview(session, picture)
    return picture
