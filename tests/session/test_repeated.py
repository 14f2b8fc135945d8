"""The reference's exposures that a run repeats are in its session, and a run that is taken up goes on from them."""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
import tempfile
import threading
from collections.abc import Mapping

import h5py
import numpy
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from dkl_ae.instruments import Frame
from dkl_ae.records import Position
from dkl_ae.run import Event, InterruptedRun, Outcome, ReferenceRepeated, Runner, RunPaused
from dkl_ae.scalarizers import SCALARIZERS, Scalarizer
from dkl_ae.session import SessionWriter, open_session, take_up
from dkl_ae.session.append import clear_writer_mark
from dkl_ae.session.layout import FORMAT_OF_1_10
from dkl_ae.settings import Plan, changed, make_plan
from dkl_ae.simulation import VirtualColumn, graphene_with_silicon
from tests.support.drifting_instrument import DriftingInstrument, linear
from tests.support.kept_runs import KilledError, MortalWriter, leave_open
from tests.support.surrogates import TrainedNeighbour

PLAN = make_plan(patch_size=5, seed_points=8, model_points=17, reference_repeated=20, random_seed=4)
DRIFT = linear(0.01)


def instrument(exposed: int = 0, untrusted: frozenset[int] = frozenset()) -> DriftingInstrument:
    """exposed: patterns before: it goes on as if it had exposed them."""
    microscope = DriftingInstrument(VirtualColumn(graphene_with_silicon(), seed=0), DRIFT, untrusted=untrusted)
    microscope.column.scan_shape = (24, 24)
    microscope.exposed = [Position(0.5, 0.5)] * exposed
    return microscope


def run(
    file: pathlib.Path,
    killed_at: int | None = None,
    microscope: DriftingInstrument | None = None,
    plan: Plan = PLAN,
) -> list[Event]:
    """The events of a run into a file; it is killed after one of them."""
    events: list[Event] = []

    def show(event: Event) -> None:
        events.append(event)
        if isinstance(event, RunPaused) and event.paused:
            threading.Timer(0.01, runner.resume).start()
        if len(events) - 1 == killed_at:
            writer.kill()

    writer = MortalWriter(file, plan, SCALARIZERS)
    runner = Runner(microscope or instrument(), plan, show, TrainedNeighbour, recorder=writer)
    try:
        runner.run()
    except KilledError:
        leave_open(writer, file)
    return events


def go_on(file: pathlib.Path, untrusted: frozenset[int] = frozenset()) -> list[Event]:
    with open_session(file) as session:
        exposed = len(session.reference_frames()) + session.count + len(session.repeated_exposures())
    interrupted, scalarizers, writer = take_up(file)
    return resumed(interrupted, scalarizers, writer, instrument(exposed, untrusted))


def resumed(
    interrupted: InterruptedRun,
    scalarizers: Mapping[str, Scalarizer],
    writer: SessionWriter,
    microscope: DriftingInstrument,
) -> list[Event]:
    events: list[Event] = []
    Runner(
        microscope,
        interrupted.plan,
        events.append,
        TrainedNeighbour,
        scalarizers=scalarizers,
        recorder=writer,
        interrupted=interrupted,
    ).run()
    return events


def contents(file: pathlib.Path) -> dict[str, object]:
    with open_session(file) as session, h5py.File(file) as opened:
        return {
            "outcome": session.outcome,
            "proposals": [repr(m.proposal) for m in session.measurements],
            "readings": [repr(m.readings) for m in session.measurements],
            "doses": [session.dose(measured) for measured in range(session.count + 1)],
            "repeated": {name: column.tolist() for name, column in session.repeated.items()},
            "repeated patterns": opened["reference_repeated/patterns"][:].tobytes(),
            "maps": [opened[f"maps/{name}"][:].tobytes() for name in ("prediction", "uncertainty", "acquisition")],
        }


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[pathlib.Path, list[Event]]:
    file = tmp_path_factory.mktemp("repeated") / "whole.h5"
    return file, run(file)


