"""What an instrument says of its exposures is looked at before anything is believed of it; what it measured is kept."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import tempfile
import typing

import numpy
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dkl_ae.instruments import Frame
from dkl_ae.records import InstrumentError, Position, Survey
from dkl_ae.run import Dose, Event, Outcome, PointMeasured, ReferenceFound, RunEnded, Runner, SurveyAcquired
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.session import SessionWriter, open_session, take_up
from dkl_ae.settings import Plan, make_plan
from tests.support.recorded_specimen import SIDE, instrument, instrument_that_tells
from tests.support.surrogates import NearestNeighbour

PLAN = make_plan(patch_size=5, seed_points=2, model_points=3, compute_device="cpu")
CROSS = make_plan(
    scalarizer="charge_density",
    cross_arm_nm=0.05,
    patch_size=5,
    seed_points=2,
    model_points=1,
    compute_device="cpu",
)
FEW = {name: SCALARIZERS[name] for name in ("com_magnitude", "com_x", "bragg_spacing", "charge_density")}
"""The run needs no more of them."""
HALF_A_PIXEL = 0.5 / SIDE

no_length = st.sampled_from([math.nan, math.inf, -math.inf, -0.01, -1e300])
no_scale = no_length | st.just(0.0)
elsewhere = st.floats(1.01 * HALF_A_PIXEL, 1e3).flatmap(lambda far: st.sampled_from([far, -far])) | st.just(math.nan)
lies = st.one_of(
    st.fixed_dictionaries({"exposure_s": no_length}),
    st.fixed_dictionaries({"counts_per_electron": no_scale}),
    st.fixed_dictionaries({"mrad_per_pixel": st.tuples(no_scale, st.just(2.5)) | st.tuples(st.just(2.5), no_scale)}),
    st.fixed_dictionaries({"y": elsewhere}),
    st.fixed_dictionaries({"x": elsewhere}),
    st.fixed_dictionaries({"exposure_s": st.none()}),
    st.fixed_dictionaries({"position_read_back": st.none()}),
)


def told(frame: Frame, lie: dict[str, typing.Any]) -> Frame:
    """A frame of which something else is told; of its place, how far it is from the true one."""
    place = frame.position_read_back
    moved = Position(place.y + lie.get("y", 0), place.x + lie.get("x", 0))
    others = {name: value for name, value in lie.items() if name not in ("y", "x")}
    return dataclasses.replace(frame, **{"position_read_back": moved, **others})


class Honest(NearestNeighbour):
    """Remembers what it was told to learn from."""

    learned: typing.ClassVar[set[int]] = set()

    def fit(self, candidates: numpy.ndarray, values: numpy.ndarray, sigmas: numpy.ndarray) -> None:
        Honest.learned.update(candidates.tolist())
        super().fit(candidates, values, sigmas)


def lying_run(
    plan: Plan, exposure: int, lie: dict[str, typing.Any], file: pathlib.Path | None, scalarizers: typing.Any = FEW
) -> list[Event]:
    """The events of a run whose microscope tells something else of one exposure.

    file: of its session; None to keep nothing.
    """
    microscope = instrument_that_tells(lambda number, frame: told(frame, lie) if number == exposure else frame)
    Honest.learned.clear()
    events: list[Event] = []
    writer = SessionWriter(file, plan, scalarizers) if file is not None else None
    Runner(microscope, plan, events.append, Honest, scalarizers=scalarizers, recorder=writer).run()
    return events


@given(lies, st.integers(1, 4 + PLAN.search.points))
@example({"y": 1.01 * HALF_A_PIXEL}, 5)
@example({"y": math.nan}, 9)
def test_what_cannot_be_ends_the_run_and_is_not_learned_from(lie, exposure) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "run.h5")
        events = lying_run(PLAN, exposure, lie, file)
        assert events[-1].outcome is Outcome.FAILED
        assert "The program failed" not in events[-1].message
        points = [event for event in events if isinstance(event, PointMeasured)]
        assert len(points) == max(exposure - 4, 0)
        with open_session(file) as session:
            assert session.outcome is Outcome.FAILED
            assert session.count == len(points)
            doses = [session.dose(number) for number in range(session.count + 1)]
            seconds = [dose.exposure_s for dose in doses]
            assert all(math.isfinite(s) and s >= 0 for s in seconds)
            assert seconds == sorted(seconds)
            assert all(dose.electrons is not None and math.isfinite(dose.electrons) for dose in doses)
            if points:
                numpy.testing.assert_array_equal(session.pattern(session.count - 1), points[-1].frame.pattern)
                last = session.measurements[-1]
                assert all(math.isnan(reading.value) for reading in last.readings.values())
                assert {reading.reason for reading in last.readings.values()} == {events[-1].message}
                assert last.proposal.candidate not in Honest.learned


@given(st.floats(-0.99, 0.99), st.floats(-0.99, 0.99))
def test_a_probe_that_is_in_its_pixel_is_where_it_was_sent(y, x) -> None:
    events = lying_run(PLAN, 6, {"y": y * HALF_A_PIXEL, "x": x * HALF_A_PIXEL}, None)
    assert events[-1].outcome is Outcome.FINISHED


def test_a_run_that_ended_elsewhere_goes_on_without_that_point(tmp_path) -> None:
    file = tmp_path / "run.h5"
    events = lying_run(PLAN, 8, {"y": 0.2}, file, SCALARIZERS)
    assert "The probe was at" in events[-1].message
    interrupted, scalarizers, writer = take_up(file)
    Honest.learned.clear()
    ended = Runner(
        instrument(), interrupted.plan, lambda event: None, Honest, scalarizers=scalarizers, recorder=writer,
        interrupted=interrupted,
    ).run()  # fmt: skip
    assert ended.outcome is Outcome.FINISHED
    with open_session(file) as session:
        lost = session.measurements[3]
        assert all(math.isnan(reading.value) for reading in lost.readings.values())
        assert lost.proposal.candidate not in Honest.learned
        assert session.count == PLAN.search.points


@pytest.mark.parametrize("end", [1, 2, 3, 4])
@pytest.mark.parametrize("lie", [{"x": 0.02}, {"exposure_s": math.nan}])
def test_a_cross_with_an_end_elsewhere_gives_no_charge_density(end, lie) -> None:
    """An end must be nearer to its place than the cross is wide."""
    events = lying_run(CROSS, 4 + 5 + 1 + end, lie, None)
    assert events[-1].outcome is Outcome.FAILED
    last = [event for event in events if isinstance(event, PointMeasured)][-1]
    assert len(last.ends) == end
    assert math.isnan(last.measurement.readings["charge_density"].value)
    assert math.isfinite(last.measurement.readings["com_x"].value)
    assert len(Honest.learned) <= 1


@pytest.mark.parametrize("current", [math.nan, math.inf, -1e-12, "nan"])
def test_a_current_that_cannot_be_does_not_enter_the_ledger(current) -> None:
    microscope, events = instrument(), []
    microscope.beam_current_a = current
    Runner(microscope, PLAN, events.append, NearestNeighbour).run()
    survey, ended = events
    assert isinstance(survey, SurveyAcquired)
    assert survey.dose == Dose()
    assert ended == RunEnded(
        Outcome.FAILED,
        f"The beam current is {float(current):g} A: check how the microscope measures it, then start again.",
    )


@given(no_length, st.none() | st.floats(0, 1e-6))
def test_the_ledger_refuses_what_is_no_exposure(exposure_s, current_a) -> None:
    with pytest.raises(InstrumentError, match=r"The exposure is .* s: check"):
        Dose().add(exposure_s, current_a)


def test_a_survey_is_kept_though_its_exposure_is_unknown() -> None:
    class Unsure(type(instrument())):
        survey_exposure_s = property(lambda self: math.nan, lambda self, value: None)

    microscope, events = instrument(), []
    microscope.__class__ = Unsure
    Runner(microscope, PLAN, events.append, NearestNeighbour).run()
    assert [type(event) for event in events] == [SurveyAcquired, RunEnded]
    assert events[-1].outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "pattern",
    [
        None,
        "pattern",
        3.0,
        numpy.zeros(64),
        numpy.zeros((2, 64, 64)),
        numpy.zeros((0, 64)),
        numpy.zeros((64, 64), complex),
    ],
)
def test_what_is_no_pattern_is_told_in_a_sentence(pattern) -> None:
    events: list[Event] = []
    microscope = instrument()
    acquire = microscope.acquire_pattern
    microscope.acquire_pattern = lambda position: dataclasses.replace(acquire(position), pattern=pattern)
    Runner(microscope, PLAN, events.append, NearestNeighbour).run()
    assert events[-1].outcome is Outcome.FAILED
    assert events[-1].message.startswith("The camera gave ")
    assert not [event for event in events if isinstance(event, ReferenceFound)]


@given(st.sampled_from([math.inf, math.nan, 0.0, -1.0]))
def test_a_survey_has_pixels_of_some_size(pixel_size_nm) -> None:
    with pytest.raises(ValueError, match="The survey's pixel size is"):
        Survey(numpy.eye(3), pixel_size_nm)
