"""What fails in the program itself: it is logged with its traceback and told as that, and costs nothing measured.

numpy's exceptions are ValueErrors, as those are that were written for a person: the two must never be mistaken.
"""

from __future__ import annotations

import dataclasses
import logging
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

import numpy
import pytest

from dkl_ae.records import UserError
from dkl_ae.run import Event, Outcome, PointMeasured, RunEnded, Runner
from dkl_ae.scalarizers import SCALARIZERS, Scalarizer, scalarizer, scalarizers_of
from dkl_ae.session import SessionWriter, open_session
from dkl_ae.settings import Plan, changed, make_plan
from tests.support.simulated_instrument import SimulatedInstrument
from tests.support.surrogates import NearestNeighbour

PLAN = make_plan(patch_size=7, seed_points=4, model_points=6, compute_device="cpu")
SENTENCE = "operands could not be broadcast together with shapes (3,) (4,)"
TOLD = f"The program failed unexpectedly (ValueError: {SENTENCE}): "
ADVICE = "The specimen is gone: put it back, then start again."


def fail(*arguments: Any) -> Any:
    """As the program fails when two of its arrays do not fit."""
    return numpy.zeros(3) + numpy.zeros(4)


def refuse(*arguments: Any) -> Any:
    """As it refuses what a person asked for."""
    raise UserError(ADVICE)


def kept(
    file: pathlib.Path,
    plan: Plan = PLAN,
    make_surrogate: Any = NearestNeighbour,
    scalarizers: Mapping[str, Scalarizer] | None = None,
    writer: type[SessionWriter] = SessionWriter,
) -> list[Event]:
    """The events of a run into a session file; however it ends, the beam is blanked and the scan as it was."""
    scalarizers = scalarizers if scalarizers is not None else scalarizers_of(plan.objective)
    instrument, events = SimulatedInstrument(), []
    runner = Runner(
        instrument,
        plan,
        events.append,
        make_surrogate,
        scalarizers=scalarizers,
        recorder=writer(file, plan, scalarizers),
    )
    assert runner.run() is events[-1]
    assert instrument.blanked
    assert instrument.log[-1] == "restore"
    return events


def count(file: pathlib.Path) -> int:
    with open_session(file) as session:
        return session.count


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[type[BaseException]]:
    """Of what was logged with one."""
    return [record.exc_info[0] for record in caplog.records if record.exc_info]


class FailingAtSixth(NearestNeighbour):
    """Learns from the seeds, and from one measurement more."""

    def fit(self, candidates: numpy.ndarray, values: numpy.ndarray, sigmas: numpy.ndarray) -> None:
        if len(candidates) == 6:
            fail()
        super().fit(candidates, values, sigmas)


class RefusingAtSixth(NearestNeighbour):
    def fit(self, candidates: numpy.ndarray, values: numpy.ndarray, sigmas: numpy.ndarray) -> None:
        if len(candidates) == 6:
            refuse()
        super().fit(candidates, values, sigmas)


def test_a_model_that_fails_is_a_failure_of_the_program(tmp_path, caplog) -> None:
    ended = kept(tmp_path / "run.h5", make_surrogate=FailingAtSixth)[-1]
    assert ended == RunEnded(Outcome.FAILED, f"{TOLD}everything measured so far is saved; see the log for details.")
    assert tracebacks(caplog) == [ValueError]
    assert count(tmp_path / "run.h5") == 6


def test_what_a_model_says_to_a_person_is_shown_as_it_is(tmp_path, caplog) -> None:
    ended = kept(tmp_path / "run.h5", make_surrogate=RefusingAtSixth)[-1]
    assert ended == RunEnded(Outcome.FAILED, ADVICE)
    assert not tracebacks(caplog)
    assert count(tmp_path / "run.h5") == 6


@pytest.fixture
def nothing_logged_yet(monkeypatch) -> None:
    """What a scalarizer fails with is logged once in the life of the program."""
    # The package has a function of the module's name.
    monkeypatch.setattr(sys.modules["dkl_ae.scalarizers.scalarizer"], "_logged", set())


@pytest.mark.parametrize("name", ["entropy", "bragg_spacing", "com_x"])
def test_a_scalarizer_that_fails_costs_its_own_readings_alone(nothing_logged_yet, tmp_path, caplog, name) -> None:
    failing = {**SCALARIZERS, name: dataclasses.replace(SCALARIZERS[name], evaluate=fail)}
    others = sorted(set(SCALARIZERS) - {name})
    events, sound = (kept(tmp_path / file, scalarizers=s) for file, s in (("a.h5", failing), ("b.h5", SCALARIZERS)))
    assert events[-1] == RunEnded(Outcome.FINISHED, "Finished: 10 points measured.")
    for event, other in zip(points(events), points(sound), strict=True):
        readings = event.measurement.readings
        assert numpy.isnan(readings[name].value)
        assert readings[name].reason == (
            f"{name} failed (ValueError: {SENTENCE}): this is a fault of the program, see the log."
        )
        numpy.testing.assert_equal(
            [dataclasses.astuple(readings[o]) for o in others],
            [dataclasses.astuple(other.measurement.readings[o]) for o in others],
        )
    assert tracebacks(caplog) == [ValueError]
    assert count(tmp_path / "a.h5") == 10


