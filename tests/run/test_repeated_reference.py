"""A zero that drifts: runs expose their reference again, and read all shifts against where it was at their time."""

from __future__ import annotations

import dataclasses
import math

import numpy
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from dkl_ae.instruments import Frame
from dkl_ae.patterns import Patterns, Zeros
from dkl_ae.records import InstrumentError, Position
from dkl_ae.run import (
    Event,
    Outcome,
    PointMeasured,
    ReadingsRevised,
    ReferenceFound,
    ReferenceRepeated,
    RepeatedExposure,
    Runner,
)
from dkl_ae.run import StepCompleted as Completed
from dkl_ae.run.followed_zero import FollowedZero
from dkl_ae.run.reference_exposures import reference_from, reference_pixels
from dkl_ae.scalarizers import SCALARIZERS, ScalarizerResult, catalogue, read
from dkl_ae.settings import Plan, changed, make_plan
from dkl_ae.simulation import VirtualColumn, graphene_with_silicon
from tests.support.drifting_instrument import (
    START_S,
    STEP_S,
    Drift,
    DriftingInstrument,
    at_rest,
    errors_mrad,
    known_at_the_end,
    linear,
)
from tests.support.recorded_specimen import instrument as recording
from tests.support.surrogates import NearestNeighbour

PLAN = make_plan(patch_size=7, seed_points=40, model_points=0, random_seed=2)
READ = ("com_magnitude", "com_y", "com_x", "bragg_spacing", "composite")
"""To read everything takes long."""
COUNTING_MRAD = 0.011
"""Standard deviation of a shift of these patterns."""


def run_on(instrument: DriftingInstrument, plan: Plan = PLAN) -> tuple[Runner, list[Event]]:
    events: list[Event] = []
    known = catalogue(expression=plan.objective.expression)
    read = {name: known[name] for name in READ if name in known}
    runner = Runner(instrument, plan, events.append, NearestNeighbour, scalarizers=read)
    runner.run()
    return runner, events


def drifting(drift: Drift, seed: int = 0) -> DriftingInstrument:
    return DriftingInstrument(VirtualColumn(graphene_with_silicon(), seed=seed), drift, seed)


def of(kind: type, events: list[Event]) -> list:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize("mrad_per_exposure", [0.0, 0.001, 0.01, 0.05])
def test_shifts_are_as_well_known_as_without_drift(mrad_per_exposure) -> None:
    instrument = drifting(linear(mrad_per_exposure))
    runner, events = run_on(instrument)
    errors, sigmas = errors_mrad(instrument, runner.reference, known_at_the_end(events))
    assert numpy.sqrt((errors**2).mean()) < 1.6 * COUNTING_MRAD
    assert (numpy.abs(errors) < 2 * sigmas).mean() > 0.9
    told = [notice for event in of(Completed, events) for notice in event.notices if "has moved" in notice]
    assert bool(told) == (mrad_per_exposure >= 0.01 or (len(told) > 0 and mrad_per_exposure > 0))
    assert all("all shifts are read against where it was at their time" in notice for notice in told)


def test_without_repeated_exposures_a_drift_is_taken_for_the_specimens() -> None:
    """What the others are worth: the law above can fail."""
    instrument = drifting(linear(0.01))
    runner, events = run_on(instrument, changed(PLAN, reference_repeated=0))
    assert not of(ReferenceRepeated, events)
    errors, _ = errors_mrad(instrument, runner.reference, known_at_the_end(events))
    assert numpy.sqrt((errors**2).mean()) > 10 * COUNTING_MRAD


@given(st.integers(0, 20), st.integers(1, 45), st.floats(0, 60), st.sampled_from([0.0, 0.02]))
@settings(max_examples=6, deadline=None)
def test_no_more_exposures_are_repeated_than_the_plan_allows(seed, points, percent, drift) -> None:
    instrument = drifting(linear(drift), seed)
    plan = changed(PLAN, seed_points=points, reference_repeated=percent)
    _, events = run_on(instrument, plan)
    repeated = of(ReferenceRepeated, events)
    (found,) = of(ReferenceFound, events)
    for number, event in enumerate(repeated, 1):
        assert number <= percent / 100 * event.repeated.measured
        assert event.repeated.frame.position_read_back == found.frames[event.repeated.place].position_read_back
    assert len(instrument.exposed) == len(found.frames) + points + len(repeated)
    exposed_s = found.dose.exposure_s + 0.01 * (points + len(repeated))
    assert of(Completed, events)[-1].dose.exposure_s == pytest.approx(exposed_s)
    assert len({event.repeated.measured for event in repeated}) == len(repeated)


def test_the_places_of_the_reference_take_turns() -> None:
    _, events = run_on(drifting(linear(0.02)))
    places = [event.repeated.place for event in of(ReferenceRepeated, events)]
    assert places == [number % PLAN.reference.frames for number in range(len(places))]
    assert len(places) == 4


