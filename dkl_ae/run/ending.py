"""How a run ends: nothing that is raised on the way keeps the next thing from being done."""

from __future__ import annotations

import logging
from collections.abc import Callable

from dkl_ae.instruments import Instrument
from dkl_ae.records import UserError, brief, sentence_of
from dkl_ae.run.controls import StopRequestedError
from dkl_ae.run.events import Outcome, RunEnded

logger = logging.getLogger(__name__)


class Ending:
    """The end of one run, as far as it has come.

    ended: how it ended so far.
    """

    def __init__(self, ended: RunEnded) -> None:
        self.ended = ended
        self.leaving: BaseException | None = None
        """What is to end the program, such as Ctrl-C; it goes on to the caller when all is done."""

    @classmethod
    def after(cls, error: BaseException, *, is_stopping: bool) -> Ending:
        """The end of a run in which this was raised.

        is_stopping: whether the operator had asked it to stop.
        """
        consequence = "everything measured so far is saved"
        if isinstance(error, Exception) and not isinstance(error, UserError | StopRequestedError):
            logger.error("The run failed unexpectedly.", exc_info=error)
        # Breaking off an exposure makes the camera fail: that is the stop, not a failure.
        if is_stopping:
            ending = cls(RunEnded(Outcome.STOPPED, f"Stopped: {consequence}."))
        elif isinstance(error, Exception):
            ending = cls(RunEnded(Outcome.FAILED, sentence_of(error, consequence)))
        else:
            ending = cls(RunEnded(Outcome.STOPPED, sentence_of(error, consequence)))
        ending.leave_with(error)
        return ending

    def leave_with(self, error: BaseException) -> None:
        """Remember the first that is no failure but ends the program."""
        if not isinstance(error, Exception) and self.leaving is None:
            self.leaving = error

    def make_safe(self, instrument: Instrument) -> None:
        """Blank the beam, and leave the microscope as it was found."""
        # A beam that stays on is worth a second try, whatever has failed.
        self._attempt(instrument.blank, "The beam could not be blanked: blank it by hand now", Exception)
        self._attempt(instrument.restore, "The scan could not be put back as it was: check its settings")

    def _attempt(self, action: Callable[[], None], trouble: str, *again_after: type[Exception]) -> None:
        """Do something, and tell when it failed; what was interrupted is begun once more."""
        for may_be_repeated in (True, False):
            try:
                action()
                return
            except BaseException as error:
                self.leave_with(error)
                logger.exception(trouble)
                if may_be_repeated and (isinstance(error, again_after) or not isinstance(error, Exception)):
                    continue
                self.ended = RunEnded(Outcome.FAILED, f"{trouble} ({brief(error)}). {self.ended.message}")
                return

    def complete(self, lacking: str, *actions: Callable[[], None]) -> None:
        """Complete the record of the run.

        lacking: what a failure means.
        """
        failure: BaseException | None = None
        for action in actions:
            for may_be_repeated in (True, False):
                try:
                    action()
                    break
                except BaseException as error:
                    self.leave_with(error)
                    if may_be_repeated and not isinstance(error, Exception):
                        continue
                    if not isinstance(error, UserError):
                        logger.exception("The record of the run could not be completed.")
                    failure = error
                    break
        if failure is not None:
            self.ended = RunEnded(Outcome.FAILED, f"{sentence_of(failure)} {lacking}")

    def tell(self, show: Callable[[RunEnded], None]) -> None:
        """Show how the run ended; whoever fails to look at it loses nothing."""
        try:
            show(self.ended)
        except BaseException as error:
            self.leave_with(error)
            if isinstance(error, Exception):
                logger.exception("The end of the run could not be shown.")

    def leave(self) -> RunEnded:
        """How the run ended; raises what is to end the program."""
        if self.leaving is not None:
            raise self.leaving
        return self.ended