def told_of(frame: Frame) -> dict[str, object]:
    return {name: value for name, value in vars(frame).items() if name != "pattern"}


def test_what_was_repeated_is_in_the_file(whole) -> None:
    file, events = whole
    told = [event for event in events if isinstance(event, ReferenceRepeated)]
    assert [event.repeated.measured for event in told] == [5, 10, 15, 20, 25]
    with open_session(file) as session:
        kept = session.repeated_exposures()
        for event, exposure in zip(told, kept, strict=True):
            expected = event.repeated
            assert (exposure.number, exposure.place) == (expected.number, expected.place)
            assert (exposure.measured, exposure.is_trusted) == (expected.measured, expected.is_trusted)
            numpy.testing.assert_array_equal(exposure.frame.pattern, expected.frame.pattern)
            assert told_of(exposure.frame) == told_of(expected.frame)
            assert session.dose(expected.measured) == event.dose
        first = session.measurements[0].readings["com_x"]
        assert first.common_sigma > 0


@pytest.mark.exhaustive(ordinary=6, full=60)
@pytest.mark.timeout(3000)
def test_a_run_that_is_killed_at_any_event_goes_on_as_if_it_had_not_been(whole, times) -> None:
    @seed(20261128)
    @settings(max_examples=times, deadline=None, database=None)
    @given(st.integers(2, len(whole[1]) - 2))
    def law(killed_at: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "killed.h5")
            run(file, killed_at)
            assert go_on(file)[-1].outcome is Outcome.FINISHED
            assert contents(file) == contents(whole[0])

    law()


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_a_run_that_is_killed_around_a_repeated_exposure_goes_on_as_if_it_had_not_been(whole, tmp_path, offset) -> None:
    """Just before it, just after it, and once its readings are known."""
    place = next(number for number, event in enumerate(whole[1]) if isinstance(event, ReferenceRepeated))
    run(tmp_path / "killed.h5", place + offset)
    go_on(tmp_path / "killed.h5")
    assert contents(tmp_path / "killed.h5") == contents(whole[0])


def test_what_was_not_believed_of_a_repeated_exposure_is_not_believed_after_a_kill_either(tmp_path) -> None:
    disturbed = frozenset({PLAN.reference.frames + 5})
    run(tmp_path / "whole.h5", microscope=instrument(0, disturbed))
    events = run(tmp_path / "killed.h5", 35, instrument(0, disturbed))
    repeated = [event.repeated for event in events if isinstance(event, ReferenceRepeated)]
    assert [exposure.is_trusted for exposure in repeated] == [False, True]
    go_on(tmp_path / "killed.h5", disturbed)
    assert contents(tmp_path / "killed.h5") == contents(tmp_path / "whole.h5")


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: dataclasses.replace(frame, pattern=frame.pattern[:32]),
        lambda frame: dataclasses.replace(frame, mrad_per_pixel=(5.0, 5.0)),
    ],
)
def test_a_run_that_a_camera_of_another_setting_has_ended_goes_on_without_that_exposure(tmp_path, change) -> None:
    microscope = instrument()
    acquire = microscope.acquire_pattern

    def acquire_pattern(position: Position) -> Frame:
        frame = acquire(position)
        return change(frame) if len(microscope.exposed) == PLAN.reference.frames + 11 + 1 else frame

    microscope.acquire_pattern = acquire_pattern
    events = run(tmp_path / "run.h5", microscope=microscope)
    assert events[-1].outcome is Outcome.FAILED
    told = [event.repeated for event in events if isinstance(event, ReferenceRepeated)]
    assert [exposure.is_trusted for exposure in told] == [True, False]
    assert go_on(tmp_path / "run.h5")[-1].outcome is Outcome.FINISHED
    with open_session(tmp_path / "run.h5") as session:
        kept = session.repeated_exposures()
        assert [exposure.is_trusted for exposure in kept[:3]] == [True, False, True]
        numpy.testing.assert_array_equal(kept[1].frame.pattern, told[1].frame.pattern)


