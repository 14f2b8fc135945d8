"""Runs on recorded sets from the command line: what they leave, however they are ended, and how they go on."""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import io
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable

import h5py
import numpy
import pytest

from dkl_ae.commands import plan_options, run_on_terminal
from dkl_ae.commands import replay as command
from dkl_ae.commands.cli import main
from dkl_ae.commands.terminal import Terminal
from dkl_ae.experiment import ACQUISITIONS
from dkl_ae.instruments import Replay, replay_of
from dkl_ae.recordings import open_recording, virtual_survey
from dkl_ae.run import Event, Outcome, PointMeasured, RunEnded, Runner
from dkl_ae.scalarizers import SCALARIZERS, file_hash, scalarizers_of
from dkl_ae.session import About, SessionWriter, open_session, take_up
from dkl_ae.settings import SETTINGS, Plan, changed, make_plan, to_text
from dkl_ae.simulation import ReplayColumn
from tests.support.kept_runs import KilledError, MortalWriter, leave_open
from tests.support.kills import are_equal, end_of, killed_again_and_again, make_recording, start
from tests.support.kills import replay as start_replay
from tests.support.recorded_patterns import GRAPHENE, graphene_recording
from tests.support.simulated_instrument import SimulatedInstrument

SHORT = ("--patch", "5", "--seeds", "4", "--steps", "8", "--device", "cpu")
MINE = """
from dkl_ae.scalarizers import scalarizer

@scalarizer(unit="e")
def total(electrons, reference):
    return electrons.sum()
"""
PLAN = make_plan(patch_size=5, seed_points=4, model_points=8, compute_device="cpu")


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> pathlib.Path:
    """Graphene with counting noise."""
    return graphene_recording(tmp_path_factory.mktemp("recording") / "graphene.h5")


@pytest.fixture(scope="module")
def whole(recording, tmp_path_factory) -> pathlib.Path:
    """The session of a run that nothing disturbed."""
    session = tmp_path_factory.mktemp("whole") / "session.h5"
    assert main(["replay", str(recording), "--out", str(session), *SHORT]) == 0
    return session


def assert_same_run(session: pathlib.Path, whole: pathlib.Path) -> None:
    assert are_equal(end_of(session), end_of(whole))


def leave(recording: pathlib.Path, session: pathlib.Path, after: int, plan: Plan = PLAN) -> None:
    """Break a run off after so many measurements, as a power cut would."""

    def show(event: Event) -> None:
        if isinstance(event, PointMeasured) and event.number == after:
            writer.kill()

    replayed, scalarizers = Replay(recording), scalarizers_of(plan.objective)
    writer = MortalWriter(session, plan, scalarizers, About(recording.name, replayed.described()))
    with replayed.opened() as instrument, pytest.raises(KilledError):
        Runner(instrument, plan, show, scalarizers=scalarizers, recorder=writer).run()
    leave_open(writer, session)


def test_the_command_is_a_run_on_the_recording(recording, whole, tmp_path) -> None:
    with Replay(recording).opened() as instrument:
        ended = Runner(
            instrument, PLAN, lambda event: None, recorder=SessionWriter(tmp_path / "by_hand.h5", PLAN, SCALARIZERS)
        ).run()
    assert ended == RunEnded(Outcome.FINISHED, "Finished: 12 points measured.")
    assert_same_run(whole, tmp_path / "by_hand.h5")
    opened = open_recording(recording)
    with open_session(whole) as session:
        assert (session.title, session.outcome, session.plan) == ("graphene.h5", Outcome.FINISHED, PLAN)
        for index, measurement in enumerate(session.measurements):
            place = measurement.proposal.row, measurement.proposal.column
            numpy.testing.assert_array_equal(session.pattern(index), opened.pattern(*place))
    opened.close()


def test_the_seed_decides_the_path(recording, whole, tmp_path) -> None:
    again, other = tmp_path / "again.h5", tmp_path / "other.h5"
    assert main(["replay", str(recording), "--out", str(again), "--random-seed", "0", *SHORT]) == 0
    assert main(["replay", str(recording), "--out", str(other), "--random-seed", "1", *SHORT]) == 0
    assert_same_run(again, whole)
    assert end_of(other)["candidate"].tolist() != end_of(whole)["candidate"].tolist()


