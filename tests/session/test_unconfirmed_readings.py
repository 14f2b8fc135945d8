"""A session tells of each step which readings nothing confirmed, and never calls one of them the best."""

from __future__ import annotations

import math

import numpy
import pytest

from dkl_ae.analysis import BEST, confirmations, confirmed_readings, curves, representative_patterns
from dkl_ae.records import Origin
from dkl_ae.run import CommandApplied, Event, Runner, StepCompleted
from dkl_ae.session import Session, open_session, take_up
from tests.support.kept_runs import QUICK_PLAN, SWITCHED_AFTER, kept_run
from tests.support.recorded_specimen import instrument
from tests.support.surrogates import NearestNeighbour


class BelievesTheLowerHalf(NearestNeighbour):
    """No reading above the median is confirmed, and the highest is contradicted."""

    def contradicted(self) -> numpy.ndarray:
        highest: numpy.ndarray = self._values > numpy.quantile(self._values, 0.9)
        return highest

    def unconfirmed(self) -> numpy.ndarray:
        upper: numpy.ndarray = self._values > numpy.median(self._values)
        return upper


def steps_of(events: list[Event]) -> list[StepCompleted]:
    return [event for event in events if isinstance(event, StepCompleted)]


def assert_as_told(session: Session, events: list[Event]) -> None:
    for event in steps_of(events):
        name = session.objective(event.number - 1).scalarizer.name
        assert session.unconfirmed(name, event.number) == set(event.unconfirmed)
        objective = session.objective(event.number - 1)
        best = curves(session, objective).best[event.number - 1]
        told = math.nan if event.best is None else event.best.readings[name].value
        numpy.testing.assert_array_equal(best, told)


@pytest.mark.parametrize("switched_after", [None, SWITCHED_AFTER])
def test_a_session_knows_after_each_step_what_nothing_confirmed(tmp_path, switched_after) -> None:
    events = kept_run(tmp_path / "run.h5", QUICK_PLAN, BelievesTheLowerHalf, switched_after=switched_after)
    assert any(event.unconfirmed for event in steps_of(events))
    with open_session(tmp_path / "run.h5") as session:
        assert_as_told(session, events)
        for event in events:
            if isinstance(event, CommandApplied):
                assert session.unconfirmed("abf", SWITCHED_AFTER) == set(event.unconfirmed)
        last = session.objective(session.count - 1)
        counted = confirmed_readings(session, last, session.count)
        assert not session.unconfirmed(last.scalarizer.name, session.count) & set(session.columns["candidate"][counted])
        best = next(index for index, roles in representative_patterns(session).items() if BEST in roles)
        assert session.measurement(best).proposal == steps_of(events)[-1].best.proposal
        made = [event.next.origin is Origin.CONFIRMATION for event in steps_of(events)[:-1]]
        # Another objective asks for another place than the one that was told before.
        other = [] if switched_after is None else [switched_after - 1]
        assert any(made)
        numpy.testing.assert_array_equal(numpy.delete(confirmations(session)[1:], other), numpy.delete(made, other))


def test_a_resumed_run_knows_it_too_and_confirms_what_the_interrupted_one_would_have(tmp_path) -> None:
    whole = kept_run(tmp_path / "whole.h5", QUICK_PLAN, BelievesTheLowerHalf)
    kept_run(tmp_path / "killed.h5", QUICK_PLAN, BelievesTheLowerHalf, killed_after=9)
    interrupted, scalarizers, writer = take_up(tmp_path / "killed.h5")
    Runner(
        instrument(),
        interrupted.plan,
        lambda event: None,
        BelievesTheLowerHalf,
        scalarizers=scalarizers,
        recorder=writer,
        interrupted=interrupted,
    ).run()
    with open_session(tmp_path / "killed.h5") as session, open_session(tmp_path / "whole.h5") as expected:
        assert session.columns["candidate"].tolist() == expected.columns["candidate"].tolist()
        assert session.columns["origin"].tolist() == expected.columns["origin"].tolist()
        assert_as_told(session, whole)


def test_what_was_told_is_among_the_notices_of_the_session(tmp_path) -> None:
    events = kept_run(tmp_path / "run.h5", QUICK_PLAN, BelievesTheLowerHalf)
    told = [notice for event in steps_of(events) for notice in event.notices]
    assert any(notice.startswith("Nothing confirms the CoM magnitude of ") for notice in told)
    with open_session(tmp_path / "run.h5") as session:
        assert [entry.text for entry in session.log if entry.kind == "notice"] == told