def repeated_in_a_run(drift: Drift, points: int) -> list[int]:
    """After how many points an exposure of the reference is repeated; no point is exposed."""
    instrument = drifting(drift)
    survey = instrument.acquire_survey()
    places = [survey.position(int(row), int(column)) for row, column in reference_pixels(survey, PLAN)]
    frames = [instrument.acquire_pattern(place) for place in places]
    zero = FollowedZero(reference_from(frames, PLAN), frames)
    repeated = []
    for measured in range(1, points + 1):
        time = START_S + STEP_S * len(instrument.exposed)
        instrument.exposed.append(places[0])
        place = zero.due(measured, time, at_most=0.1)
        if place is not None:
            frame = instrument.acquire_pattern(zero.position(place))
            zero.repeated(RepeatedExposure(zero.next_number, place, measured, frame, is_trusted=True))
            repeated.append(measured)
    return repeated


def test_a_zero_at_rest_is_looked_at_less_and_less_often() -> None:
    """Nothing is gained by exposing for what is known."""
    rest = repeated_in_a_run(at_rest, 400)
    swinging = repeated_in_a_run(lambda seconds: (0.05 * math.sin(seconds / 7), 0.0), 400)
    assert len(rest) < 0.6 * len(swinging)
    assert len(swinging) >= 35, "what swings is looked at as often as may be"


def test_a_recording_that_gives_the_same_pattern_again_is_asked_once() -> None:
    """No two exposures count the same electrons: what does tells nothing new."""
    events: list[Event] = []
    plan = changed(PLAN, patch_size=5)
    assert Runner(recording(), plan, events.append, NearestNeighbour).run().outcome is Outcome.FINISHED
    assert len(of(ReferenceRepeated, events)) == 1
    revised = [{*m.readings} for event in of(ReadingsRevised, events) for m in event.measurements]
    assert len(of(ReadingsRevised, events)) == 1, "of the principal component alone"
    assert revised


class Spoiled(DriftingInstrument):
    """One of its repeated exposures is not what it should be."""

    def __init__(self, change) -> None:
        super().__init__(VirtualColumn(graphene_with_silicon(), seed=0), at_rest)
        self.change = change

    def acquire_pattern(self, position: Position) -> Frame:
        frame = super().acquire_pattern(position)
        return self.change(frame) if len(self.exposed) == PLAN.reference.frames + 11 else frame


def test_a_dark_exposure_is_kept_and_told_and_not_learned_from() -> None:
    instrument = Spoiled(lambda frame: dataclasses.replace(frame, pattern=0 * frame.pattern))
    runner, events = run_on(instrument)
    assert events[-1].outcome is Outcome.FINISHED
    first, *others = of(ReferenceRepeated, events)
    assert not first.repeated.frame.pattern.any()
    assert others
    told = [notice for event in of(Completed, events) for notice in event.notices]
    assert told[0].startswith("A repeated exposure of the reference tells nothing of its zero: beam is off or blocked")
    assert numpy.abs(errors_mrad(instrument, runner.reference, known_at_the_end(events))[0]).max() < 5 * COUNTING_MRAD


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda frame: dataclasses.replace(frame, position_read_back=Position(0.5, 0.5)),
            "The probe was at (0.5000, 0.5000) when it should expose at",
        ),
        (lambda frame: dataclasses.replace(frame, mrad_per_pixel=(5.0, 5.0)), "The reference has pixels of"),
        (lambda frame: dataclasses.replace(frame, pattern=frame.pattern[:32]), "The pattern is 32 x 64 pixels but"),
        (lambda frame: dataclasses.replace(frame, counts_per_electron=0.0), "The camera's gain is 0"),
    ],
)
def test_an_exposure_that_cannot_be_believed_is_kept_and_ends_the_run(change, message) -> None:
    _, events = run_on(Spoiled(change))
    assert events[-1].outcome is Outcome.FAILED
    assert events[-1].message.startswith(message)
    assert len(of(ReferenceRepeated, events)) == 1
    assert len(of(PointMeasured, events)) == 10


def test_a_camera_without_a_clock_is_read_as_one_whose_zero_rests() -> None:
    instrument = drifting(at_rest)
    acquire = instrument.acquire_pattern
    instrument.acquire_pattern = lambda position: dataclasses.replace(acquire(position), time=math.nan)
    runner, events = run_on(instrument)
    assert events[-1].outcome is Outcome.FINISHED
    assert numpy.abs(errors_mrad(instrument, runner.reference, known_at_the_end(events))[0]).max() < 5 * COUNTING_MRAD


def test_a_reading_that_needs_more_than_sums_keeps_its_first_value_and_others_are_revised() -> None:
    """An expression of a shift and of a drawn detector cannot be read again without the pattern."""
    plan = changed(PLAN, expression="com_x + 10 * annulus(1.2, 2)")
    _, events = run_on(drifting(linear(0.01)), plan)
    first = {event.measurement.proposal.candidate: event.measurement for event in of(PointMeasured, events)}
    for measurement in known_at_the_end(events):
        before = first[measurement.proposal.candidate].readings
        assert measurement.readings["composite"] == before["composite"]
    changes = [
        measurement.readings["com_x"].value - first[measurement.proposal.candidate].readings["com_x"].value
        for measurement in known_at_the_end(events)[:9]
    ]
    assert all(change != 0 for change in changes)


