"""Who keeps a run: the session does, and a run knows no more of it than this."""

from __future__ import annotations

import typing

from dkl_ae.records import UserError
from dkl_ae.run.events import Event


class NotKeptError(UserError):
    """Something could not be kept; the message is one sentence for the operator."""


class RunRecorder(typing.Protocol):
    """Keeps a run's events. Used from the run's thread alone."""

    def keep(self, event: Event) -> None:
        """Keep an event, and all that could not be kept before; raises NotKeptError when it cannot be kept now."""

    def keep_waiting(self) -> None:
        """Keep what waits; raises NotKeptError when it cannot be kept."""

    def close(self) -> None:
        """Keep what waits, and let go of the record; raises NotKeptError when something could not be kept."""