def test_it_tells_what_it_reads_and_what_came_of_it(recording, tmp_path, capsys) -> None:
    session = tmp_path / "session.h5"
    arguments = ["--patch", "4", "--seeds", "3", "--steps", "2", "--scalarizer", "abf", "--goal", "smallest"]
    assert main(["replay", str(recording), "--out", str(session), "--device", "cpu", *arguments]) == 0
    first, outlook, *progress, empty, outcome, head = (lines := capsys.readouterr().out.splitlines())[:10]
    assert first == "A patch of 4 px has no central pixel: 5 px are taken."
    cost = r"at most about [\d.]+ s a point beside the exposure, and [\d.]+ GB of memory"
    assert re.fullmatch(rf"Model: 400 candidates; {cost}\.", outlook)
    with open_session(session) as opened:
        values, sigmas = opened.readings["abf"]
        places = [(m.proposal.row, m.proposal.column) for m in opened.measurements]
    assert [line.partition(" % ")[2] for line in progress] == [
        f"Point {number} of 5: {value:.4g} ± {sigma:.2g} fraction of the beam"
        for number, (value, sigma) in enumerate(zip(values, sigmas, strict=True), 1)
    ]
    assert (empty, outcome, head) == (
        "",
        "Finished: 5 points measured.",
        "Best positions for the smallest Virtual ABF, from the survey's centre:",
    )
    for line, index in zip(lines[10:15], numpy.argsort(values), strict=True):
        # Of a survey of 24 x 24 pixels, from its centre.
        y, x = (0.02 * (place + 0.5 - 12) for place in places[index])
        reading = f"{values[index]:.4g} ± {sigmas[index]:.2g} fraction of the beam"
        assert line == f"  x {x:.3f}, y {y:.3f} nm: {reading} (point {index + 1})"
    # 576 pixels at 40 us, four patterns for the reference and five measured, 10 ms each.
    assert lines[15:] == [
        "Dose: 0.113 s of beam (2.11e+07 electrons), survey and reference included; a scan of all 24 x 24 places takes "
        "5.76 s, 51 times as much.",
        f"Saved the session {session}",
    ]


