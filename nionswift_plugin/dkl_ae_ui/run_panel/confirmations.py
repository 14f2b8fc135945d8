"""A session can come from anybody: the Python file that it names is run only after its user was asked."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

from nion.swift import DocumentController

from dkl_ae.scalarizers import file_hash
from dkl_ae.session import UnconfirmedFileError
from dkl_ae.settings import Plan


class Confirmations:
    """The files that may be run, as long as the window is open."""

    def __init__(self, window: DocumentController.DocumentController) -> None:
        self._window = window
        self.hashes: set[str] = set()
        """SHA-256 of each."""

    def add_named(self, plan: Plan) -> None:
        """The user has named a plan's file in the panel, and it was run.

        Raises UserError when it cannot be read.
        """
        if plan.objective.scalarizer_file:
            self.hashes.add(file_hash(pathlib.Path(plan.objective.scalarizer_file)))

    def ask(self, error: UnconfirmedFileError, go_on: Callable[[], None]) -> None:
        """Ask whether a file may be run, above the window's displays; go on once it was confirmed."""

        def confirm() -> None:
            self.hashes.add(error.sha256)
            go_on()

        workspace = self._window.workspace_controller
        if workspace is not None:
            workspace.pose_confirmation_message_box(
                f"Resuming runs the Python file {error.file}\n(SHA-256 {error.sha256}).\nRead it first: it can do "
                "whatever you can do on this computer.",
                confirm,
                accepted_text="Run it and resume",
                rejected_text="Do not resume",
                message_box_id=f"dkl-ae.confirm.{error.sha256}",
            )
