"""What the model said, or would have said if another scalarizer had driven it; the latter learns in its own thread."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable

from dkl_ae.analysis import ModelView, counterfactual_plan, counterfactual_view, next_place, recorded_view
from dkl_ae.experiment import Objective
from dkl_ae.records import Proposal, UserError, described
from dkl_ae.session import Session

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class MapRequest:
    """For what the model said after a step, or what one would have said that this scalarizer had driven."""

    session: Session
    number: int
    scalarizer: str | None
    """None for what was said."""

    @property
    def objective(self) -> Objective:
        """What was optimized, or would have been."""
        if self.scalarizer is None:
            return self.session.objective(self.number - 1)
        plan = counterfactual_plan(self.session, self.number, self.scalarizer)
        return Objective.of(plan.objective, self.session.scalarizers)


@dataclasses.dataclass(frozen=True, eq=False)
class MapResult:
    request: MapRequest
    view: ModelView | None
    upcoming: Proposal | None
    """Where the model measures next."""
    reason: str = ""
    """Where there is no view: why, in one sentence."""


class Refitting:
    """Makes the maps of another scalarizer that were requested last: of the requests that come while it learns only the
    last is remembered.

    on_result: called in the learning thread.
    """

    def __init__(self, on_result: Callable[[MapResult], None]) -> None:
        self._on_result = on_result
        self._lock = threading.Lock()
        self._requested: MapRequest | None = None
        self._thread: threading.Thread | None = None

    def submit(self, request: MapRequest | None) -> None:
        """None to want nothing more."""
        with self._lock:
            self._requested = request
            if request is not None and self._thread is None:
                # No daemon: the program would crash if it ended within a training; as it is, closing need not wait.
                self._thread = threading.Thread(target=self._work, name="dkl-ae review")
                self._thread.start()

    def _next(self) -> MapRequest | None:
        with self._lock:
            request, self._requested = self._requested, None
            if request is None:
                self._thread = None
            return request

    def _work(self) -> None:
        while (request := self._next()) is not None:
            self._on_result(_refitted(request))


def recorded_result(request: MapRequest) -> MapResult:
    """The maps as they were, at once."""
    view = recorded_view(request.session, request.number)
    upcoming = next_place(request.session, request.number)
    return MapResult(request, view, upcoming, "" if view else "The model had not learned anything yet.")


def _refitted(request: MapRequest) -> MapResult:
    assert request.scalarizer is not None
    try:
        view = counterfactual_view(request.session, request.number, request.scalarizer)
    except UserError as error:
        return MapResult(request, None, None, str(error))
    except Exception as error:
        logger.exception("The model cannot learn from %s.", request.scalarizer)
        sentence = f"The model failed ({described(error)}): see the log, or choose other maps."
        return MapResult(request, None, None, sentence)
    if view is None:
        sentence = f"None of its first {request.number} readings is defined: choose a later point, or other maps."
        return MapResult(request, None, None, sentence)
    return MapResult(request, view, view.upcoming)
