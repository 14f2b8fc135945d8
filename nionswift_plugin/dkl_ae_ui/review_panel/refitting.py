"""What the model said, or would have said if another scalarizer had driven it; the latter learns in its own thread."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable

from dkl_ae.analysis import View, next_place, plan_by, view_by, view_then
from dkl_ae.experiment import Plan
from dkl_ae.records import Proposal
from dkl_ae.session import Session

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Question:
    """What did the model say after a step, or would one have said that this scalarizer had driven?"""

    session: Session
    number: int
    scalarizer: str | None
    """None for what was said."""

    @property
    def plan(self) -> Plan:
        """What the model followed, or would have followed."""
        if self.scalarizer is None:
            return self.session.followed(self.number - 1)
        return plan_by(self.session, self.number, self.scalarizer)


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
    question: Question
    view: View | None
    upcoming: Proposal | None
    """Where the model measures next."""
    trouble: str = ""
    """Where there is no view: why, in one sentence."""


class Refitting:
    """Answers the latest question about another scalarizer: of those that are asked while it learns only the last is
    remembered.

    on_answer: called in the learning thread.
    """

    def __init__(self, on_answer: Callable[[Answer], None]) -> None:
        self._on_answer = on_answer
        self._lock = threading.Lock()
        self._asked: Question | None = None
        self._thread: threading.Thread | None = None

    def ask(self, question: Question | None) -> None:
        """None to ask nothing more."""
        with self._lock:
            self._asked = question
            if question is not None and self._thread is None:
                # No daemon: the program would crash if it ended within a training; as it is, closing need not wait.
                self._thread = threading.Thread(target=self._work, name="dkl-ae review")
                self._thread.start()

    def _next(self) -> Question | None:
        with self._lock:
            question, self._asked = self._asked, None
            if question is None:
                self._thread = None
            return question

    def _work(self) -> None:
        while (question := self._next()) is not None:
            self._on_answer(_learned(question))


def recalled(question: Question) -> Answer:
    """Answers at once what was said."""
    view = view_then(question.session, question.number)
    upcoming = next_place(question.session, question.number)
    return Answer(question, view, upcoming, "" if view else "The model had not learned anything yet.")


def _learned(question: Question) -> Answer:
    assert question.scalarizer is not None
    try:
        view = view_by(question.session, question.number, question.scalarizer)
    except Exception as error:
        logger.exception("The model cannot learn from %s.", question.scalarizer)
        sentence = f"The model failed ({type(error).__name__}: {error}): see the log, or choose other maps."
        return Answer(question, None, None, sentence)
    if view is None:
        sentence = f"None of its first {question.number} readings is a number: choose a later step, or other maps."
        return Answer(question, None, None, sentence)
    return Answer(question, view, view.upcoming)
