"""What a saved session tells of its steps is what the run knew, and what any model would have made of it."""

from __future__ import annotations

import math

import h5py
import numpy
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.analysis import (
    counterfactual_plan,
    counterfactual_view,
    curves,
    empirical_coverage,
    nearest_step,
    next_place,
    nominal_coverage,
    recorded_view,
    standardized_errors,
    step_record,
)
from dkl_ae.experiment import ChangeObjective, Experiment, Objective
from dkl_ae.records import Origin, Patches, Position
from dkl_ae.run import Event, PointMeasured, Runner, StepCompleted
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.session import MAPS, Session, SessionWriter, open_session
from dkl_ae.settings import LARGEST, SMALLEST, VALUE, changed, to_json
from tests.support.kept_runs import QUICK_PLAN, SWITCHED_AFTER, kept_run
from tests.support.recorded_specimen import instrument
from tests.support.surrogates import NearestNeighbour

PLAN = QUICK_PLAN


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Session, list[Event]]:
    file = tmp_path_factory.mktemp("review") / "run.h5"
    events = kept_run(file, PLAN, NearestNeighbour, switched_after=SWITCHED_AFTER)
    return open_session(file), events


@pytest.fixture
def session(run) -> Session:
    return run[0]


def told(events: list[Event], kind: type) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def test_a_step_is_what_the_run_told_of_it(run) -> None:
    session, events = run
    for point, completed in zip(told(events, PointMeasured), told(events, StepCompleted), strict=True):
        step, proposal = step_record(session, point.number), point.measurement.proposal
        assert (step.number, step.origin) == (point.number, proposal.origin)
        assert (step.expected, step.uncertainty) == (proposal.expected, proposal.uncertainty)
        assert step.exploration == proposal.exploration
        assert step.scalarizer.name == ("com_magnitude" if point.number <= SWITCHED_AFTER else "abf")
        assert repr(step.reading) == repr(point.measurement.readings[step.scalarizer.name])
        assert (step.dose, step.times) == (completed.dose, completed.times)
        assert step.model == completed.explanation


def test_the_standardized_error_is_how_many_deviations_the_reading_was_off(session) -> None:
    found = standardized_errors(session)
    assert numpy.isnan(found[: PLAN.search.seed_points]).all()
    for index in range(PLAN.search.seed_points, session.count):
        measurement, step = session.measurement(index), step_record(session, index + 1)
        value, sigma = step.reading.value, step.reading.sigma
        if step.scalarizer.name == "com_magnitude":  # a magnitude is raised by its counting noise
            value -= float(step.scalarizer.excess(numpy.array(value), numpy.array(sigma)))
        off = value - measurement.proposal.expected
        assert found[index] == pytest.approx(off / math.hypot(measurement.proposal.uncertainty, sigma))
        assert step.standardized_error == found[index]


def test_a_surprising_angle_is_the_shorter_way_round(tmp_path) -> None:
    file = tmp_path / "angle.h5"
    kept_run(file, changed(PLAN, scalarizer="com_angle"), NearestNeighbour)
    with h5py.File(file, "r+") as opened:
        opened["measurements/expected"][7], opened["measurements/uncertainty"][7] = 3.1, 0.3
        opened["readings/com_angle/value"][7], opened["readings/com_angle/sigma"][7] = -3.1, 0.4
    with open_session(file) as session:
        assert standardized_errors(session)[7] == pytest.approx((2 * math.pi - 6.2) / 0.5)


def test_there_is_no_step_before_the_first_or_behind_the_last(session) -> None:
    for number in (0, session.count + 1):
        with pytest.raises(IndexError, match=f"There is no step {number}: choose one of 1 to {session.count}"):
            step_record(session, number)


@given(st.lists(st.floats(-5, 5) | st.just(math.nan), max_size=30), st.floats(0, 4))
def test_the_share_within_is_counted_over_those_that_were_expected(values, deviations) -> None:
    (share,) = empirical_coverage(numpy.array(values), numpy.array([deviations]))
    expected = [value for value in values if not math.isnan(value)]
    if expected:
        assert share == pytest.approx(sum(abs(value) <= deviations for value in expected) / len(expected))
    else:
        assert math.isnan(share)


