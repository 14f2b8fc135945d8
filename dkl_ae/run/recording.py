"""Keeps each event before it is shown, and holds the run while that cannot be done."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable

from dkl_ae.records import MendableError
from dkl_ae.run.controls import Controls
from dkl_ae.run.ending import Ending
from dkl_ae.run.events import Event, RunEnded, RunPaused
from dkl_ae.run.run_recorder import NotKeptError, RunRecorder

logger = logging.getLogger(__name__)


class Recording:
    """Who keeps and who shows a run's events.

    show: receives every event, in the run's thread.
    recorder: keeps every event before; None to keep nothing.
    """

    def __init__(self, show: Callable[[Event], None], recorder: RunRecorder | None, controls: Controls) -> None:
        self._show = show
        self._recorder = recorder
        self._controls = controls

    def record(self, event: Event) -> None:
        """Keep an event, and show it; waits while it cannot be kept, unless the run is to stop."""
        if self._recorder is not None:
            keep: Callable[[], None] = functools.partial(self._recorder.keep, event)
            while True:
                try:
                    keep()
                    break
                except NotKeptError as error:
                    logger.warning("%s", error)
                    if self._controls.is_stopping:
                        break
                    self._controls.pause()
                    self._hold(self._show, str(error))
                    keep = self._recorder.keep_waiting
        self._show(event)

    def wait_while_paused(self) -> None:
        """Raises StopRequestedError when the run is to stop."""
        if self._controls.is_held:
            self._hold(self.record)
        self._controls.require_going_on()

    def hold(self, trouble: MendableError) -> None:
        """Wait until the operator has mended something; raises StopRequestedError when the run is to stop."""
        logger.warning("%s", trouble)
        self._controls.pause()
        self._hold(self.record, str(trouble))
        self._controls.require_going_on()

    def end(self, ending: Ending) -> None:
        """Keep and show how the run ended, and let go of the record."""
        if self._recorder is not None:
            recorder, self._recorder = self._recorder, None
            lacking = "What the session file lacks is in the memory of this program alone."
            ending.complete(lacking, functools.partial(_keep_if_possible, recorder, ending.ended), recorder.close)
        ending.tell(self._show)

    def _hold(self, tell: Callable[[Event], None], reason: str = "") -> None:
        """Wait until the run is to go on, or to stop."""
        tell(RunPaused(True, reason))
        self._controls.wait()
        if not self._controls.is_stopping:
            tell(RunPaused(False))


def _keep_if_possible(recorder: RunRecorder, ended: RunEnded) -> None:
    # What cannot be kept now is tried again when the record is closed, which tells of it.
    with contextlib.suppress(NotKeptError):
        recorder.keep(ended)
