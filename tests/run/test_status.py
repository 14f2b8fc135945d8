"""Laws of a run's status: what is folded from its events is what happened."""

from __future__ import annotations

import functools

import pytest

from dkl_ae.experiment import ChangeObjective
from dkl_ae.records import Survey
from dkl_ae.run import (
    CommandApplied,
    Event,
    InterruptedRun,
    Outcome,
    Phase,
    PointMeasured,
    ReferenceFound,
    RunEnded,
    Runner,
    RunPaused,
    RunResumed,
    Status,
    StepCompleted,
    SurveyAcquired,
    begun,
    best_text,
    folded,
    news_text,
    progress_text,
    reading_text,
)
from dkl_ae.scalarizers import scalarizers_of
from dkl_ae.settings import FILE, changed, make_plan
from tests.support.simulated_instrument import SimulatedInstrument, failing_at
from tests.support.surrogates import NearestNeighbour

PLAN = make_plan(patch_size=7, seed_points=4, model_points=4, compute_device="cpu")
SCALARIZERS = scalarizers_of(PLAN.objective)
CHANGED_AFTER = 6


@functools.cache
def events_of_a_run() -> tuple[Event, ...]:
    """Eight points, another objective from the seventh on."""
    events: list[Event] = []

    def show(event: Event) -> None:
        events.append(event)
        if isinstance(event, StepCompleted) and event.number == CHANGED_AFTER:
            runner.give(ChangeObjective("abf", "smallest", 0.0))

    runner = Runner(SimulatedInstrument(), PLAN, show, NearestNeighbour)
    runner.run()
    return tuple(events)


def statuses() -> list[tuple[Event, Status]]:
    """Each event with the status after it."""
    status, after = begun(PLAN, SCALARIZERS), []
    for event in events_of_a_run():
        status = folded(status, event)
        after.append((event, status))
    return after


def event_of(kind: type) -> Event:
    return next(event for event in events_of_a_run() if isinstance(event, kind))


def test_without_a_run_there_is_nothing() -> None:
    status = Status()
    assert (status.phase, status.is_running, status.number, status.fraction) == (Phase.IDLE, False, 0, 0.0)
    assert status.latest_reading is status.best_reading is status.best_offset_nm is None
    assert progress_text(status) == best_text(status) == ""


def test_a_run_goes_through_its_phases_in_their_order() -> None:
    phases = [begun(PLAN, SCALARIZERS).phase, *(status.phase for _, status in statuses())]
    assert list(dict.fromkeys(phases)) == [Phase.SURVEY, Phase.REFERENCE, Phase.MEASURING, Phase.ENDED]
    assert phases == sorted(phases, key=list(Phase).index)
    assert [status.is_running for _, status in statuses()] == [True] * (len(phases) - 2) + [False]


def test_a_reference_of_a_file_is_not_waited_for() -> None:
    plan = changed(PLAN, reference=FILE, reference_file="vacuum.npz")
    acquired = event_of(SurveyAcquired)
    assert isinstance(acquired, SurveyAcquired)
    after = folded(begun(plan, SCALARIZERS), SurveyAcquired(plan, acquired.survey, acquired.dose))
    assert after.phase is Phase.MEASURING
    assert "reference" not in news_text(acquired, after)


def test_every_number_is_that_of_the_last_event_that_told_it() -> None:
    dose, number = begun(PLAN, SCALARIZERS).dose, 0
    for event, status in statuses():
        dose, number = getattr(event, "dose", dose), getattr(event, "number", number)
        assert (status.dose, status.number, status.points) == (dose, number, 8)
        if isinstance(event, PointMeasured):
            assert status.latest is event.measurement
        if isinstance(event, StepCompleted):
            assert status.fraction == event.number / 8
            told = (event.best, event.times, event.explanation, event.notices)
            assert (status.best, status.times, status.model, status.notices) == told
    assert statuses()[-1][1].outcome is Outcome.FINISHED
    assert statuses()[-1][1].message == "Finished: 8 points measured."


def test_readings_are_of_what_is_optimized_now() -> None:
    for _, status in statuses():
        if status.latest is None or status.best is None:
            continue
        name = "com_magnitude" if status.number <= CHANGED_AFTER and status.objective.goal == "largest" else "abf"
        assert status.latest_reading is status.latest.readings[name]
        assert status.best_reading is status.best.readings[name]
    assert status.objective.text() == "the smallest Virtual ABF"


def test_the_best_is_the_nearest_to_the_objective_and_lies_where_it_was_read_back() -> None:
    measurements = [event.measurement for event in events_of_a_run() if isinstance(event, PointMeasured)]
    status = statuses()[-1][1]
    assert status.best_reading.value == min(m.readings["abf"].value for m in measurements)
    (y, x), survey = status.best_offset_nm, status.survey
    height, width = (side * survey.pixel_size_nm for side in survey.shape)
    place = status.best.position_read_back
    assert (y / height + 0.5, x / width + 0.5) == pytest.approx((place.y, place.x))
    assert best_text(status) == f"{reading_text(status.best_reading)}\nat x {x:.3f}, y {y:.3f} nm"


def test_progress_speaks_of_points() -> None:
    status = statuses()[-1][1]
    assert progress_text(status) == f"Point 8 of 8: {reading_text(status.latest_reading)}"


@pytest.mark.parametrize("before", [0, 1, 2, 5])
@pytest.mark.parametrize("reason", ["", "The disk is full: make room."])
def test_a_pause_changes_nothing_but_that_the_run_is_held(before, reason) -> None:
    status = statuses()[before][1]
    held = folded(status, RunPaused(True, reason))
    assert (held.phase, held.pause_reason, held.is_running) == (Phase.PAUSED, reason, True)
    after = folded(held, RunPaused(False))
    assert vars(after) == vars(status)
    assert folded(held, RunEnded(Outcome.STOPPED, "Stopped.")).phase is Phase.ENDED


def test_a_run_that_fails_says_so_and_keeps_its_numbers() -> None:
    events: list[Event] = []
    Runner(SimulatedInstrument(trouble=failing_at(7)), PLAN, events.append, NearestNeighbour).run()
    status = functools.reduce(folded, events, begun(PLAN, SCALARIZERS))
    assert (status.phase, status.outcome) == (Phase.ENDED, Outcome.FAILED)
    assert status.message == "The camera failed: check it, then start again."
    assert status.number == sum(isinstance(event, PointMeasured) for event in events)


def test_a_run_that_is_resumed_has_measured_what_it_had_measured(tmp_path) -> None:
    events = events_of_a_run()
    history = tuple(event.measurement for event in events if isinstance(event, PointMeasured))[:5]
    acquired, found, applied = event_of(SurveyAcquired), event_of(ReferenceFound), event_of(CommandApplied)
    interrupted = InterruptedRun(PLAN, acquired, found, None, history, None, acquired.dose, tmp_path)
    resumed = RunResumed(applied.plan, applied.objective, interrupted, None, None, None, acquired.dose)
    status = folded(begun(PLAN, SCALARIZERS), resumed)
    assert (status.phase, status.number, status.dose) == (Phase.MEASURING, 5, acquired.dose)
    assert status.latest_reading is history[-1].readings["abf"]
    assert status.survey is acquired.survey
    assert isinstance(status.survey, Survey)
    assert status.reference is found.reference
    assert news_text(resumed, status).startswith("Resumed after 5 points, on the survey of then")
