"""Session files: what was kept is there, whenever the run was killed, and goes on as if it had not been."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil
from collections.abc import Collection, Mapping

import h5py
import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dkl_ae.experiment import ChangeObjective
from dkl_ae.instruments import Instrument
from dkl_ae.patterns import Patterns
from dkl_ae.records import InstrumentError
from dkl_ae.run import (
    Event,
    InterruptedRun,
    NotKeptError,
    Outcome,
    PointMeasured,
    RunEnded,
    Runner,
    RunPaused,
    StepCompleted,
)
from dkl_ae.scalarizers import SCALARIZERS, Scalarizer, file_hash, readings_of
from dkl_ae.session import MAPS, MEASUREMENTS, Session, SessionWriter, kept_steps, open_session, take_up
from dkl_ae.session.append import MIN_FREE_BYTES
from dkl_ae.session.disk.superblock import SIZE, repaired
from dkl_ae.settings import Plan, changed, make_plan
from tests.support.kept_runs import KilledError, MortalWriter, kept_run, leave_open
from tests.support.recorded_specimen import instrument

PLAN = make_plan(patch_size=9, seed_points=9, model_points=11, random_seed=3, compute_device="cpu")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[pathlib.Path, list[Event]]:
    file = tmp_path_factory.mktemp("session") / "whole.h5"
    return file, kept_run(file, PLAN, title="A run")


def test_everything_that_was_told_is_in_the_file(whole) -> None:
    file, events = whole
    points = [event for event in events if isinstance(event, PointMeasured)]
    steps = [event for event in events if isinstance(event, StepCompleted)]
    with open_session(file) as session:
        assert (session.title, session.instrument) == ("A run", {"kind": "test"})
        assert session.plan == PLAN
        assert (session.outcome, session.losses, session.count) == (Outcome.FINISHED, (), PLAN.search.points)
        numpy.testing.assert_array_equal(session.survey.image, events[0].survey.image)
        assert session.survey.pixel_size_nm == events[0].survey.pixel_size_nm
        assert session.survey_dose == events[0].dose
        numpy.testing.assert_array_equal(session.reference_pattern, events[1].pattern)
        assert session.reference.centre == events[1].reference.centre
        for kept, frame in zip(session.reference_frames(), events[1].frames, strict=True):
            numpy.testing.assert_array_equal(kept.pattern, frame.pattern)
            assert kept.position_read_back == frame.position_read_back
        for index, event in enumerate(points):
            numpy.testing.assert_array_equal(session.pattern(index), event.frame.pattern)
            assert session.pattern(index).dtype == event.frame.pattern.dtype
            assert_equal_measurements(session.measurement(index), event.measurement, revised={"principal_component"})
        for event in steps:
            assert session.dose(event.number) == event.dose
            if event.maps is not None:
                maps = session.maps(event.number)
                for name in MAPS:
                    told = getattr(event.maps, name).astype(numpy.float32)
                    numpy.testing.assert_array_equal(getattr(maps, name), told)
            assert session.steps["model_s"][event.number - 1] == event.times.model
        assert {"python", "numpy", "torch"} <= set(session.software)


def assert_equal_measurements(kept, told, revised=frozenset()) -> None:
    without = {"readings": {}}
    assert dataclasses.replace(kept, **without) == dataclasses.replace(told, **without)
    assert list(kept.readings) == list(told.readings)
    for name, reading in told.readings.items():
        if name not in revised:
            assert repr(kept.readings[name]) == repr(reading)


def test_what_became_known_later_is_kept_too(whole) -> None:
    with open_session(whole[0]) as session:
        values, sigmas = session.readings["principal_component"]
        assert numpy.isfinite(values).all()
        assert (sigmas > 0).all()
        assert session.measurement(0).readings["principal_component"].reason == ""


@given(st.integers(1, 9), st.integers(0, 3000), st.integers(8, 8192))
def test_the_maps_of_the_last_step_are_kept_and_no_more_than_there_is_room_for(seeds, more, side) -> None:
    kept = kept_steps(make_plan(seed_points=seeds, model_points=more), (side, side))
    assert kept[-1] == seeds + more
    assert kept[0] >= seeds
    assert len(set(numpy.diff(kept))) <= 1, "every k-th"
    assert len(kept) <= 100
    assert len(kept) == 1 or len(kept) * side**2 <= 16_000_000


def test_a_session_is_read_with_nothing_but_hdf5(whole) -> None:
    with h5py.File(whole[0]) as opened:
        count = PLAN.search.points
        assert opened["survey/image"].shape == (24, 24)
        assert {len(column) for column in opened["measurements"].values()} == {count}
        assert {column.name for column in MEASUREMENTS} == set(opened["measurements"])
        assert opened["patterns"].shape == (count, 64, 64)
        assert opened["patterns"].attrs["units"] == "counts"
        for name in MAPS:
            assert opened["maps"][name].shape == (len(kept_steps(PLAN, (24, 24))), 24, 24)
        for group in opened["readings"].values():
            assert group["value"].shape == group["sigma"].shape == (count,)
            assert group["value"].attrs["units"] == group["sigma"].attrs["units"]
        assert opened["readings/com_x/value"].attrs["units"] == "mrad"
        assert json.loads(opened.attrs["plan"])["random_seed"] == 3


def path_of(session: Session) -> list[object]:
    return [
        session.columns["candidate"].tolist(),
        session.columns["total_electrons"].tolist(),
        *(repr(values.tolist()) for values, _ in session.readings.values()),
        session.map_steps.tolist(),
    ]


@pytest.mark.parametrize("until", [1, 5, 8, 9, 10, 14, 19])
def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(whole, tmp_path, until) -> None:
    file = tmp_path / "killed.h5"
    kept_run(file, PLAN, killed_after=until)
    go_on(file, until)
    with open_session(whole[0]) as expected, open_session(file) as session:
        assert session.outcome is Outcome.FINISHED
        assert path_of(session) == path_of(expected)
        assert_equal_checkpoints(session, expected)


def go_on(file: pathlib.Path, measured: int, confirmed: Collection[str] = ()) -> RunEnded:
    interrupted, scalarizers, writer = take_up(file, confirmed)
    assert len(interrupted.measurements) == measured
    return resume(instrument(), interrupted, scalarizers, writer)


def resume(
    microscope: Instrument, interrupted: InterruptedRun, scalarizers: Mapping[str, Scalarizer], writer: SessionWriter
) -> RunEnded:
    return Runner(
        microscope,
        interrupted.plan,
        lambda event: None,
        scalarizers=scalarizers,
        recorder=writer,
        interrupted=interrupted,
    ).run()


def assert_equal_checkpoints(one: Session, other: Session) -> None:
    first, second = one.checkpoint(), other.checkpoint()
    assert (first.measured, first.trainings) == (second.measured, second.trainings)
    for parameters, others in zip(first.parameters, second.parameters, strict=True):
        for name, value in parameters.items():
            numpy.testing.assert_array_equal(value, others[name])


VARIANTS = {
    "an angle": {"scalarizer": "com_angle", "goal": "value", "goal_value": 1.0},
    "batches": {"batch_size": 4},
    "drawn maps": {"acquisition": "thompson", "batch_size": 2},
    "crosses": {"scalarizer": "charge_density", "cross_arm_nm": 0.05},
    "what is known late": {"scalarizer": "principal_component", "seed_points": 5},
    "many undefined readings": {"scalarizer": "bragg_spacing"},
    "a cost and a spacing": {"travel_cost": 0.5, "minimum_spacing_nm": 0.2},
    "the network alone": {"kernel_input": "network", "goal": "smallest"},
}


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_runs_of_every_kind_go_on_as_if_they_had_not_been_killed(tmp_path, changes) -> None:
    plan = changed(PLAN, **{"model_points": 8, **changes})
    whole, killed = tmp_path / "whole.h5", tmp_path / "killed.h5"
    kept_run(whole, plan)
    for until in (plan.search.seed_points - 1, plan.search.points - 2):
        kept_run(killed, plan, killed_after=until)
        go_on(killed, until)
        with open_session(whole) as expected, open_session(killed) as session:
            assert path_of(session) == path_of(expected)
            for index in range(session.count):
                numpy.testing.assert_array_equal(session.ends(index), expected.ends(index))


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory) -> pathlib.Path:
    """What a run has learned."""
    earlier = Runner(instrument(), PLAN, lambda event: None)
    earlier.run()
    file = tmp_path_factory.mktemp("earlier") / "earlier.dklmodel"
    earlier.pretrained().save(file)
    return file


@pytest.mark.parametrize(("seeds", "killed"), [(0, (1, 4)), (4, (3, 6))])
def test_a_run_from_a_saved_model_goes_on_from_it(tmp_path, saved_model, seeds, killed) -> None:
    plan = changed(PLAN, seed_points=seeds, model_points=6, pretrained=str(saved_model))
    kept_run(tmp_path / "whole.h5", plan)
    for until in killed:
        kept_run(tmp_path / "killed.h5", plan, killed_after=until)
        go_on(tmp_path / "killed.h5", until)
        with open_session(tmp_path / "whole.h5") as expected, open_session(tmp_path / "killed.h5") as session:
            assert path_of(session) == path_of(expected)
            assert_equal_checkpoints(session, expected)


def switched_run(file: pathlib.Path, until: int | None) -> None:
    """A run that is switched after the twelfth point."""

    def show(event: Event) -> None:
        if isinstance(event, PointMeasured) and event.number == 12:
            runner.give(ChangeObjective("com_angle", "value", 0.5))
        if isinstance(event, PointMeasured) and event.number == until:
            writer.kill()

    writer = MortalWriter(file, PLAN, SCALARIZERS)
    runner = Runner(instrument(), PLAN, show, recorder=writer)
    if until is None:
        runner.run()
        return
    with pytest.raises(KilledError):
        runner.run()
    leave_open(writer, file)


@pytest.mark.parametrize("until", [13, 16])
def test_a_switched_run_goes_on_as_it_was_switched(tmp_path, until) -> None:
    switched_run(tmp_path / "whole.h5", None)
    switched_run(tmp_path / "killed.h5", until)
    go_on(tmp_path / "killed.h5", until)
    with open_session(tmp_path / "whole.h5") as expected, open_session(tmp_path / "killed.h5") as session:
        assert path_of(session)[0] == path_of(expected)[0]
        assert session.objective(12).scalarizer.name == "com_angle"
        assert session.objective(11).scalarizer.name == "com_magnitude"


def test_a_run_that_was_killed_before_its_first_point_keeps_survey_and_reference(tmp_path) -> None:
    file = tmp_path / "early.h5"

    def show(event: Event) -> None:
        if type(event).__name__ == "ReferenceFound":
            killed.kill()

    killed = MortalWriter(file, PLAN, SCALARIZERS)
    with pytest.raises(KilledError):
        Runner(instrument(), PLAN, show, recorder=killed).run()
    leave_open(killed, file)
    microscope = instrument()
    interrupted, scalarizers, writer = take_up(file)
    dose = interrupted.dose
    resume(microscope, interrupted, scalarizers, writer)
    with open_session(file) as session:
        assert session.count == PLAN.search.points
        assert len(session.reference_frames()) == PLAN.reference.frames
        exposed = (PLAN.search.points + len(session.repeated_exposures())) * 0.01
        assert session.dose(session.count).exposure_s == pytest.approx(dose.exposure_s + exposed)


def test_a_run_that_fails_before_its_first_point_says_why(tmp_path) -> None:
    microscope = instrument()

    def failing(position) -> None:
        raise InstrumentError("The camera failed: check it, then start again.")

    microscope.acquire_pattern = failing
    Runner(
        microscope, PLAN, lambda event: None, recorder=SessionWriter(tmp_path / "failed.h5", PLAN, SCALARIZERS)
    ).run()
    with open_session(tmp_path / "failed.h5") as session:
        assert (session.count, session.outcome, session.reference) == (0, Outcome.FAILED, None)
        assert session.log[-1].text == "The camera failed: check it, then start again."
        assert session.maps(0) is None
        assert session.checkpoint() is None
        assert session.measurements == ()


def test_a_finished_run_cannot_go_on(whole) -> None:
    with pytest.raises(ValueError, match=r"^All 20 points of whole.h5 are measured: start a new run for more.$"):
        take_up(whole[0])


# A file that is not as it should be.


def test_a_closed_file_is_in_order_already(whole) -> None:
    content = whole[0].read_bytes()
    assert repaired(content, len(content)) == content[:SIZE]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is no saved session"),
        (b"an image, perhaps", "is no saved session"),
        (b"\x89HDF\r\n\x1a\n\x03" + bytes(100), "is damaged at its beginning"),
    ],
)
def test_a_foreign_file_is_refused_in_one_sentence(tmp_path, content, sentence) -> None:
    (tmp_path / "foreign.h5").write_bytes(content)
    with pytest.raises(ValueError, match=sentence) as caught:
        open_session(tmp_path / "foreign.h5")
    assert str(caught.value).endswith(".")


def test_another_hdf5_file_is_refused(tmp_path) -> None:
    with h5py.File(tmp_path / "other.h5", "w", libver=("v110", "v110")) as opened:
        opened["data"] = numpy.zeros(3)
    with pytest.raises(ValueError, match=r"is no saved session: choose a file that a run has made\.$"):
        open_session(tmp_path / "other.h5")


def test_a_missing_and_a_newer_file_are_refused(whole, tmp_path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        open_session(tmp_path / "nothing.h5")
    newer = shutil.copy(whole[0], tmp_path / "newer.h5")
    with h5py.File(newer, "r+") as opened:
        opened.attrs["version"] = 99
    with pytest.raises(ValueError, match=r"newer version of dkl-ae \(format 99\): update dkl-ae\.$"):
        open_session(newer)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.0, 0.999))
def test_of_a_cut_off_file_all_is_read_that_is_left(whole, tmp_path, share) -> None:
    content = whole[0].read_bytes()
    cut = tmp_path / "cut.h5"
    cut.write_bytes(content[: int(share * len(content))])
    try:
        session = open_session(cut)
    except ValueError:
        return  # what it says is another test's
    with session, open_session(whole[0]) as expected:
        assert session.losses
        for index in range(session.count):
            assert_equal_measurements(session.measurement(index), expected.measurement(index), set(expected.readings))
            numpy.testing.assert_array_equal(session.pattern(index), expected.pattern(index))
            for name, (values, _) in session.readings.items():
                assert repr(values[index]) == repr(expected.readings[name][0][index])


def test_most_of_a_file_that_lost_its_last_tenth_is_there(whole, tmp_path) -> None:
    content = whole[0].read_bytes()
    (tmp_path / "cut.h5").write_bytes(content[: int(0.9 * len(content))])
    with open_session(tmp_path / "cut.h5") as session:
        assert session.count >= 0.6 * PLAN.search.points
        assert session.losses[0].startswith("cut.h5 is cut off: ")


def test_a_run_can_be_read_while_it_is_written(tmp_path) -> None:
    file = tmp_path / "live.h5"
    counts = []

    def show(event: Event) -> None:
        if isinstance(event, PointMeasured):
            with open_session(file) as session:
                counts.append(session.count)
                assert session.outcome is None

    Runner(instrument(), PLAN, show, recorder=SessionWriter(file, PLAN, SCALARIZERS)).run()
    assert counts == list(range(1, PLAN.search.points + 1))


# What cannot be written.


def paused_run(file: pathlib.Path, trouble, mend) -> tuple[list[Event], RunEnded]:
    """A run with trouble after its tenth point, which is mended when the run pauses."""
    events: list[Event] = []

    def show(event: Event) -> None:
        events.append(event)
        match event:
            case PointMeasured(number=10):
                trouble()
            case RunPaused(paused=True):
                mend()
                runner.resume()

    runner = Runner(instrument(), PLAN, show, recorder=SessionWriter(file, PLAN, SCALARIZERS))
    return events, runner.run()


def test_a_full_disk_pauses_the_run_and_costs_nothing(whole, tmp_path, monkeypatch) -> None:
    real = shutil.disk_usage
    full = real(tmp_path)._replace(free=MIN_FREE_BYTES - 1)
    events, ended = paused_run(
        tmp_path / "run.h5",
        lambda: monkeypatch.setattr(shutil, "disk_usage", lambda folder: full),
        lambda: monkeypatch.setattr(shutil, "disk_usage", real),
    )
    assert ended.outcome is Outcome.FINISHED
    [paused] = [event for event in events if isinstance(event, RunPaused) and event.paused]
    assert paused.reason.endswith("run.h5 cannot be written (no space left on the disk): fix this.")
    with open_session(whole[0]) as expected, open_session(tmp_path / "run.h5") as session:
        assert path_of(session) == path_of(expected)


def test_a_removed_folder_pauses_the_run_and_costs_nothing(whole, tmp_path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    events, ended = paused_run(folder / "run.h5", lambda: shutil.rmtree(folder), folder.mkdir)
    assert ended.outcome is Outcome.FINISHED
    assert any(isinstance(event, RunPaused) and "no such file" in event.reason.lower() for event in events)
    with open_session(whole[0]) as expected, open_session(folder / "run.h5") as session:
        assert path_of(session) == path_of(expected)
        numpy.testing.assert_array_equal(session.pattern(3), expected.pattern(3))


def test_a_write_that_fails_within_hdf5_costs_nothing(whole, tmp_path, monkeypatch) -> None:
    """HDF5 then does not know what it has written: the writer goes on with a copy."""
    real, failures = h5py.File.flush, iter([True])

    def failing(opened: h5py.File) -> None:
        if next(failures, False):
            raise RuntimeError("Can't flush (file write failed: errno = 28, error message = 'whatever')")
        real(opened)

    events, ended = paused_run(
        tmp_path / "run.h5", lambda: monkeypatch.setattr(h5py.File, "flush", failing), lambda: None
    )
    assert ended.outcome is Outcome.FINISHED
    assert any(isinstance(event, RunPaused) and "(no space left on device)" in event.reason for event in events)
    with open_session(whole[0]) as expected, open_session(tmp_path / "run.h5") as session:
        assert path_of(session) == path_of(expected)


def stopped_run(folder: pathlib.Path, trouble) -> RunEnded:
    """A run with trouble after its tenth point, which is stopped when it pauses."""

    def show(event: Event) -> None:
        if isinstance(event, PointMeasured) and event.number == 10:
            trouble()
        if isinstance(event, RunPaused) and event.paused:
            runner.stop()

    folder.mkdir()
    runner = Runner(instrument(), PLAN, show, recorder=SessionWriter(folder / "run.h5", PLAN, SCALARIZERS))
    return runner.run()


def test_a_run_that_is_stopped_in_trouble_keeps_everything_if_it_can(tmp_path) -> None:
    ended = stopped_run(tmp_path / "folder", lambda: shutil.rmtree(tmp_path / "folder"))
    assert (ended.outcome, ended.message) == (Outcome.STOPPED, "Stopped: everything measured so far is saved.")
    with open_session(tmp_path / "folder" / "run.h5") as session:
        # The tenth step is told once it is kept: nothing more is exposed before.
        assert (session.count, session.outcome) == (10, Outcome.STOPPED)


def test_a_run_that_is_stopped_and_cannot_write_says_so(tmp_path) -> None:
    def trouble() -> None:
        shutil.rmtree(tmp_path / "folder")
        (tmp_path / "folder").write_text("in the way")

    ended = stopped_run(tmp_path / "folder", trouble)
    assert ended.outcome is Outcome.FAILED
    assert "cannot be written" in ended.message
    assert "saved" not in ended.message


def test_a_session_that_is_written_elsewhere_does_not_go_on(tmp_path) -> None:
    file = tmp_path / "run.h5"
    kept_run(file, PLAN, killed_after=5)
    take_up(file)[2].close()
    with h5py.File(file, "r+"), pytest.raises(NotKeptError, match=r"close it everywhere else, then resume\.$"):
        take_up(file)


# A user's own scalarizers.


SOURCE = """
from dkl_ae.scalarizers import scalarizer