def test_every_setting_reaches_the_run(recording, tmp_path) -> None:
    session, scalarizers = tmp_path / "session.h5", tmp_path / "mine.py"
    scalarizers.write_text(MINE, encoding="utf-8")
    arguments = f"""--scalarizer com_x --expression 2*abf --scalarizer-file {scalarizers} --cross-arm-nm 0.04
        --goal-value 0.2 --seeds 3 --steps 1 --random-seed 7 --patch 5 --acquisition ucb --parameter 1.5 --batch 2
        --travel-cost 0.1 --minimum-spacing-nm 0.03 --model patches --device cpu --reference mean --reference-frames 9
        --mask 0.1 1.2 --rotation 12 --flip-x --counts-per-electron 2 --electrons 1e5 --exposure-ms 2"""
    assert main(["replay", str(recording), "--out", str(session), *arguments.split()]) == 0
    with open_session(session) as opened:
        assert opened.plan == make_plan(
            scalarizer="com_x",
            expression="2*abf",
            scalarizer_file=str(scalarizers),
            cross_arm_nm=0.04,
            goal="value",
            goal_value=0.2,
            seed_points=3,
            model_points=1,
            random_seed=7,
            patch_size=5,
            acquisition="upper_confidence_bound",
            acquisition_parameter=1.5,
            batch_size=2,
            travel_cost=0.1,
            minimum_spacing_nm=0.03,
            kernel_input="patches",
            compute_device="cpu",
            reference="mean",
            reference_frames=9,
            mask_inner=0.1,
            mask_outer=1.2,
            detector_rotation_deg=12,
            flip_x=True,
            exposure_ms=2.0,
        )
        pattern = opened.measurements[0]
        assert (pattern.electrons, pattern.exposure_s) == (pytest.approx(5e4, rel=0.02), 0.002)
        before, after = opened.dose(0), opened.dose(1)
        assert after.electrons - before.electrons == pytest.approx(1e5)


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        ("--region 0,0,0.5,0.5", {"reference": "region", "reference_region": "0,0,0.5,0.5"}),
        ("--reference vacuum.npy", {"reference": "file", "reference_file": "vacuum.npy"}),
        ("--descan plane", {"descan": "plane"}),
        ("--acquisition ucb", {"acquisition": "upper_confidence_bound", "acquisition_parameter": 2.0}),
        ("--acquisition thompson", {"acquisition": "thompson", "acquisition_parameter": 0.0}),
        ("--acquisition probability_of_improvement", {"acquisition": "probability_of_improvement"}),
    ],
)
def test_settings_that_go_together(recording, tmp_path, arguments, settings, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with numpy.load(GRAPHENE) as data:
        numpy.save("vacuum.npy", 1e5 * data["vacuum"])
    assert main(["replay", str(recording), *arguments.split(), "--patch", "5", "--seeds", "2", "--steps", "0"]) == 0
    if "reference_file" in settings:
        settings["reference_file"] = str(tmp_path / settings["reference_file"])
    with open_session(tmp_path / "session.h5") as opened:
        assert opened.plan == changed(make_plan(patch_size=5, seed_points=2, model_points=0), **settings)


def test_a_saved_model_is_started_from(recording, tmp_path, capsys) -> None:
    with Replay(recording).opened() as instrument:
        (first := Runner(instrument, PLAN, lambda event: None)).run()
    first.pretrained().save(tmp_path / "first.dklmodel")
    arguments = ["--start-from", str(tmp_path / "first.dklmodel"), "--patch", "5", "--seeds", "0", "--steps", "2"]
    assert main(["replay", str(recording), "--out", str(tmp_path / "session.h5"), *arguments]) == 0
    assert "Finished: 2 points measured." in capsys.readouterr().out


def test_every_setting_but_the_devices_is_an_option_that_tells_its_default() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    command.add(commands)
    options = {action.dest: action for action in commands.choices["replay"]._actions}
    assert {key for key in SETTINGS if key not in options} == {
        "instrument_id",
        "camera_id",
        "channel",
        "survey_source",
    }
    for key, known in SETTINGS.items():
        if key not in options:
            continue
        assert f"--{key.replace('_', '-')}" in options[key].option_strings
        if known.kind is not bool:
            told = re.search(r"\(([^()]+)\)$", options[key].help)
            assert told[1] == (to_text(known.default) or "none"), key
    assert plan_options.plan_from(parser.parse_args(["replay", "graphene.h5"]), Terminal(io.StringIO())) == make_plan()


def test_an_exposure_in_seconds_is_refused_and_not_taken_for_milliseconds(recording, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit):
        main(["replay", str(recording), "--out", str(tmp_path / "session.h5"), "--exposure", "0.01"])
    assert "unrecognized arguments: --exposure 0.01" in capsys.readouterr().err


def test_short_names_of_acquisition_functions_are_the_librarys() -> None:
    """They are repeated in the command, which must not load the library to show its help."""
    assert {*plan_options._ACQUISITIONS.values(), "thompson"} == set(ACQUISITIONS)
    assert plan_options._ACQUISITIONS["ei"] == make_plan().search.acquisition


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("nowhere.h5", "There is no file nowhere.h5: check its name."),
        ("{recording} --steps -1", "Model points cannot be -1: choose 0 or more."),
        ("{recording} --acquisition best", "There is no acquisition function 'best': choose one of "),
        ("{recording} --electrons 0", "The number of electrons of a pattern is 0: give a positive number."),
        ("{recording} --exposure-ms inf", "Exposure cannot be inf ms: choose a number."),
        ("{recording} --out {recording} --overwrite", "{recording} is what is read: choose another place"),
        ("{recording} --out earlier.h5", "earlier.h5 is there already: choose another place with --out, or "),
    ],
)
def test_what_cannot_run_is_told_in_one_sentence(recording, tmp_path, arguments, sentence, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "earlier.h5").write_bytes(b"")
    before = recording.stat()
    assert main(["replay", *arguments.format(recording=recording).split()]) == 1
    error = capsys.readouterr().err
    assert error.startswith(sentence.format(recording=recording))
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["earlier.h5"]
    assert recording.stat().st_mtime == before.st_mtime


def test_a_recording_without_a_survey_makes_one_of_its_patterns(recording, tmp_path, capsys) -> None:
    patterns, session = tmp_path / "patterns.npy", tmp_path / "session.h5"
    with h5py.File(recording) as opened:
        numpy.save(patterns, opened["patterns"][:])
    arguments = ["replay", str(patterns), "--nm-per-pixel", "0.02", "--mrad-per-pixel", "2.5", "--out", str(session)]
    assert main([*arguments, *SHORT]) == 1
    assert "has no survey" in capsys.readouterr().err
    assert main([*arguments, *SHORT, "--survey-ring", "1.2", "3"]) == 0
    expected = virtual_survey(open_recording(recording), 1.2, 3)
    with open_session(session) as opened:
        numpy.testing.assert_array_equal(opened.survey.image, expected)
        replay_of(opened.instrument, opened.file.name)