def test_without_a_drift_unlike_places_of_the_reference_move_no_reading() -> None:
    """The mean pattern weighs each exposure by its electrons: so must the zero that repeated exposures tell."""
    instrument = drifting(at_rest)
    survey = instrument.acquire_survey()
    places = [survey.position(row, column) for row, column in ((10, 10), (20, 90), (90, 20), (100, 100))]
    intensities, deflections = (1.0, 1.0, 0.1, 0.1), (0.0, 0.2, 1.0, 1.2)

    def exposure(number: int) -> Frame:
        pixel = instrument.column.mrad_per_pixel[1]
        vacuum = scipy.ndimage.shift(instrument.exact(Position(0.02, 0.02)), (0, deflections[number] / pixel), order=1)
        counts = numpy.random.default_rng(number).poisson(numpy.maximum(vacuum, 0) * intensities[number])
        return dataclasses.replace(instrument.acquire_pattern(places[number]), pattern=counts)

    frames = [exposure(number) for number in range(4)]
    zero = FollowedZero(reference_from(frames, PLAN), frames)
    again = dataclasses.replace(exposure(1), pattern=frames[1].pattern + 1, time=START_S + 30)
    assert zero.repeated(RepeatedExposure(1, 1, 10, again, is_trusted=True)) == ""
    zeros = zero.at(numpy.array([START_S + 30]))
    assert numpy.abs(zeros.shifts_mrad).max() < 3 * COUNTING_MRAD


@pytest.mark.parametrize("drift_mrad", [-1.0, -0.3, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("place", [Position(0.02, 0.02), Position(0.6, 0.45)])
def test_what_moves_with_the_zero_is_read_as_where_it_rests(drift_mrad, place) -> None:
    """A pattern that moved, read against a zero that moved alike: differential phase contrast too."""
    instrument = drifting(at_rest)
    reference = reference_from([instrument.acquire_pattern(Position(0.02, 0.02)) for _ in range(4)], PLAN)
    exact = instrument.exact(place)
    moves = numpy.array([0.6, -0.8]) * drift_mrad
    moved = scipy.ndimage.shift(exact, moves / instrument.column.mrad_per_pixel, order=1, mode="grid-wrap")
    zeros = Zeros(moves[numpy.newaxis], numpy.zeros((1, 2)))
    for name in ("com_x", "com_y", "com_magnitude", "dpc_x", "dpc_y"):
        rest = read(SCALARIZERS[name], Patterns(exact[numpy.newaxis], reference))
        followed = read(SCALARIZERS[name], Patterns(moved[numpy.newaxis], reference, zeros=zeros))
        left = read(SCALARIZERS[name], Patterns(moved[numpy.newaxis], reference))
        difference = abs(float(followed.value[0] - rest.value[0]))
        assert difference < 2 * float(rest.sigma[0])
        if name != "com_magnitude":
            assert difference < 0.25 * abs(float(left.value[0] - rest.value[0]))


def test_a_scalarizer_that_looks_at_pixels_is_not_read_again_without_them() -> None:
    """Neither to no number nor to a wrong one: what is not a number compares as false, and sums to nothing."""

    def count_bright(patterns: Patterns) -> ScalarizerResult:
        com = SCALARIZERS["com_x"].evaluate(patterns)
        return dataclasses.replace(com, value=com.value + (patterns.counts > 20).sum(axis=(1, 2)))

    own = dataclasses.replace(SCALARIZERS["com_x"], name="bright", evaluate=count_bright)
    events: list[Event] = []
    scalarizers = {**{name: SCALARIZERS[name] for name in READ if name in SCALARIZERS}, "bright": own}
    Runner(drifting(linear(0.01)), PLAN, events.append, NearestNeighbour, scalarizers=scalarizers).run()
    first = {event.measurement.proposal.candidate: event.measurement for event in of(PointMeasured, events)}
    assert len(of(ReferenceRepeated, events)) > 1
    for measurement in known_at_the_end(events):
        assert measurement.readings["bright"] == first[measurement.proposal.candidate].readings["bright"]


def test_a_run_that_is_stopped_at_a_repeated_exposure_has_told_its_last_point() -> None:
    class Stopping(DriftingInstrument):
        def acquire_pattern(self, position: Position) -> Frame:
            if len(self.exposed) == PLAN.reference.frames + 10:
                raise InstrumentError("The camera failed: check it, then start again.")
            return super().acquire_pattern(position)

    _, events = run_on(Stopping(VirtualColumn(graphene_with_silicon(), seed=0), at_rest))
    assert events[-1].outcome is Outcome.FAILED
    assert [event.number for event in of(Completed, events)] == list(range(1, 11))
