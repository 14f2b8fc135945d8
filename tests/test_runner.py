"""The loop: the order in which things become safe, and how it ends."""

from __future__ import annotations

import dataclasses
import itertools
import threading

import numpy
import pytest

from dkl_ae.acquisition import ACQUISITIONS
from dkl_ae.experiment import VALUE, Plan
from dkl_ae.measurement import Origin
from dkl_ae.runner import (
    Dose,
    Event,
    Outcome,
    PointMeasured,
    ReferenceFound,
    RunEnded,
    Runner,
    RunPaused,
    StepCompleted,
    SurveyAcquired,
    darkest_places,
)
from dkl_ae.survey import Survey
from tests.simulated_instrument import ELECTRONS_PER_S, EXPOSURE_S, SURVEY_S, SimulatedInstrument, failing_at

PLAN = Plan(patch_size=7, seed_points=4, steps=6, device="cpu")


def run(instrument: SimulatedInstrument, plan: Plan = PLAN) -> list[Event]:
    events: list[Event] = []
    ended = Runner(instrument, plan, events.append).run()
    assert events[-1] is ended
    assert instrument.blanked
    assert instrument.log[-1] == "restore"
    return events


def of(kind: type, events: list[Event]) -> list:
    return [event for event in events if isinstance(event, kind)]


def test_a_run_tells_of_each_thing_in_its_order() -> None:
    events = run(SimulatedInstrument())
    kinds = [type(event) for event in events]
    assert kinds == [SurveyAcquired, ReferenceFound, *[PointMeasured, StepCompleted] * 10, RunEnded]
    assert events[-1] == RunEnded(Outcome.FINISHED, "Finished: 10 points measured.")
    assert [event.step for event in of(PointMeasured, events)] == list(range(1, 11))


def test_the_model_speaks_from_the_last_seed_on() -> None:
    completed = of(StepCompleted, run(SimulatedInstrument()))
    assert [event.maps is not None for event in completed] == [False] * 3 + [True] * 7
    assert completed[-1].next is None
    assert completed[-2].next is not None


def test_no_place_is_measured_twice() -> None:
    measured = [event.measurement.proposal.candidate for event in of(PointMeasured, run(SimulatedInstrument()))]
    assert len(set(measured)) == 10


def test_the_dose_ledger_is_current_times_exposure_of_everything() -> None:
    events = run(SimulatedInstrument())
    dose = of(StepCompleted, events)[-1].dose
    exposure_s = SURVEY_S + (4 + 10) * EXPOSURE_S
    assert dose.exposure_s == pytest.approx(exposure_s)
    assert dose.electrons == pytest.approx(exposure_s * ELECTRONS_PER_S)


def test_without_a_known_current_the_ledger_counts_seconds() -> None:
    assert Dose().add(0.5, None).add(0.25, None) == Dose(0.75, None)


def test_a_run_starts_from_what_another_has_learned(tmp_path) -> None:
    """Without seeds, and its first place is the model's choice."""
    first = Runner(SimulatedInstrument(), PLAN, lambda event: None)
    assert first.pretrained() is None
    first.run()
    file = tmp_path / "first.dklmodel"
    first.pretrained().save(file)
    events = run(SimulatedInstrument(), dataclasses.replace(PLAN, seed_points=0, pretrained=str(file)))
    assert events[-1] == RunEnded(Outcome.FINISHED, "Finished: 6 points measured.")
    origins = [event.measurement.proposal.origin for event in of(PointMeasured, events)]
    assert origins == [Origin.MODEL] * 6
    assert all(event.maps is not None for event in of(StepCompleted, events))