def points(events: list[Event]) -> list[PointMeasured]:
    return [event for event in events if isinstance(event, PointMeasured)]


def test_a_users_scalarizer_that_fails_names_its_file(nothing_logged_yet, tmp_path, caplog) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy\n"
        "from dkl_ae.scalarizers import scalarizer\n"
        "@scalarizer(unit='electrons')\n"
        "def brightest(electrons, reference):\n"
        "    return numpy.zeros(3) + numpy.zeros(4)\n"
    )
    plan = changed(PLAN, scalarizer_file=str(file))
    events = kept(tmp_path / "run.h5", plan)
    assert events[-1] == RunEnded(Outcome.FINISHED, "Finished: 10 points measured.")
    for event in points(events):
        readings = event.measurement.readings
        assert readings["brightest"].reason == f"brightest failed (ValueError: {SENTENCE}): fix it in mine.py."
        assert numpy.isfinite(readings["com_x"].value)
    assert tracebacks(caplog) == [ValueError]


def test_what_a_scalarizer_says_to_a_person_is_shown_as_it_is(nothing_logged_yet, tmp_path, caplog) -> None:
    refusing = dataclasses.replace(SCALARIZERS["entropy"], evaluate=refuse)
    own = scalarizer()(refuse)
    scalarizers = {**SCALARIZERS, "entropy": refusing, own.name: own}
    events = kept(tmp_path / "run.h5", scalarizers=scalarizers)
    assert events[-1].outcome is Outcome.FINISHED
    for event in points(events):
        readings = event.measurement.readings
        assert (readings["entropy"].reason, readings["refuse"].reason) == (ADVICE, ADVICE)
        assert numpy.isfinite(readings["com_x"].value)
    assert not tracebacks(caplog)


def test_a_pattern_that_the_program_cannot_read_is_kept(tmp_path, caplog, monkeypatch) -> None:
    monkeypatch.setattr("dkl_ae.run.pattern_reader.one_pattern", lambda *given, **named: fail())
    events = kept(tmp_path / "run.h5")
    assert events[-1].message == f"{TOLD}everything measured so far is saved; see the log for details."
    (point,) = points(events)
    assert {reading.reason for reading in point.measurement.readings.values()} == {f"{TOLD}see the log for details."}
    assert tracebacks(caplog) == [ValueError]
    assert count(tmp_path / "run.h5") == 1


class Breaking(SessionWriter):
    """Keeps five points, and breaks at the sixth."""

    breaks_with: Any = staticmethod(fail)
    still_broken_at_the_end = False

    def keep(self, event: Event) -> None:
        if isinstance(event, PointMeasured) and event.number == 6:
            self.breaks_with()
        if isinstance(event, RunEnded) and self.still_broken_at_the_end:
            self.breaks_with()
        super().keep(event)


class BreakingForGood(Breaking):
    still_broken_at_the_end = True


class Refusing(Breaking):
    breaks_with = staticmethod(refuse)


class RefusingForGood(Refusing):
    still_broken_at_the_end = True


LACKING = "What the session file lacks is in the memory of this program alone."


@pytest.mark.parametrize(
    ("writer", "message", "logged"),
    [
        (Breaking, f"{TOLD}everything measured so far is saved; see the log for details.", 1),
        (BreakingForGood, f"{TOLD}see the log for details. {LACKING}", 2),
        (Refusing, ADVICE, 0),
        (RefusingForGood, f"{ADVICE} {LACKING}", 0),
    ],
)
def test_a_recorder_that_fails_ends_the_run_but_its_file_is_whole(tmp_path, caplog, writer, message, logged) -> None:
    events = kept(tmp_path / "run.h5", writer=writer)
    assert events[-1] == RunEnded(Outcome.FAILED, message)
    assert tracebacks(caplog) == [ValueError] * logged
    assert count(tmp_path / "run.h5") == 5


def test_a_write_that_fails_in_the_program_loses_no_point(tmp_path, caplog, monkeypatch) -> None:
    """The point whose writing failed is written when the run has ended."""
    from dkl_ae.session.append import SessionAppender

    append, failed = SessionAppender.append, []

    def fail_once(self: SessionAppender, events: list[Event]) -> None:
        if not failed and any(isinstance(event, PointMeasured) and event.number == 6 for event in events):
            failed.append(True)
            fail()
        append(self, events)

    monkeypatch.setattr(SessionAppender, "append", fail_once)
    events = kept(tmp_path / "run.h5")
    assert events[-1].message == f"{TOLD}everything measured so far is saved; see the log for details."
    assert tracebacks(caplog) == [ValueError]
    assert count(tmp_path / "run.h5") == 6
    with open_session(tmp_path / "run.h5") as session:
        assert session.outcome is Outcome.FAILED


def test_only_failures_of_the_program_are_logged_as_errors(tmp_path, caplog) -> None:
    kept(tmp_path / "run.h5")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
