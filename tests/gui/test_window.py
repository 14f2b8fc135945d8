"""A microscopist's session in the real window: settings, Start, the end, and everything saved."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.gui

RUNS = """
import numpy
result = []
for item in window.document_model.data_items:
    described = item.metadata.get("dkl_ae")
    if described:
        if not result or result[-1]["run"] != described["run"]:
            result.append({"run": described["run"], "plan": described["plan"]})
        data = numpy.array(item.xdata.data)
        result[-1][described["role"]] = {
            "shape": list(data.shape),
            "filled": int(numpy.isfinite(data.reshape(len(data), -1)[:, 0]).sum()),
            "sum": float(numpy.nansum(data.astype(float))),
            "electrons": [float(pattern.sum()) for pattern in data] if described["role"] == "patterns" else [],
            "units": [c.units for c in item.dimensional_calibrations],
        }
"""
"""The runs in the project, oldest first, and their data items by role."""

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
ROLES = {
    "survey", "path", "prediction", "uncertainty", "acquisition", "pattern", "readings",
    "measurements", "maps", "patterns", "reference",
}  # fmt: skip


def test_a_run_from_the_panel_to_the_reopened_project(open_swift) -> None:
    swift = open_swift()
    assert swift.evaluate("panel.message.value") == "Ready."
    assert swift.evaluate("panel.instrument_id_combo.current_item") == "dkl_ae_stem"
    swift.choose("scalarizer_combo", 1)
    assert swift.evaluate("panel.scalarizer_combo.current_item") == "CoM x (mrad)"
    swift.choose("scalarizer_combo", 0)
    swift.type_into("patch_size_edit", "12")
    assert swift.evaluate("panel.message.value").endswith("12 px has no central pixel: 13 px are used.")
    assert swift.evaluate("panel.start_button.enabled")
    swift.type_into("patch_size_edit", "0")
    assert swift.evaluate("panel.message.value").endswith("choose 1 or more.")
    assert not swift.evaluate("panel.start_button.enabled")
    swift.screenshot("refused")
    swift.type_into("patch_size_edit", "11")
    swift.type_into("seed_points_edit", "5")
    swift.type_into("model_points_edit", "15")
    assert swift.evaluate("panel.message.value") == "Ready."
    swift.click("start_button")
    swift.wait_for("not panel.idle.value or panel.progress.value == 100")
    swift.wait_for("panel.progress.value >= 60")
    swift.screenshot("running")
    swift.wait_for("panel.idle.value")
    assert swift.evaluate("panel.message.value") == "Finished: 20 points measured."
    assert re.fullmatch(
        r"Model: Variance: local structure \d+ %, brightness trend .*\. Error bars x \d.\d\d",
        swift.evaluate("panel.model_text.value"),
    )
    swift.screenshot("finished")
    (saved,) = swift.call(RUNS)
    assert set(saved) == ROLES | {"run", "plan"}
    assert saved["patterns"]["shape"] == [20, 64, 64]
    assert saved["measurements"]["filled"] == 20
    assert saved["maps"]["shape"] == [16, 3, 118, 118]
    assert saved["plan"] | {"patch_size": 11, "seed_points": 5, "model_points": 15} == saved["plan"]
    assert saved["prediction"]["units"] == ["nm", "nm"]
    assert saved["pattern"]["units"] == ["mrad", "mrad"]
    assert swift.quit() == 0

    again = open_swift()
    assert again.call(RUNS) == [saved]
    assert again.evaluate("panel.patch_size_edit.text") == "11"
    again.screenshot("reopened")
    assert again.quit() == 0


def test_a_saved_model_starts_a_run_without_seeds(open_swift, tmp_path) -> None:
    swift = open_swift()
    swift.type_into("seed_points_edit", "5")
    swift.type_into("model_points_edit", "15")
    swift.click("start_button")
    swift.wait_for("panel.message.value == 'Finished: 20 points measured.'")
    model = tmp_path / "graphene.dklmodel"
    swift.evaluate(f"panel.save_model(__import__('pathlib').Path({str(model)!r}))")
    swift.evaluate("setattr(panel.tab_index, 'value', 3)")
    swift.type_into("pretrained_edit", str(model))
    swift.screenshot("more")
    swift.evaluate("setattr(panel.tab_index, 'value', 0)")
    swift.type_into("seed_points_edit", "0")
    swift.click("start_button")
    swift.wait_for("panel.message.value == 'Finished: 15 points measured.'")
    swift.screenshot("started_from_a_model")
    first, second = swift.call(RUNS)
    assert (first["measurements"]["filled"], second["measurements"]["filled"]) == (20, 15)
    assert swift.quit() == 0


SHOW_REFERENCE = """
item = next(i for i in window.document_model.data_items if i.title.startswith("Reference pattern"))
display_item = window.document_model.get_display_item_for_data_item(item)
window.workspace_controller.display_panels[3].set_display_item(display_item)
result = [graphic.label for graphic in display_item.graphics]
"""


def test_a_run_is_switched_to_an_expression_while_it_goes_on(open_swift) -> None:
    swift = open_swift()
    swift.type_into("model_points_edit", "500")
    swift.choose("scalarizer_combo", 1)
    swift.evaluate("setattr(panel.tab_index, 'value', 3)")
    swift.type_into("expression_edit", "com_magnitude / ab")
    assert "has 'ab': use scalarizers" in swift.evaluate("panel.message.value")
    assert not swift.evaluate("panel.start_button.enabled")
    swift.screenshot("expression-refused")
    swift.type_into("expression_edit", "com_magnitude / abf")
    swift.evaluate("setattr(panel.tab_index, 'value', 2)")
    swift.choose("reference_combo", 2)
    assert swift.evaluate("panel.reference_combo.current_item") == "Mean over the survey"
    assert swift.evaluate("panel.message.value") == "Ready."
    swift.screenshot("pattern")
    swift.evaluate("setattr(panel.tab_index, 'value', 0)")
    assert swift.evaluate("panel.scalarizer_combo.current_item") == "CoM x (mrad)", "others are offered now"
    swift.click("start_button")
    swift.wait_for_points(12)
    swift.choose("scalarizer_combo", swift.evaluate("panel.scalarizer_labels.value.index('Composite')"))
    assert swift.evaluate("panel.scalarizer_combo.current_item") == "Composite"
    assert swift.evaluate("panel.switch_button.enabled")
    swift.click("switch_button")
    swift.wait_for("panel.message.value == 'The run now looks for the largest Composite.'")
    swift.wait_for_points(20)
    assert swift.call(SHOW_REFERENCE) == [None, "bright-field disc, in its mask", "zero"]
    swift.screenshot("switched")
    swift.click("stop_button")
    swift.wait_for("panel.idle.value")
    swift.choose("scalarizer_combo", 5)
    swift.click("switch_button")
    swift.wait_for("panel.message.value.startswith('Virtual ABF as the last run read it')")
    swift.screenshot("seen-by-another")
    (saved,) = swift.call(RUNS)
    assert set(saved) == ROLES | {"run", "plan"} | {
        f"{role} of abf" for role in ("prediction", "uncertainty", "acquisition")
    }
    assert swift.quit() == 0


def test_runs_that_end_early_are_complete_up_to_there_in_the_reopened_project(open_swift) -> None:
    swift = open_swift()
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
    swift.wait_for_points(13)
    swift.call(BREAK_CAMERA)
    swift.wait_for("panel.idle.value")
    assert swift.evaluate("panel.message.value").startswith("4D-STEM Simulator Camera failed")
    swift.screenshot("failed")
    swift.call(MEND_CAMERA)

    swift.click("start_button")
    swift.wait_for_points(13)
    assert swift.quit() == 0  # as a user who closes the window during a run

    again = open_swift()
    runs = again.call(RUNS)
    assert len(runs) == 3
    for run, least in zip(runs, (2, 13, 13), strict=True):
        assert set(run) == ROLES | {"run", "plan"}
        measured = run["measurements"]["filled"]
        assert least <= measured < 510
        electrons = run["patterns"]["electrons"]
        assert all(count > 1.8e6 for count in electrons[:measured])
        assert not any(electrons[measured:])
        assert run["readings"]["shape"] == [measured]
    assert again.quit() == 0


def test_the_demos_project_opens_in_the_window(demo, open_swift, tmp_path) -> None:
    demo.copied_to(tmp_path / "project")
    swift = open_swift()
    (run,) = swift.call(RUNS)
    assert set(run) == ROLES | {"run", "plan"}
    assert run["measurements"]["filled"] == 70
    assert swift.evaluate("len(window.workspace_controller.display_panels)") == 6
    swift.screenshot("demo")
    assert swift.quit() == 0