def test_an_angle_starts_from_both_of_its_parts(tmp_path) -> None:
    plan = dataclasses.replace(PLAN, scalarizer="com_angle")
    first = Runner(SimulatedInstrument(), plan, lambda event: None)
    first.run()
    first.pretrained().save(tmp_path / "angle.dklmodel")
    again = dataclasses.replace(plan, seed_points=0, pretrained=str(tmp_path / "angle.dklmodel"))
    assert run(SimulatedInstrument(), again)[-1].outcome is Outcome.FINISHED


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"pretrained": "nowhere.dklmodel"}, "The saved model nowhere.dklmodel cannot be read"),
        ({"scalarizer": "abf"}, "The saved model predicts com_magnitude but the run is driven by abf"),
        ({"patch_size": 9}, "The saved model sees patches of 7 px but the run has 9 px"),
    ],
)
def test_a_start_that_does_not_fit_costs_no_dose(changes, sentence, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = Runner(SimulatedInstrument(), PLAN, lambda event: None)
    first.run()
    first.pretrained().save(tmp_path / "first.dklmodel")
    plan = dataclasses.replace(PLAN, **{"pretrained": "first.dklmodel", **changes})
    (ended,) = run(SimulatedInstrument(), plan)
    assert ended.outcome is Outcome.FAILED
    assert ended.message.startswith(sentence)


@pytest.mark.parametrize(
    ("acquisition", "scalarizer"), zip(ACQUISITIONS, itertools.cycle(["com_magnitude", "com_angle"]), strict=False)
)
def test_every_acquisition_function_chooses(acquisition, scalarizer) -> None:
    plan = dataclasses.replace(
        PLAN, acquisition=acquisition, scalarizer=scalarizer, goal=VALUE, goal_value=0.2, batch_size=2, travel_cost=0.5
    )
    events = run(SimulatedInstrument(), plan)
    assert events[-1] == RunEnded(Outcome.FINISHED, "Finished: 10 points measured.")
    last = of(StepCompleted, events)[-1]
    assert numpy.nanmax(last.maps.acquisition) >= numpy.nanmin(last.maps.acquisition)
    assert "intervals x" in last.explanation


def test_equal_seeds_take_equal_paths() -> None:
    paths = [
        [event.measurement.proposal for event in of(PointMeasured, run(SimulatedInstrument(seed=3)))] for _ in range(2)
    ]
    assert paths[0] == paths[1]


@pytest.mark.parametrize("exposure", [1, 4, 5, 9])
def test_a_camera_that_fails_ends_the_run_with_its_sentence(exposure) -> None:
    events = run(SimulatedInstrument(trouble=failing_at(exposure)))
    assert events[-1] == RunEnded(Outcome.FAILED, "The camera failed: check it, then start again.")
    assert len(of(PointMeasured, events)) == max(0, exposure - 5)


def test_an_unforeseen_failure_is_named_and_the_beam_is_blanked() -> None:
    def trouble(exposure: int) -> None:
        if exposure == 6:
            raise ZeroDivisionError("nobody thought of this")

    events = run(SimulatedInstrument(trouble=trouble))
    assert events[-1].outcome is Outcome.FAILED
    assert "ZeroDivisionError: nobody thought of this" in events[-1].message


def test_one_pattern_without_beam_is_kept_and_skipped() -> None:
    def trouble(exposure: int) -> numpy.ndarray | None:
        return numpy.zeros((64, 64)) if exposure == 6 else None

    events = run(SimulatedInstrument(trouble=trouble))
    assert events[-1].outcome is Outcome.FINISHED
    points = of(PointMeasured, events)
    assert [bool(numpy.isnan(p.measurement.readings["com_x"].value)) for p in points] == [False, True] + [False] * 8


def test_three_patterns_without_beam_end_the_run() -> None:
    def trouble(exposure: int) -> numpy.ndarray | None:
        return numpy.zeros((64, 64)) if exposure >= 7 else None

    events = run(SimulatedInstrument(trouble=trouble))
    assert events[-1].outcome is Outcome.FAILED
    assert events[-1].message.startswith("The last 3 patterns held 0 electrons where about 187")
    assert len(of(PointMeasured, events)) == 5


def test_a_reference_without_beam_is_refused() -> None:
    events = run(SimulatedInstrument(trouble=lambda exposure: numpy.zeros((64, 64))))
    assert events[-1].outcome is Outcome.FAILED
    assert events[-1].message.startswith("The reference pattern holds 0 counts: the beam is off or blocked")


def test_a_beam_that_cannot_be_blanked_is_the_first_thing_said() -> None:
    instrument = SimulatedInstrument()

    def cannot_blank() -> None:
        raise RuntimeError("the blanker does not answer")

    events: list[Event] = []
    runner = Runner(instrument, PLAN, events.append)
    run_survey = instrument.acquire_survey

    def survey_then_break() -> Survey:
        instrument.blank = cannot_blank
        return run_survey()

    instrument.acquire_survey = survey_then_break
    ended = runner.run()
    assert ended.outcome is Outcome.FAILED
    assert ended.message.startswith(
        "The beam could not be blanked: blank it by hand now (the blanker does not answer)."
    )
    assert instrument.log[-1] == "restore"


def test_stop_ends_the_run_and_says_so() -> None:
    events: list[Event] = []
    instrument = SimulatedInstrument()

    def record(event: Event) -> None:
        events.append(event)
        if isinstance(event, StepCompleted) and event.step == 5:
            runner.stop()

    runner = Runner(instrument, PLAN, record)
    assert runner.run() == RunEnded(Outcome.STOPPED, "Stopped: everything measured so far is saved.")
    assert len(of(PointMeasured, events)) == 5
    assert "abort" in instrument.log
    assert instrument.blanked


def test_an_exposure_broken_off_by_stop_is_no_failure() -> None:
    instrument = SimulatedInstrument(trouble=failing_at(7))

    def record(event: Event) -> None:
        if isinstance(event, PointMeasured) and event.step == 2:
            runner._stop.set()

    runner = Runner(instrument, PLAN, record)
    assert runner.run().outcome is Outcome.STOPPED


def test_a_pause_holds_until_it_is_lifted() -> None:
    paused, events = threading.Event(), []

    def record(event: Event) -> None:
        events.append(event)
        if isinstance(event, StepCompleted) and event.step == 2:
            runner.pause()
        if event == RunPaused(True):
            assert instrument.blanked
            paused.set()

    instrument = SimulatedInstrument()
    runner = Runner(instrument, PLAN, record)
    thread = threading.Thread(target=runner.run)
    thread.start()
    assert paused.wait(10)
    assert len(of(PointMeasured, events)) == 2
    runner.resume()
    thread.join(60)
    assert RunPaused(False) in events
    assert events[-1].outcome is Outcome.FINISHED


def test_a_pause_after_a_stop_holds_nothing() -> None:
    instrument = SimulatedInstrument()

    def record(event: Event) -> None:
        if isinstance(event, StepCompleted) and event.step == 2:
            runner.stop()
            runner.pause()

    runner = Runner(instrument, PLAN, record)
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


def test_the_darkest_places_are_those_of_the_hole() -> None:
    instrument = SimulatedInstrument()
    survey = instrument.acquire_survey()
    y, x = instrument.column.specimen.sites["hole"]
    for row, column in darkest_places(survey, 4):
        distance = numpy.hypot((row + 0.5) * survey.pixel_size_nm - y, (column + 0.5) * survey.pixel_size_nm - x)
        assert distance < 0.7