def test_a_run_that_fails_says_so_and_keeps_what_there_was(recording, tmp_path, capsys) -> None:
    session = tmp_path / "session.h5"
    session.write_bytes(b"an earlier one")
    arguments = ["--seeds", "2", "--steps", "1000", "--patch", "5"]
    assert main(["replay", str(recording), "--out", str(session), "--overwrite", *arguments]) == 1
    assert (
        "The run asks for 2 seed points and 1000 model points but the survey has 400 candidates"
        in capsys.readouterr().out
    )
    assert session.read_bytes() == b"an earlier one"
    assert [path.name for path in tmp_path.iterdir()] == ["session.h5"]


def test_points_without_a_number_are_told_of_with_their_reason(recording, tmp_path, capsys) -> None:
    session = tmp_path / "session.h5"
    arguments = ["--scalarizer", "bragg_spacing", "--seeds", "3", "--steps", "0", "--patch", "5"]
    assert main(["replay", str(recording), "--out", str(session), *arguments]) == 1
    said = capsys.readouterr().out
    assert "3 of 3 points gave no number of Bragg spacing (3 times: no diffraction here: " in said
    assert "Best positions" not in said
    assert f"Saved the session {session}\n" in said


def test_a_session_may_have_the_longest_name_that_there_is(recording, tmp_path) -> None:
    session = tmp_path / f"{'s' * 247}.h5"
    assert main(["replay", str(recording), "--out", str(session), "--seeds", "2", "--steps", "0", "--patch", "5"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == [session.name]


def test_a_recording_without_noise_is_counted(recording, tmp_path) -> None:
    opened = open_recording(recording)
    fractions = dataclasses.replace(opened, stored_patterns=numpy.sqrt(opened.stored_patterns[:, :] / 1e5))
    column = ReplayColumn(dataclasses.replace(fractions, square_root_scale=1.0), seed=3, counts_per_electron=4.0)
    pattern = column.expose(0.2, 0.2, 2e4, 0.01)
    assert column.counts_per_electron == 4
    assert pattern.sum() == pytest.approx(4 * 2e4, rel=0.05)
    assert numpy.all(pattern % 4 == 0)
    opened.close()


# A run goes on.


@pytest.mark.parametrize("after", [1, 4, 5, 11, 12])
def test_a_run_that_was_broken_off_goes_on_as_if_it_had_not(recording, whole, tmp_path, capsys, after) -> None:
    session = tmp_path / "session.h5"
    leave(recording, session, after)
    assert main(["resume", str(session)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{after} of 12 points are measured already.\n")
    assert len(re.findall(r" % Point \d+ of 12", said)) == 12 - after
    assert_same_run(session, whole)


def test_a_file_of_scalarizers_is_run_once_its_hash_is_confirmed(recording, tmp_path, capsys) -> None:
    session, mine = tmp_path / "session.h5", tmp_path / "mine.py"
    mine.write_text(MINE, encoding="utf-8")
    leave(recording, session, 3, changed(PLAN, scalarizer="total", scalarizer_file=str(mine)))
    content = session.read_bytes()
    assert main(["resume", str(session)]) == 1
    told = f'dkl-ae resume "{session}" --confirm {file_hash(mine)}'
    assert capsys.readouterr().err == f"session.h5 runs {mine}: read that file, and if you trust it type {told}\n"
    assert session.read_bytes() == content
    assert main(["resume", str(session), "--confirm", file_hash(mine)]) == 0


def test_a_finished_run_does_not_go_on(whole, capsys) -> None:
    assert main(["resume", str(whole)]) == 1
    assert capsys.readouterr().err == "All 12 points of session.h5 are measured: start a new run for more.\n"


def test_a_recording_that_has_moved_is_named_anew(recording, whole, tmp_path, capsys) -> None:
    session, there, elsewhere = tmp_path / "session.h5", tmp_path / "there.h5", tmp_path / "elsewhere.h5"
    shutil.copy(recording, there)
    leave(there, session, 6)
    there.rename(elsewhere)
    assert main(["resume", str(session)]) == 1
    assert capsys.readouterr().err == f"There is no {there} any more: name its new place with --recording.\n"
    assert main(["resume", str(session), "--recording", str(elsewhere)]) == 0
    assert_same_run(session, whole)


def test_a_survey_that_has_moved_is_named_anew(recording, tmp_path, capsys) -> None:
    survey, session = tmp_path / "survey.npy", tmp_path / "session.h5"
    with h5py.File(recording) as opened:
        numpy.save(survey, opened["haadf"][:])
    replayed = Replay(recording, survey)
    SessionWriter(session, PLAN, SCALARIZERS, About("", replayed.described()))
    with replayed.opened() as instrument:
        runner = Runner(
            instrument,
            PLAN,
            lambda event: runner.stop(),
            recorder=SessionWriter(session, PLAN, SCALARIZERS, About("", replayed.described())),
        )
        runner.run()
    survey.rename(tmp_path / "moved.npy")
    assert main(["resume", str(session)]) == 1
    assert capsys.readouterr().err == f"There is no {survey} any more: name its new place with --survey.\n"
    assert main(["resume", str(session), "--survey", str(tmp_path / "moved.npy")]) == 0


def test_another_recording_is_refused(recording, tmp_path, capsys) -> None:
    session, other = tmp_path / "session.h5", tmp_path / "other.h5"
    leave(recording, session, 6)
    shutil.copy(recording, other)
    with h5py.File(other, "r+") as opened:
        opened["haadf"][...] = opened["haadf"][:][::-1]
    assert main(["resume", str(session), "--recording", str(other)]) == 1
    assert capsys.readouterr().err == (
        f"{other} is not what the run was measured on, for its survey differs: name another with --recording.\n"
    )


@pytest.mark.parametrize(
    ("instrument", "sentence"),
    [
        ({"kind": "swift"}, "session.h5 was not measured on a recording (its instrument is swift): go on with it"),
        ({"kind": "recording"}, "session.h5 does not tell how its recording was opened: start a new run."),
    ],
)
def test_sessions_of_other_instruments_are_refused(tmp_path, capsys, instrument, sentence) -> None:
    session = tmp_path / "session.h5"
    writer = MortalWriter(session, PLAN, SCALARIZERS, About("", instrument))
    runner = Runner(SimulatedInstrument(), PLAN, lambda event: runner.stop(), recorder=writer)
    runner.run()
    assert main(["resume", str(session)]) == 1
    assert capsys.readouterr().err.startswith(sentence)


# Two programs want the same session.


def test_of_two_programs_that_go_on_with_a_session_one_does_and_the_other_says_why_not(
    recording, whole, tmp_path
) -> None:
    session = tmp_path / "session.h5"
    leave(recording, session, 3)
    programs = [start("resume", session) for _ in range(2)]
    said = sorted((program.communicate()[0] for program in programs), key=len)
    assert sorted(program.returncode for program in programs) == [0, 1]
    assert said[0].count("\n") == 1
    # One that came late finds the run finished.
    assert "session.h5 is written by process " in said[0] or "All 12 points of" in said[0]
    assert_same_run(session, whole)
    assert list(tmp_path.iterdir()) == [session]


def test_a_session_in_use_is_not_overwritten(recording, tmp_path, capsys) -> None:
    session = tmp_path / "session.h5"
    leave(recording, session, 3)
    writer = take_up(session)[2]
    content = session.read_bytes()
    assert main(["replay", str(recording), "--out", str(session), "--overwrite", *SHORT]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"{session} is written by process {os.getpid()} on ")
    assert said.out == ""
    assert session.read_bytes() == content
    writer.close()
    assert main(["replay", str(recording), "--out", str(session), "--overwrite", *SHORT]) == 0


# The disk, the operator and the power fail.


class Watched(io.StringIO):
    """What a command writes, with somebody who acts on it."""

    def __init__(self, act: Callable[[str], None]) -> None:
        super().__init__()
        self._act = act

    def write(self, text: str) -> int:
        self._act(text)
        return super().write(text)


def test_a_folder_that_is_removed_and_made_again(recording, whole, tmp_path, monkeypatch) -> None:
    session = tmp_path / "folder" / "session.h5"

    def act(text: str) -> None:
        if " 6 of 12" in text:
            shutil.rmtree(session.parent)

    monkeypatch.setattr(run_on_terminal, "RETRY_S", 0.05)
    monkeypatch.setattr(sys, "stdout", said := Watched(act))
    assert main(["replay", str(recording), "--out", str(session), *SHORT]) == 0
    assert said.getvalue().count("cannot be written") == 1
    assert "The session file is written again: the run goes on." in said.getvalue()
    assert_same_run(session, whole)


def test_a_run_that_waits_for_room_can_be_stopped(recording, whole, tmp_path, monkeypatch) -> None:
    session = tmp_path / "session.h5"
    waits = threading.Event()
    wait, full = concurrent.futures.wait, shutil.disk_usage(tmp_path)._replace(free=0)

    def act(text: str) -> None:
        if " 6 of 12" in text:
            patched.setattr(shutil, "disk_usage", lambda folder: full)
        if "cannot be written (no space left on the disk)" in text:
            waits.set()

    def interrupted_wait(*given):
        if waits.is_set():
            waits.clear()
            raise KeyboardInterrupt
        return wait(*given)

    monkeypatch.setattr(sys, "stdout", said := Watched(act))
    with monkeypatch.context() as patched:
        patched.setattr(concurrent.futures, "wait", interrupted_wait)
        assert main(["replay", str(recording), "--out", str(session), *SHORT]) == 1
    assert "written again" not in said.getvalue()
    assert said.getvalue().endswith(f'To go on: dkl-ae resume "{session}"\n')
    assert main(["resume", str(session)]) == 0
    assert "6 of 12 points are measured already." in said.getvalue()
    assert_same_run(session, whole)


def test_a_run_does_not_wait_for_torchs_compiler(recording, tmp_path) -> None:
    """It takes two seconds to import, and nothing here uses it."""
    program = (
        "import sys; from dkl_ae.commands.cli import main; main(sys.argv[1:]); print('torch._dynamo' in sys.modules)"
    )
    arguments = ["replay", str(recording), "--out", str(tmp_path / "session.h5"), *SHORT]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert "Finished: 12 points measured." in done.stdout
    assert done.stdout.endswith("False\n")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_makes_the_run_wait(recording, whole, tmp_path) -> None:
    """Here it is full for files of more than 200 kB, and has room again soon after the command has complained."""
    program = """
        import resource, signal, sys, threading
        from dkl_ae.commands.cli import main
        from dkl_ae.commands import run_on_terminal

        class Operator:
            def write(self, text):
                sys.__stdout__.write(text)
                if "cannot be written" in text:
                    lift = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
                    threading.Timer(1.2, lift).start()
            def flush(self): sys.__stdout__.flush()
            def isatty(self): return False

        run_on_terminal.RETRY_S = 0.5
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        sys.stdout = Operator()
        sys.exit(main(sys.argv[1:]))
    """
    session = tmp_path / "session.h5"
    arguments = ["replay", str(recording), "--out", str(session), *SHORT]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.lower().count("cannot be written (file too large)") == 1
    assert done.stdout.index("cannot be written") < done.stdout.index("written again") < done.stdout.index("12 of 12")
    assert_same_run(session, whole)


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
def test_ctrl_c_stops_the_run_and_keeps_everything(recording, whole, tmp_path) -> None:
    session = tmp_path / "session.h5"
    # Whoever runs the tests in the background may have it ignored, also by their children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = start("replay", recording, "--out", session, *SHORT)
    signal.signal(signal.SIGINT, before)
    lines = [process.stdout.readline() for _ in range(6)]
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate()
    assert process.returncode == 1
    assert "Stopped: everything measured so far is saved.\n" in rest
    assert rest.endswith(f'To go on: dkl-ae resume "{session}"\n')
    announced = sum(" % " in line for line in [*lines, *rest.splitlines()])
    with open_session(session) as opened:
        assert (opened.count, opened.outcome) == (announced, Outcome.STOPPED)
    assert main(["resume", str(session)]) == 0
    assert_same_run(session, whole)


@pytest.mark.exhaustive(ordinary=2, full=20)
@pytest.mark.timeout(1200)
def test_a_run_that_is_killed_loses_nothing(tmp_path, times) -> None:
    """At random instants, in the replayed run and in those that go on with it."""
    recording, whole = tmp_path / "recording.h5", tmp_path / "whole.h5"
    make_recording(recording)
    start_replay(recording, whole, "charge_density").communicate()
    random = numpy.random.default_rng(0)
    killed = 0
    while killed < times:
        session = tmp_path / f"{killed}.h5"
        for kill in killed_again_and_again(recording, session, "charge_density", min(5, times - killed), random):
            assert (kill.found or 0) >= kill.announced
            killed += 1
        assert_same_run(session, whole)
