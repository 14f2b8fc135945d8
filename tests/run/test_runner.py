"""The loop: the order in which things become safe, and how it ends."""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
import re
import threading

import numpy
import pytest

from dkl_ae.experiment import ACQUISITIONS, ChangeObjective
from dkl_ae.patterns import save_reference
from dkl_ae.records import Origin, Survey, darkest_pixels
from dkl_ae.run import (
    CommandApplied,
    Dose,
    Event,
    Outcome,
    PointMeasured,
    ReadingsRevised,
    ReferenceFound,
    RunEnded,
    Runner,
    RunPaused,
    StepCompleted,
    SurveyAcquired,
    begun,
    folded,
    news_text,
)
from dkl_ae.run.reference_exposures import reference_pixels
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.session.log import log_rows
from dkl_ae.settings import VALUE, Plan, changed, make_plan
from tests.support.simulated_instrument import ELECTRONS_PER_S, EXPOSURE_S, SURVEY_S, SimulatedInstrument, failing_at
from tests.support.surrogates import NearestNeighbour

PLAN = make_plan(patch_size=7, seed_points=4, model_points=6, reference_repeated=0, compute_device="cpu")


def run(instrument: SimulatedInstrument, plan: Plan = PLAN) -> list[Event]:
    """The events of a run whose model learns at once."""
    return checked_run(instrument, plan, NearestNeighbour)


def learning_run(instrument: SimulatedInstrument, plan: Plan = PLAN) -> list[Event]:
    """The events of a run with the model that its plan names."""
    return checked_run(instrument, plan, None)


def checked_run(
    instrument: SimulatedInstrument, plan: Plan, make_surrogate: type[NearestNeighbour] | None
) -> list[Event]:
    events: list[Event] = []
    ended = Runner(instrument, plan, events.append, make_surrogate).run()
    assert events[-1] is ended
    assert instrument.blanked
    assert instrument.log[-1] == "restore"
    return events


def of(kind: type, events: list[Event]) -> list:
    return [event for event in events if isinstance(event, kind)]


def test_a_run_tells_of_each_thing_in_its_order() -> None:
    events = run(SimulatedInstrument())
    kinds = [type(event) for event in events]
    # After the eighth pattern the principal component is known.
    steps = [*[PointMeasured, StepCompleted] * 7, PointMeasured, ReadingsRevised, StepCompleted]
    steps += [PointMeasured, StepCompleted] * 2
    assert kinds == [SurveyAcquired, ReferenceFound, *steps, RunEnded]
    assert events[-1] == RunEnded(Outcome.FINISHED, "Finished: 10 points measured.")
    assert [event.number for event in of(PointMeasured, events)] == list(range(1, 11))


def test_the_model_speaks_from_the_last_seed_on() -> None:
    completed = of(StepCompleted, learning_run(SimulatedInstrument()))
    assert [event.maps is not None for event in completed] == [False] * 3 + [True] * 7
    assert completed[-1].next is None
    assert completed[-2].next is not None


def test_no_place_is_measured_twice() -> None:
    measured = [
        event.measurement.proposal.candidate for event in of(PointMeasured, learning_run(SimulatedInstrument()))
    ]
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
    events = learning_run(SimulatedInstrument(), changed(PLAN, seed_points=0, pretrained=str(file)))
    assert events[-1] == RunEnded(Outcome.FINISHED, "Finished: 6 points measured.")
    origins = [event.measurement.proposal.origin for event in of(PointMeasured, events)]
    assert origins == [Origin.MODEL] * 6
    assert all(event.maps is not None for event in of(StepCompleted, events))


