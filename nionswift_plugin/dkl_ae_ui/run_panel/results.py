"""What the last run leaves for later ones to start from."""

from __future__ import annotations

import typing

from dkl_ae.patterns import Reference
from dkl_ae.run import CommandApplied, Event, RunEnded, Status
from nionswift_plugin.dkl_ae_ui.run_panel.run_control import RunControl

if typing.TYPE_CHECKING:
    from dkl_ae.model.saved_model import SavedModel


class Results:
    """A model and a reference, each of the last run that had one."""

    def __init__(self) -> None:
        self.model: SavedModel | None = None
        self.reference: Reference | None = None

    def follow(self, event: Event, status: Status, run: RunControl | None) -> None:
        """Take what there is after an event of a run.

        status: after the event.
        """
        self.reference = status.reference or self.reference
        if run is None:
            return
        if isinstance(event, RunEnded):
            # With the lattice that was met on the way.
            self.reference = run.reference or self.reference
        if isinstance(event, RunEnded) or (isinstance(event, CommandApplied) and event.after_run):
            self.model = run.pretrained() or self.model
