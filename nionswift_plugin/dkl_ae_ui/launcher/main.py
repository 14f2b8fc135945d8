"""Swift in its own window with a ready project, both panels open and the simulated microscope chosen.

The native launcher imports this module, calls `main`, and starts the application that it returns.
"""

from __future__ import annotations

import pathlib
import typing

from nion.swift import Application, Facade
from nion.ui import Application as UserInterfaceApplication
from nion.ui import UserInterface

from nionswift_plugin.dkl_ae_kit import SIMULATOR_ID, SIMULATOR_PANEL_ID
from nionswift_plugin.dkl_ae_ui.run_panel import PANEL


class ReadyApplication(Application.Application):
    """Swift, opening the project in a folder rather than the one that the user had open last."""

    def __init__(self, ui: UserInterface.UserInterface, folder: pathlib.Path) -> None:
        super().__init__(ui)
        self._folder = folder

    def start(self, **named: typing.Any) -> bool:
        started = super().start(profile_dir=self._folder)
        for window in self.document_controllers:
            found = PANEL.find(window)
            found.handler.set_text("instrument_id", SIMULATOR_ID)
            found.show()
            simulator = window.find_dock_panel(SIMULATOR_PANEL_ID)
            if simulator is not None:
                simulator.show()
        return started


def main(arguments: typing.Sequence[str], bootstrap: dict[str, typing.Any]) -> Application.Application:
    """arguments: the launcher's own; the last is the folder of the project."""
    Facade.initialize()
    application = ReadyApplication(UserInterfaceApplication.make_ui(bootstrap), pathlib.Path(arguments[-1]))
    application.initialize(use_root_dir=False)
    return application
