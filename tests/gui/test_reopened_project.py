"""What runs left in a project, once it is opened again."""

from __future__ import annotations

import pytest

from tests.support.panel_runs import ROLES
from tests.support.swift_window import RUNS

pytestmark = pytest.mark.gui

BREAK_CAMERA = """
from nion.instrumentation import HardwareSource

def fail(*arguments, **named):
    raise RuntimeError("the detector lost its cooling")

manager = HardwareSource.HardwareSourceManager()
source = manager.get_hardware_source_for_hardware_source_id("dkl_ae_ronchigram")
source.camera.acquire_sequence_begin = fail
result = None
"""
MEND_CAMERA = """
from nion.instrumentation import HardwareSource

manager = HardwareSource.HardwareSourceManager()
source = manager.get_hardware_source_for_hardware_source_id("dkl_ae_ronchigram")
del source.camera.acquire_sequence_begin
result = None
"""


def test_runs_of_every_end_are_complete_up_to_there_in_the_reopened_project(open_swift) -> None:
    swift = open_swift()
    swift.type_into("patch_size_edit", "11")
    swift.type_into("seed_points_edit", "3")
    swift.type_into("model_points_edit", "2")
    swift.click("start_button")
    swift.wait_for("panel.idle.value and panel.message.value == 'Finished: 5 points measured.'")
    finished = swift.call(RUNS)

    swift.type_into("model_points_edit", "500")
    swift.click("start_button")
    swift.wait_for_points(2)
    swift.click("pause_button")
    swift.wait_for("panel.message.value == 'Paused, the beam is blanked.'")
    swift.screenshot("paused")
    swift.click("pause_button")
    swift.click("stop_button")
    swift.wait_for("panel.idle.value")
    assert swift.evaluate("panel.message.value") == "Stopped: everything measured so far is saved."

    swift.click("start_button")
    swift.wait_for_points(5)
    swift.call(BREAK_CAMERA)
    swift.wait_for("panel.idle.value")
    assert swift.evaluate("panel.message.value").startswith("4D-STEM Simulator Camera failed")
    swift.screenshot("failed")
    swift.call(MEND_CAMERA)

    swift.click("start_button")
    swift.wait_for_points(5)
    assert swift.quit() == 0  # as a user who closes the window during a run

    again = open_swift()
    assert again.evaluate("panel.patch_size_edit.text") == "11"
    runs = again.call(RUNS)
    assert runs[:1] == finished
    assert len(runs) == 4
    for run, least in zip(runs[1:], (2, 5, 5), strict=True):
        assert set(run) == ROLES | {"run", "plan"}
        measured = run["measurements"]["filled"]
        assert least <= measured < 503
        electrons = run["patterns"]["electrons"]
        assert all(count > 1.8e6 for count in electrons[:measured])
        assert not any(electrons[measured:])
        assert run["readings"]["shape"] == [measured]
    again.screenshot("reopened")
    assert again.quit() == 0


def test_the_demos_project_opens_in_the_window(demo, open_swift, tmp_path) -> None:
    demo.copied_to(tmp_path / "project")
    swift = open_swift()
    (run,) = swift.call(RUNS)
    assert set(run) == ROLES | {"run", "plan"}
    assert run["measurements"]["filled"] == 70
    assert swift.evaluate("len(window.workspace_controller.display_panels)") == 7
    swift.screenshot("demo")
    assert swift.quit() == 0