@pytest.mark.parametrize("killed_at", range(55, 67, 2))
def test_a_zero_that_is_never_known_well_is_looked_at_once_a_point(tmp_path, killed_at) -> None:
    """Whether the run is killed or not: a plan with exposures to spare hides no second one."""
    plan = changed(PLAN, reference_repeated=50)
    walk = numpy.random.default_rng(5).normal(0, 0.05, (200, 2)).cumsum(axis=0)

    def microscope(exposed: int = 0) -> DriftingInstrument:
        moving = instrument(exposed)
        moving._drift = lambda seconds: tuple(walk[int(seconds)] * (seconds > 15))
        return moving

    run(tmp_path / "whole.h5", microscope=microscope(), plan=plan)
    run(tmp_path / "killed.h5", killed_at, microscope(), plan)
    with open_session(tmp_path / "killed.h5") as session:
        exposed = len(session.reference_frames()) + session.count + len(session.repeated_exposures())
    resumed(*take_up(tmp_path / "killed.h5"), microscope(exposed))
    assert contents(tmp_path / "killed.h5") == contents(tmp_path / "whole.h5")


def test_one_whose_point_was_lost_with_the_power_is_lost_with_it(whole, tmp_path) -> None:
    """The point is measured again, and the exposure is repeated again after it."""
    file, third = tmp_path / "cut.h5", 15
    place = [
        number
        for number, event in enumerate(whole[1])
        if isinstance(event, ReferenceRepeated) and event.repeated.measured == third
    ]
    run(file, place[0])
    clear_writer_mark(file)
    with h5py.File(file, "r+", libver=FORMAT_OF_1_10) as opened:
        groups = [opened["measurements"], *opened["readings"].values()]
        for column in (column for group in groups for column in group.values()):
            column.resize(third - 1, axis=0)
    with open_session(file) as session:
        assert [exposure.measured for exposure in session.repeated_exposures()] == [5, 10]
    go_on(file)
    assert contents(file)["repeated"] == contents(whole[0])["repeated"]
    assert contents(file)["proposals"] == contents(whole[0])["proposals"]


class OtherPatterns(DriftingInstrument):
    """What it exposes again is of another type than all before."""

    def __init__(self, dtype: str) -> None:
        super().__init__(VirtualColumn(graphene_with_silicon(), seed=0), DRIFT)
        self.column.scan_shape = (24, 24)
        self._dtype = dtype

    def acquire_pattern(self, position: Position) -> Frame:
        seen = position in self.exposed
        frame = super().acquire_pattern(position)
        counts = frame.pattern + 0.25 if seen else frame.pattern
        return dataclasses.replace(frame, pattern=counts.astype(self._dtype if seen else numpy.uint16))


@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_an_exposure_of_another_type_is_kept_as_it_was(tmp_path, dtype) -> None:
    events = run(tmp_path / "run.h5", microscope=OtherPatterns(dtype))
    told = [event.repeated for event in events if isinstance(event, ReferenceRepeated)]
    assert len(told) == 5
    with open_session(tmp_path / "run.h5") as session:
        for kept, expected in itertools.zip_longest(session.repeated_exposures(), told):
            numpy.testing.assert_array_equal(kept.frame.pattern, expected.frame.pattern)


def test_a_run_goes_on_in_a_file_that_has_no_place_for_them_and_repeats_none(tmp_path) -> None:
    """One of before runs repeated any."""
    file = tmp_path / "earlier.h5"
    run(file, killed_at=10)
    clear_writer_mark(file)
    with h5py.File(file, "r+", libver=FORMAT_OF_1_10) as opened:
        del opened["reference_repeated"]
    events = go_on(file)
    assert events[-1].outcome is Outcome.FINISHED
    assert not any(isinstance(event, ReferenceRepeated) for event in events)
    with open_session(file) as session:
        assert session.repeated_exposures() == ()
        assert session.count == PLAN.search.points
