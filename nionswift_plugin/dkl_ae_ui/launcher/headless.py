"""The real Swift application, its plug-ins and a project on disk, without a window."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator

from nion.swift import Application, DocumentController, Facade
from nion.ui import TestUI, UserInterface
from nion.utils import Registry

from nionswift_plugin.dkl_ae_ui.launcher.project import Project

_TICK_S = 0.02


class _Interface(TestUI.UserInterface):
    """Swift's user interface without a screen; its files are in the project's folder."""

    proxy = None
    """Swift names its type in the log."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    def get_data_location(self) -> str:
        return self._folder

    def get_document_location(self) -> str:
        return self._folder

    def get_temporary_location(self) -> str:
        return self._folder

    def get_configuration_location(self) -> str:
        return self._folder

    def set_persistence_handler(self, handler: UserInterface.PersistenceHandler) -> None:
        self._persistence = handler

    def get_persistent_string(self, key: str, default_value: str | None = None) -> str:
        found, value = self._persistence.get_string(key)
        return value if found else default_value or ""

    def set_persistent_string(self, key: str, value: str) -> None:
        self._persistence.set_string(key, value)

    def get_build_version(self) -> str:
        return "without a window"

    def get_qt_version(self) -> str:
        return "none"


class HeadlessSwift:
    """An open Swift; the caller is its window's thread."""

    def __init__(self, window: DocumentController.DocumentController) -> None:
        self.window = window

    def pump(self, until: Callable[[], bool], timeout_s: float) -> None:
        """Let the window's thread work until something has happened.

        Raises TimeoutError when it does not happen in time.
        """
        deadline = time.monotonic() + timeout_s
        while not until():
            if time.monotonic() > deadline:
                raise TimeoutError(f"Swift did not get there within {timeout_s:g} s: see its log for details.")
            self.window.periodic()
            time.sleep(_TICK_S)


@contextlib.contextmanager
def open_swift(project: Project) -> Iterator[HeadlessSwift]:
    """Open Swift with a project, as its window would; at the end everything is saved and closed."""
    folder = project.folder / "Swift"
    folder.mkdir(exist_ok=True)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    Facade.initialize()
    application = Application.Application(_Interface(str(folder)))
    # Swift adds a handler that repeats its log on the terminal, where the progress bar is.
    log = logging.FileHandler(folder / "log.txt", encoding="utf-8")
    root.handlers[:] = [log]
    try:
        application.initialize(use_root_dir=False)
        application.start(profile_dir=project.folder)
        window = application.document_controllers[0]
        swift = HeadlessSwift(window)
        try:
            yield swift
        finally:
            window.request_close()
            # Simulated cameras own threads that would keep the process alive.
            for module in list(Registry.get_components_by_type("camera_module")):
                Registry.unregister_component(module, {"camera_module"})
            application.deinitialize()
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        log.close()