def test_a_model_that_is_right_is_within_as_often_as_promised() -> None:
    deviations = numpy.linspace(0, 3, 7)
    drawn = numpy.random.default_rng(0).normal(size=100_000)
    numpy.testing.assert_allclose(empirical_coverage(drawn, deviations), nominal_coverage(deviations), atol=0.01)
    normal = scipy.stats.norm
    numpy.testing.assert_allclose(nominal_coverage(deviations), normal.cdf(deviations) - normal.cdf(-deviations))


def test_the_learning_curve_is_the_best_that_the_run_told(run) -> None:
    session, events = run
    found = curves(session, Objective.of(PLAN.objective, SCALARIZERS))
    numpy.testing.assert_array_equal(found.readings, session.readings["com_magnitude"][0])
    completed = told(events, StepCompleted)[:SWITCHED_AFTER]
    best = [event.best.readings["com_magnitude"].value for event in completed]
    numpy.testing.assert_array_equal(found.best[:SWITCHED_AFTER], best)
    assert numpy.isnan(found.expected[[*range(PLAN.search.seed_points), *range(SWITCHED_AFTER, session.count)]]).all()
    chosen = slice(PLAN.search.seed_points, SWITCHED_AFTER)
    numpy.testing.assert_array_equal(found.expected[chosen], session.columns["expected"][chosen])


@pytest.mark.parametrize(
    ("goal", "value", "closeness"),
    [(LARGEST, 0.0, lambda v: v), (SMALLEST, 0.0, lambda v: -v), (VALUE, 0.3, lambda v: -abs(v - 0.3))],
)
def test_the_learning_curve_follows_the_goal(session, goal, value, closeness) -> None:
    readings = session.readings["abf"][0]
    best = curves(session, Objective(SCALARIZERS["abf"], goal, value)).best
    assert list(best) == [max(readings[: step + 1], key=closeness) for step in range(session.count)]


def test_the_view_then_is_what_the_run_showed(run) -> None:
    session, events = run
    for event in told(events, StepCompleted):
        view = recorded_view(session, event.number)
        if event.maps is None:
            assert view is None
            continue
        assert (view.measured, view.model) == (event.number, event.explanation)
        # What was changed to after a step has not made its maps.
        assert view.objective.scalarizer.name == ("com_magnitude" if event.number <= SWITCHED_AFTER else "abf")
        for name in MAPS:
            shown = getattr(event.maps, name).astype(numpy.float32)
            numpy.testing.assert_array_equal(getattr(view.maps, name), shown)
        assert view.upcoming == next_place(session, event.number)


def test_the_next_place_is_known_before_the_model_is(run) -> None:
    session, events = run
    for event in told(events, StepCompleted):
        # A change of what is followed chooses the next place anew.
        if event.number != SWITCHED_AFTER:
            assert next_place(session, event.number) == event.next
    assert next_place(session, session.count) is None


def test_maps_that_were_not_kept_are_those_of_the_step_before(tmp_path) -> None:
    file = tmp_path / "many.h5"
    kept_run(file, changed(PLAN, model_points=105), NearestNeighbour)
    with open_session(file) as session:
        assert [recorded_view(session, number).measured for number in (7, 8, 9, 10)] == [7, 7, 9, 9]


