"""The real program is killed in the middle of runs: nothing measured is lost, and they go on as if it had not been."""

from __future__ import annotations

import pathlib
import random

import pytest

from dkl_ae.session import open_session

pytestmark = [pytest.mark.gui, pytest.mark.timeout(3000)]


def begin(swift, points: int) -> None:
    # Where the zero drifts is told by the clock, which is another in each run.
    swift.evaluate("panel.set_text('reference_repeated', '0')")
    swift.type_into("seed_points_edit", "5")
    swift.type_into("model_points_edit", str(points - 5))
    swift.click("start_button")
    swift.wait_for("not panel.idle.value")


def sessions(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(folder.rglob("*.h5"))


def session_files(project: pathlib.Path) -> list[pathlib.Path]:
    return [file for folder in project.glob("* Sessions") for file in sessions(folder)]


def path_of(file: pathlib.Path, points: int) -> list[object]:
    with open_session(file) as session:
        assert session.count == points
        columns = [session.columns[name].tolist() for name in ("candidate", "total_exposure_s")]
        return [*columns, *(repr(values.tolist()) for values, _ in session.readings.values())]


@pytest.mark.exhaustive(ordinary=1, full=20)
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(open_swift, tmp_path, times) -> None:
    # One kill comes when the model has just learned; many come anywhere in a long run.
    points, earliest, latest = (15, 6, 10) if times == 1 else (60 * times + 10, 1, 15)
    chance = random.Random(times)
    swift = open_swift()
    begin(swift, points)
    swift.wait_for(f"panel.idle.value and panel.message.value == 'Finished: {points} points measured.'", 600)
    assert swift.quit() == 0
    [whole] = session_files(tmp_path / "project")

    lost = []
    swift = open_swift()  # a new microscope: the noise of its camera begins anew
    begin(swift, points)
    for number in range(times):
        before = points * number // (times + 1)
        swift.wait_for_points(before + chance.randint(earliest, latest))
        least = swift.evaluate("panel.status.number")
        swift.kill()
        killed = max(session_files(tmp_path / "project"), key=lambda file: file.stat().st_mtime)
        with open_session(killed) as session:
            lost.append(least - session.count)
            assert session.count >= least
            assert session.losses == ()
        swift = open_swift()
        swift.screenshot("after_a_kill")
        assert swift.evaluate("panel.session_text.value").endswith(f" of {points} points")
        swift.click("resume_run_button")
        swift.wait_for("not panel.idle.value")
    swift.wait_for(f"panel.idle.value and panel.message.value == 'Finished: {points} points measured.'", 600)
    swift.screenshot("resumed")
    assert swift.quit() == 0
    assert path_of(killed, points) == path_of(whole, points)
    print(f"{times} kills; told but not kept: {max(lost)}")  # noqa: T201