@scalarizer(unit="counts")
def brightest(pattern, reference):
    return float(pattern.max())
"""


def own_plan(folder: pathlib.Path) -> Plan:
    (folder / "mine.py").write_text(SOURCE)
    return changed(PLAN, scalarizer="brightest", scalarizer_file=str(folder / "mine.py"))


def test_a_session_is_read_without_running_the_users_file(tmp_path) -> None:
    plan = own_plan(tmp_path)
    kept_run(tmp_path / "run.h5", plan, killed_after=12)
    (tmp_path / "mine.py").unlink()
    with open_session(tmp_path / "run.h5") as session:
        reader = session.objective(12).scalarizer
        assert (reader.label, reader.unit) == ("Brightest", "counts")
        assert session.input("scalarizer_file").decode() == SOURCE
        assert session.measurement(3).readings["brightest"].value == session.pattern(3).max()
        found = readings_of(Patterns(session.pattern(3)[numpy.newaxis], session.reference), [reader])[reader.name]
        assert "A saved session holds readings" in found.reason


def test_a_run_goes_on_only_with_the_scalarizers_it_began_with(tmp_path) -> None:
    plan = own_plan(tmp_path)
    kept_run(tmp_path / "run.h5", plan, killed_after=12)
    (tmp_path / "mine.py").write_text(SOURCE.replace("max", "min"))
    with pytest.raises(ValueError, match=r"mine.py has changed since the run began: put it back as it was"):
        take_up(tmp_path / "run.h5")
    (tmp_path / "mine.py").unlink()
    with pytest.raises(ValueError, match=r"The run needs .*mine.py, which cannot be read"):
        take_up(tmp_path / "run.h5")
    (tmp_path / "mine.py").write_text(SOURCE)
    assert go_on(tmp_path / "run.h5", 12, [file_hash(tmp_path / "mine.py")]).outcome is Outcome.FINISHED
