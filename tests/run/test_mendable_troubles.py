"""What the person at the microscope can mend: the run waits with the beam blanked, keeps what came, and goes on."""

from __future__ import annotations

import pathlib
import tempfile
import threading

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkl_ae.instruments import Frame
from dkl_ae.records import MendableError, Position
from dkl_ae.run import (
    Event,
    Outcome,
    PointMeasured,
    ReadingsRevised,
    ReferenceRepeated,
    RunEnded,
    Runner,
    RunPaused,
    StepCompleted,
)
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.session import SessionWriter, open_session
from dkl_ae.settings import Plan, changed, make_plan
from dkl_ae.simulation import VirtualColumn, graphene_with_silicon
from tests.support.drifting_instrument import TROUBLE, DriftingInstrument, linear
from tests.support.surrogates import NearestNeighbour

PLAN = make_plan(patch_size=7, seed_points=6, model_points=6, random_seed=1)
READ = {name: SCALARIZERS[name] for name in ("com_magnitude", "com_x", "bf", "bragg_spacing")}
"""To read everything takes long."""
REFERENCE = PLAN.reference.frames


class Disturbed(DriftingInstrument):
    """Some of its exposures are disturbed, and before some it cannot expose."""

    def __init__(self, untrusted: frozenset[int] = frozenset(), refused: frozenset[int] = frozenset()) -> None:
        super().__init__(VirtualColumn(graphene_with_silicon(), seed=0), linear(0.02), untrusted=untrusted)
        self.refused = set(refused)
        self.blanked = True

    def acquire_pattern(self, position: Position) -> Frame:
        number = len(self.exposed)
        if number in self.refused:
            self.refused.remove(number)
            raise MendableError("The scan was started during the run: leave it to the run.")
        return super().acquire_pattern(position)


def run(
    instrument: Disturbed, plan: Plan = PLAN, file: pathlib.Path | None = None, *, stop: bool = False
) -> list[Event]:
    """The events of a run whose operator presses Resume, or Stop, whenever it waits."""
    events: list[Event] = []

    def show(event: Event) -> None:
        events.append(event)
        if isinstance(event, RunPaused) and event.paused:
            # As from the window: another thread, once the run waits.
            threading.Timer(0.01, runner.stop if stop else runner.resume).start()

    recorder = SessionWriter(file, plan, READ) if file is not None else None
    runner = Runner(instrument, plan, show, NearestNeighbour, scalarizers=READ, recorder=recorder)
    assert runner.run() is events[-1]
    return events


def of(kind: type, events: list[Event]) -> list:
    return [event for event in events if isinstance(event, kind)]


@given(
    untrusted=st.frozensets(st.integers(0, 20), max_size=4),
    refused=st.frozensets(st.integers(0, 20), max_size=4),
)
@settings(max_examples=8, deadline=None)
def test_whatever_is_disturbed_the_run_waits_and_comes_to_its_end(untrusted, refused) -> None:
    """Its points are as many as planned; those that were disturbed are among them, without a reading."""
    instrument = Disturbed(untrusted, refused)
    with tempfile.TemporaryDirectory() as folder:
        events = run(instrument, file=pathlib.Path(folder, "run.h5"))
        points, ended = of(PointMeasured, events), events[-1]
        spoiled = [event for event in points if event.frame.untrusted]
        if ended.outcome is Outcome.FAILED:
            # Three in a row give nothing: so it ends whatever the reason is.
            assert len(spoiled) >= 3
        else:
            assert ended == RunEnded(Outcome.FINISHED, "Finished: 12 points measured.")
        for event in points:
            has_reading = any(numpy.isfinite(reading.value) for reading in event.measurement.readings.values())
            assert has_reading == (not event.frame.untrusted)
        exposed = len(instrument.exposed)
        happened = len([n for n in untrusted if n < exposed]) + len(refused - instrument.refused)
        waits = [event for event in of(RunPaused, events) if event.paused]
        assert len(waits) == happened
        assert all(event.reason for event in waits)
        with open_session(pathlib.Path(folder, "run.h5")) as session:
            assert session.count == len(points)
            assert [entry.text for entry in session.log if entry.kind == "paused"] == [event.reason for event in waits]
            for event in spoiled:
                index = event.number - 1
                numpy.testing.assert_array_equal(session.pattern(index), event.frame.pattern)
                assert {r.reason for r in session.measurement(index).readings.values()} == {TROUBLE}
        last = of(StepCompleted, events)[-1]
        assert last.dose.exposure_s == pytest.approx(0.01 * exposed + instrument.survey_exposure_s)


def test_what_was_disturbed_is_not_learned_and_not_measured_again() -> None:
    plain, disturbed = (
        run(Disturbed(frozenset(numbers)), changed(PLAN, reference_repeated=0)) for numbers in ((), {REFERENCE + 2})
    )
    places = [
        [event.measurement.proposal.candidate for event in of(PointMeasured, each)] for each in (plain, disturbed)
    ]
    assert places[0][:6] == places[1][:6], "seeds are drawn before"
    assert len(set(places[1])) == 12
    assert of(StepCompleted, disturbed)[2].best.proposal.candidate != places[1][2]


def test_the_references_exposures_are_made_again() -> None:
    instrument = Disturbed(frozenset({1}), frozenset({3}))
    events = run(instrument)
    assert events[-1].outcome is Outcome.FINISHED
    assert instrument.exposed[1] == instrument.exposed[2], "the place of the one that was disturbed"
    (found,) = [event for event in events if type(event).__name__ == "ReferenceFound"]
    assert len(found.frames) == REFERENCE
    assert not any(frame.untrusted for frame in found.frames)


def test_a_repeated_exposure_that_was_disturbed_tells_nothing() -> None:
    """It is kept, and the next one is made when it is due."""
    instrument = Disturbed(frozenset({REFERENCE + 10}))
    events = run(instrument, changed(PLAN, seed_points=21))
    repeated = of(ReferenceRepeated, events)
    assert [bool(event.repeated.frame.untrusted) for event in repeated] == [True, False]
    assert [event.repeated.measured for event in repeated] == [10, 20], "it has cost a dose"
    assert 10 not in [len(event.measurements) for event in of(ReadingsRevised, events)], "nothing became known"
    assert len([event for event in of(RunPaused, events) if event.paused]) == 1


@pytest.mark.parametrize("number", [0, REFERENCE, REFERENCE + 4])
@pytest.mark.parametrize("kind", ["untrusted", "refused"])
def test_a_run_that_waits_can_be_stopped(number, kind) -> None:
    events = run(Disturbed(**{kind: frozenset({number})}), stop=True)
    assert events[-1].outcome is Outcome.STOPPED
    assert len(of(PointMeasured, events)) == max(number - REFERENCE + (kind == "untrusted"), 0)