@pytest.mark.parametrize("number", [6, 8, 13, 15])
def test_another_drivers_view_is_as_if_it_had_driven_from_the_start(session, number) -> None:
    """It asks for the same next place, too; but the readings are those of the places that were measured."""
    view = counterfactual_view(session, number, "bf", NearestNeighbour)
    change = ChangeObjective("bf", session.plan_at(number).objective.goal)
    plan = change.changed(session.plan_at(number))
    straight = Experiment(plan, SCALARIZERS, Patches(session.survey, plan.search.patch_size), NearestNeighbour)
    for measurement in session.measurements[:number]:
        straight.tell(measurement)
    switched = Experiment(PLAN, SCALARIZERS, Patches(session.survey, plan.search.patch_size), NearestNeighbour)
    for measurement in session.measurements[:number]:
        switched.tell(measurement)
    switched.apply(change)
    for subject in (straight, switched):
        for name in MAPS:
            numpy.testing.assert_array_equal(getattr(view.maps, name), getattr(subject.maps, name))
    assert (view.measured, view.model, view.objective.scalarizer.name) == (
        number,
        straight.explanation,
        "bf",
    )
    assert view.upcoming == (None if number == session.count else switched.ask())


def test_another_drivers_view_has_no_need_of_all_seeds_but_of_one_number(session) -> None:
    assert counterfactual_view(session, 1, "bf", NearestNeighbour).measured == 1
    assert counterfactual_view(session, session.count, "bragg_spacing", NearestNeighbour) is None


def test_the_run_s_own_model_fresh_from_the_seeds_is_learned_again(tmp_path) -> None:
    file = tmp_path / "seeds.h5"
    plan = changed(PLAN, model_points=0)
    Runner(instrument(), plan, lambda event: None, recorder=SessionWriter(file, plan, SCALARIZERS)).run()
    with open_session(file) as session:
        then, again = (
            recorded_view(session, PLAN.search.seed_points),
            counterfactual_view(session, PLAN.search.seed_points, PLAN.objective.scalarizer),
        )
        assert again.model == then.model
        for name in MAPS:
            numpy.testing.assert_allclose(getattr(again.maps, name), getattr(then.maps, name), rtol=1e-6)


def test_a_value_that_was_sought_is_not_sought_of_another_reading(tmp_path) -> None:
    file = tmp_path / "value.h5"
    kept_run(file, changed(PLAN, goal=VALUE, goal_value=0.2), NearestNeighbour)
    with open_session(file) as session:
        assert counterfactual_plan(session, 8, "abf").objective.goal == LARGEST
        assert (counterfactual_plan(session, 8, "com_magnitude").objective.goal, session.plan.objective.goal) == (
            VALUE,
            VALUE,
        )


def test_another_view_needs_no_file_of_the_runs(tmp_path) -> None:
    """Neither a saved model that it had started from, nor scalarizers of the user's own, nor a GPU."""
    file = tmp_path / "alone.h5"
    kept_run(file, PLAN, NearestNeighbour)
    with h5py.File(file, "r+") as opened:
        opened.attrs["plan"] = to_json(
            changed(
                PLAN,
                pretrained="gone.dklmodel",
                seed_points=0,
                model_points=15,
                scalarizer_file="gone.py",
                compute_device="gpu",
            )
        )
    with open_session(file) as session:
        assert (session.plan.model.pretrained, session.plan.objective.scalarizer_file) == ("gone.dklmodel", "gone.py")
        assert counterfactual_view(session, 8, "abf", NearestNeighbour).maps.prediction.shape == session.survey.shape
        assert counterfactual_plan(session, 8, "abf").model.compute_device == "auto"
        assert counterfactual_plan(session, 8, "abf").search.points == PLAN.search.points


def test_the_nearest_step_is_found_among_those_there_were(session) -> None:
    for number in (1, 7, session.count):
        measurement = session.measurement(number - 1)
        assert nearest_step(session, measurement.position_asked, number) == number
        assert nearest_step(session, measurement.position_asked, session.count) == number
    assert 1 <= nearest_step(session, Position(2.0, -1.0), 3) <= 3


def test_a_step_that_was_broken_off_has_no_times(tmp_path) -> None:
    file = tmp_path / "killed.h5"
    kept_run(file, PLAN, NearestNeighbour)
    with h5py.File(file, "r+") as opened:
        for column in opened["steps"].values():
            column.resize(PLAN.search.points - 1, axis=0)
    with open_session(file) as session:
        last = step_record(session, PLAN.search.points)
        assert (last.times, last.model) == (None, None)
        assert last.origin is Origin.MODEL