def test_an_angle_starts_from_both_of_its_parts(tmp_path) -> None:
    plan = changed(PLAN, scalarizer="com_angle")
    first = Runner(SimulatedInstrument(), plan, lambda event: None)
    first.run()
    first.pretrained().save(tmp_path / "angle.dklmodel")
    again = changed(plan, seed_points=0, pretrained=str(tmp_path / "angle.dklmodel"))
    assert learning_run(SimulatedInstrument(), again)[-1].outcome is Outcome.FINISHED


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"pretrained": "nowhere.dklmodel"}, "The saved model nowhere.dklmodel cannot be read"),
        ({"scalarizer": "abf"}, "The saved model predicts com_magnitude but the run optimizes abf"),
        ({"patch_size": 9}, "The saved model sees patches of 7 px but the run has 9 px"),
    ],
)
def test_a_start_that_does_not_fit_costs_no_dose(changes, sentence, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = Runner(SimulatedInstrument(), PLAN, lambda event: None)
    first.run()
    first.pretrained().save(tmp_path / "first.dklmodel")
    plan = changed(PLAN, **{"pretrained": "first.dklmodel", **changes})
    (ended,) = learning_run(SimulatedInstrument(), plan)
    assert ended.outcome is Outcome.FAILED
    assert ended.message.startswith(sentence)


@pytest.mark.parametrize(
    ("acquisition", "scalarizer"),
    list(zip(ACQUISITIONS, itertools.cycle(["com_magnitude", "com_angle"]), strict=False)),
)
def test_every_acquisition_function_chooses(acquisition, scalarizer) -> None:
    plan = changed(
        PLAN, acquisition=acquisition, scalarizer=scalarizer, goal=VALUE, goal_value=0.2, batch_size=2, travel_cost=0.5
    )
    events = learning_run(SimulatedInstrument(), plan)
    assert events[-1] == RunEnded(Outcome.FINISHED, "Finished: 10 points measured.")
    last = of(StepCompleted, events)[-1]
    assert numpy.nanmax(last.maps.acquisition) >= numpy.nanmin(last.maps.acquisition)
    assert last.explanation.interval_scale >= 1
    assert last.explanation.fractions is not None


def test_equal_seeds_take_equal_paths() -> None:
    paths = [
        [event.measurement.proposal for event in of(PointMeasured, learning_run(SimulatedInstrument(seed=3)))]
        for _ in range(2)
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
    assert events[-1].message.startswith("The last 3 patterns cannot be read: beam is off or blocked: 0 counts, 1,87")
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
        if isinstance(event, StepCompleted) and event.number == 5:
            runner.stop()

    runner = Runner(instrument, PLAN, record)
    assert runner.run() == RunEnded(Outcome.STOPPED, "Stopped: everything measured so far is saved.")
    assert len(of(PointMeasured, events)) == 5
    assert "abort" in instrument.log
    assert instrument.blanked


def test_an_exposure_broken_off_by_stop_is_no_failure() -> None:
    instrument = SimulatedInstrument(trouble=failing_at(7))

    def record(event: Event) -> None:
        if isinstance(event, PointMeasured) and event.number == 2:
            runner.stop()

    runner = Runner(instrument, PLAN, record)
    assert runner.run().outcome is Outcome.STOPPED


def test_a_pause_holds_until_it_is_lifted() -> None:
    paused, events = threading.Event(), []

    def record(event: Event) -> None:
        events.append(event)
        if isinstance(event, StepCompleted) and event.number == 2:
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
        if isinstance(event, StepCompleted) and event.number == 2:
            runner.stop()
            runner.pause()

    runner = Runner(instrument, PLAN, record)
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


def test_the_darkest_pixels_are_those_of_the_hole() -> None:
    instrument = SimulatedInstrument()
    survey = instrument.acquire_survey()
    y, x = instrument.column.specimen.sites["hole"]
    for row, column in darkest_pixels(survey, 4):
        distance = numpy.hypot((row + 0.5) * survey.pixel_size_nm - y, (column + 0.5) * survey.pixel_size_nm - x)
        assert distance < 0.7


@pytest.mark.parametrize("reference", ["darkest", "mean", "region"])
def test_the_reference_is_exposed_where_the_plan_says(reference) -> None:
    plan = changed(PLAN, reference=reference, reference_frames=6, reference_region="0, 0, 0.5, 0.5")
    instrument = SimulatedInstrument()
    places = reference_pixels(instrument.acquire_survey(), plan)
    events = run(instrument, plan)
    assert events[-1].outcome is Outcome.FINISHED
    assert instrument.exposures == 6 + 10
    if reference == "region":
        assert places.max() < 20
    if reference == "mean":
        # Spread over all four quarters of the survey.
        assert {tuple(place) for place in (places >= 20).tolist()} == {(a, b) for a in (0, 1) for b in (0, 1)}


def test_a_reference_from_a_file_costs_no_dose(tmp_path) -> None:
    (found,) = of(ReferenceFound, run(SimulatedInstrument()))
    save_reference(found.reference, tmp_path / "reference.npz")
    plan = changed(PLAN, reference="file", reference_file=str(tmp_path / "reference.npz"))
    instrument = SimulatedInstrument()
    events = run(instrument, plan)
    assert instrument.exposures == 10
    assert of(ReferenceFound, events)[0].reference.centre == found.reference.centre
    assert of(PointMeasured, events)[0].measurement.readings["com_x"].value < 10


@pytest.mark.parametrize("content", [None, b"nonsense"])
def test_a_reference_that_cannot_be_read_costs_no_dose(tmp_path, content) -> None:
    file = tmp_path / "reference.npz"
    if content is not None:
        file.write_bytes(content)
    instrument = SimulatedInstrument()
    (ended,) = run(instrument, changed(PLAN, reference="file", reference_file=str(file)))
    assert "choose a saved reference (.npz) or a vacuum pattern (.npy)" in ended.message
    assert instrument.exposures == 0


def test_a_reference_of_another_camera_ends_the_run_and_keeps_the_pattern(tmp_path) -> None:
    numpy.save(tmp_path / "vacuum.npy", numpy.pad(numpy.ones((12, 12)), 10))
    events = run(
        SimulatedInstrument(),
        changed(PLAN, reference="file", reference_file=str(tmp_path / "vacuum.npy")),
    )
    assert len(of(PointMeasured, events)) == 1
    assert events[-1].message.startswith("The pattern is 64 x 64 pixels but the reference is 32 x 32")


def test_a_descan_is_fitted_to_nine_places() -> None:
    instrument = SimulatedInstrument()
    events = run(instrument, changed(PLAN, descan="quadratic"))
    assert instrument.exposures == 9 + 10
    assert len(of(ReferenceFound, events)[0].reference.descan.x_mrad) == 6


def test_the_charge_density_is_read_from_five_exposures() -> None:
    instrument = SimulatedInstrument()
    events = learning_run(instrument, changed(PLAN, scalarizer="charge_density", patch_size=9, cross_arm_nm=0.05))
    assert events[-1].outcome is Outcome.FINISHED
    assert instrument.exposures == 4 + 5 * 10
    for event in of(PointMeasured, events):
        assert len(event.ends) == 4
        assert numpy.isfinite(event.measurement.readings["charge_density"].value)
    assert of(StepCompleted, events)[-1].dose.exposure_s == pytest.approx(SURVEY_S + 54 * EXPOSURE_S)


def test_a_camera_that_fails_at_an_end_of_the_cross_loses_nothing() -> None:
    """The second point's third end."""
    plan = changed(PLAN, scalarizer="charge_density", patch_size=9, cross_arm_nm=0.05)
    events = run(SimulatedInstrument(trouble=failing_at(4 + 5 + 4)), plan)
    assert events[-1].outcome is Outcome.FAILED
    assert [len(event.ends) for event in of(PointMeasured, events)] == [4, 2]
    last = of(PointMeasured, events)[-1].measurement
    assert numpy.isfinite(last.readings["com_x"].value)
    assert "no cross was exposed here" in last.readings["charge_density"].reason


def test_a_cross_that_would_leave_the_survey_is_refused() -> None:
    events = run(SimulatedInstrument(), changed(PLAN, scalarizer="charge_density", cross_arm_nm=3.0))
    assert events[-1].message.startswith("The cross's arm of 3 nm would leave the survey")


def switching(at: int, scalarizer: str, goal: str = "largest"):
    """Events of a run whose driver is switched after a step, and its runner."""
    events: list[Event] = []

    def record(event: Event) -> None:
        events.append(event)
        if isinstance(event, StepCompleted) and event.number == at:
            runner.give(ChangeObjective(scalarizer, goal, 0.0))

    runner = Runner(SimulatedInstrument(), PLAN, record)
    runner.run()
    return events, runner


@pytest.mark.parametrize("at", [2, 6])
@pytest.mark.parametrize("scalarizer", ["abf", "com_angle", "charge_density"])
def test_the_driver_can_be_switched_during_a_run(at, scalarizer) -> None:
    events, _ = switching(at, scalarizer)
    assert events[-1] == RunEnded(Outcome.FINISHED, "Finished: 10 points measured.")
    (changed,) = of(CommandApplied, events)
    assert (changed.plan.objective.scalarizer, changed.after_run) == (scalarizer, False)
    steps = [event.number for event in events[: events.index(changed)] if isinstance(event, StepCompleted)]
    assert steps[-1] == at
    measured = [event.measurement.proposal.candidate for event in of(PointMeasured, events)]
    assert len(set(measured)) == 10
    if scalarizer == "charge_density":
        assert [len(event.ends) for event in of(PointMeasured, events)] == [0] * at + [4] * (10 - at)


def test_a_switched_run_goes_on_as_one_that_followed_that_reading_from_the_start() -> None:
    """The model learns from the readings that were logged: at once, and the same."""
    events, _ = switching(4, "abf")
    straight = learning_run(SimulatedInstrument(), changed(PLAN, scalarizer="abf"))
    proposals = [[event.measurement.proposal for event in of(PointMeasured, e)] for e in (events, straight)]
    assert proposals[0] == proposals[1]
    assert proposals[0] != [
        event.measurement.proposal for event in of(PointMeasured, learning_run(SimulatedInstrument()))
    ]


def test_a_run_that_has_ended_tells_what_another_reading_would_have_said() -> None:
    events, runner = switching(0, "abf")
    maps = of(StepCompleted, events)[-1].maps
    runner.give(ChangeObjective("abf", "smallest", 0.0))
    changed = events[-1]
    assert isinstance(changed, CommandApplied)
    assert changed.after_run
    assert changed.plan.objective.scalarizer == "abf"
    assert not numpy.array_equal(changed.maps.prediction, maps.prediction, equal_nan=True)
    with pytest.raises(ValueError, match="There is no scalarizer 'colour'"):
        runner.give(ChangeObjective("colour", "largest", 0.0))


def test_without_a_measurement_there_is_nothing_to_switch() -> None:
    runner = Runner(SimulatedInstrument(trouble=failing_at(1)), PLAN, lambda event: None)
    runner.run()
    with pytest.raises(ValueError, match="The run has measured nothing that another scalarizer could read"):
        runner.give(ChangeObjective("abf", "largest", 0.0))


def file_with(folder: pathlib.Path, name: str, returned: str) -> pathlib.Path:
    """A file of the user's own with one scalarizer."""
    own = folder / "mine.py"
    own.write_text(
        "from dkl_ae.scalarizers import scalarizer\n\n\n"
        f"@scalarizer()\ndef {name}(electrons, reference):\n    return {returned}\n",
        encoding="utf-8",
    )
    return own


def test_a_scalarizer_of_the_users_own_that_fails_costs_only_its_reading(tmp_path) -> None:
    own = file_with(tmp_path, "broken", "1 / 0")
    events = run(SimulatedInstrument(), changed(PLAN, scalarizer_file=str(own), expression="com_x / bf"))
    assert events[-1].outcome is Outcome.FINISHED
    for event in of(PointMeasured, events):
        readings = event.measurement.readings
        assert readings["broken"].reason.startswith("broken failed (ZeroDivisionError")
        assert readings["composite"].value == pytest.approx(readings["com_x"].value / readings["bf"].value)


def test_the_principal_component_is_known_of_all_patterns_once_it_is_of_enough() -> None:
    events = learning_run(
        SimulatedInstrument(), changed(PLAN, scalarizer="principal_component", seed_points=9, model_points=4)
    )
    assert events[-1].outcome is Outcome.FINISHED
    (revised,) = of(ReadingsRevised, events)
    first = [event.measurement.readings["principal_component"] for event in of(PointMeasured, events)]
    assert [numpy.isfinite(reading.value) for reading in first] == [False] * 8 + [True] * 5
    known = [measurement.readings["principal_component"] for measurement in revised.measurements]
    assert len(known) == 8
    assert all(reading.value != 0 and reading.sigma > 0 for reading in known)
    assert numpy.isfinite(of(StepCompleted, events)[-1].best.readings["principal_component"].value)


def test_what_was_seen_before_is_not_new() -> None:
    """Each pattern is compared with those before it; the same pattern again is no news."""
    events = run(SimulatedInstrument())
    readings = [event.measurement.readings["novelty"] for event in of(PointMeasured, events)]
    assert readings[0].reason == "no other pattern was seen before: novelty begins with the second."
    assert all(numpy.isfinite(reading.value) for reading in readings[1:])


def test_a_switch_in_the_last_step_is_followed_too() -> None:
    events, _ = switching(10, "abf")
    assert [type(event) for event in events[-2:]] == [CommandApplied, RunEnded]


def test_a_file_that_is_edited_during_a_run_changes_nothing(tmp_path) -> None:
    own = file_with(tmp_path, "one", "1, 1")
    events: list[Event] = []

    def record(event: Event) -> None:
        events.append(event)
        file_with(tmp_path, f"other_{len(events)}", "1, 1")

    ended = Runner(SimulatedInstrument(), changed(PLAN, scalarizer_file=str(own)), record).run()
    assert ended.outcome is Outcome.FINISHED
    assert all("one" in event.measurement.readings for event in of(PointMeasured, events))


def test_the_reference_of_a_run_has_the_lattice_that_was_met() -> None:
    runner = Runner(SimulatedInstrument(), PLAN, lambda event: None)
    assert runner.reference is None
    runner.run()
    assert runner.reference.radius_mrad == pytest.approx(30, rel=0.02)
    # Overlapping discs have none.
    assert runner.reference.lattice_mrad is None


def test_a_reference_of_another_camera_length_ends_the_run_and_keeps_the_pattern(tmp_path) -> None:
    (found,) = of(ReferenceFound, run(SimulatedInstrument()))
    save_reference(dataclasses.replace(found.reference, mrad_per_pixel=(5.0, 5.0)), tmp_path / "reference.npz")
    plan = changed(PLAN, reference="file", reference_file=str(tmp_path / "reference.npz"))
    events = run(SimulatedInstrument(), plan)
    assert events[-1].message.startswith("The reference has pixels of 5 x 5 mrad but the camera of 2.5 x 2.5")
    assert len(of(PointMeasured, events)) == 1


def test_a_reading_that_has_no_number_at_some_places_can_drive() -> None:
    """A square root of what is negative at half of them."""
    events = learning_run(SimulatedInstrument(), changed(PLAN, scalarizer="composite", expression="sqrt(com_x)"))
    assert events[-1].outcome is Outcome.FINISHED
    readings = [event.measurement.readings["composite"] for event in of(PointMeasured, events)]
    assert any(reading.reason for reading in readings)
    assert any(numpy.isfinite(reading.value) for reading in readings)


def test_a_switch_while_the_run_ends_is_not_lost() -> None:
    events: list[Event] = []
    instrument = SimulatedInstrument()
    runner = Runner(instrument, PLAN, events.append)
    instrument.restore = lambda: runner.give(ChangeObjective("abf", "largest", 0.0))
    runner.run()
    assert isinstance(events[-1], CommandApplied)
    assert events[-1].after_run


def test_a_run_can_be_switched_when_its_file_is_gone(tmp_path) -> None:
    own = file_with(tmp_path, "one", "1, 1")
    events: list[Event] = []
    runner = Runner(SimulatedInstrument(), changed(PLAN, scalarizer_file=str(own)), events.append)
    runner.run()
    own.unlink()
    runner.give(ChangeObjective("one", "largest", 0.0))
    assert events[-1].objective.scalarizer.name == "one"


def run_on(image: numpy.ndarray) -> SurveyAcquired:
    """What is told of a survey that looks like this."""
    instrument = SimulatedInstrument()
    pixel_size_nm = instrument.acquire_survey().pixel_size_nm
    instrument.acquire_survey = lambda: Survey(image, pixel_size_nm)  # type: ignore[method-assign]
    (acquired,) = of(SurveyAcquired, run(instrument))
    return acquired


def test_what_is_taken_out_of_the_survey_is_told_with_it_and_kept() -> None:
    row, column = numpy.mgrid[:40, :40]
    image = 2 + numpy.cos(row) * numpy.cos(column) + 0.1 * numpy.random.default_rng(0).normal(size=row.shape)
    assert run_on(image).notices == ()
    disturbed = image + 5 * image.std() * numpy.linspace(0, 1, 40)
    disturbed[20, 20] = 1e4
    told = run_on(disturbed)
    wild, slow = told.notices
    assert wild == "1 pixel of the survey is far beyond all around: the model sees the survey with it brought back."
    assert re.fullmatch(
        r"A slow background rises over the survey by [\d.]+ standard deviations: the model sees the survey without it.",
        slow,
    )
    status = begun(PLAN, SCALARIZERS)
    assert f"{wild} {slow} Measuring" in news_text(told, folded(status, told))
    assert log_rows(told) == [("notice", wild), ("notice", slow)]
