"""A microscopist's session in the real window: settings, Start, the end, and everything saved."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.gui, pytest.mark.slow]

ITEMS = """
import numpy
result = {}
for item in window.document_model.data_items:
    described = item.metadata.get("dkl_ae")
    if described:
        data = numpy.array(item.xdata.data)
        result[described["role"]] = {
            "title": item.title,
            "shape": list(data.shape),
            "filled": int(numpy.isfinite(data.reshape(len(data), -1)[:, 0]).sum()),
            "plan": described["plan"],
            "sum": float(numpy.nansum(data.astype(float))),
            "units": [c.units for c in item.dimensional_calibrations],
        }
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
    assert swift.evaluate("panel.message.value").endswith("choose 13.")
    assert not swift.evaluate("panel.start_button.enabled")
    swift.screenshot("refused")
    swift.type_into("patch_size_edit", "11")
    swift.type_into("seed_points_edit", "5")
    swift.type_into("steps_edit", "15")
    assert swift.evaluate("panel.message.value") == "Ready."
    swift.click("start_button")
    swift.wait_for("not panel.idle.value or panel.progress.value == 100")
    swift.wait_for("panel.progress.value >= 60")
    swift.screenshot("running")
    swift.wait_for("panel.idle.value")
    assert swift.evaluate("panel.message.value") == "Finished: 20 points measured."
    swift.screenshot("finished")
    saved = swift.call(ITEMS)
    assert set(saved) == ROLES
    assert saved["patterns"]["shape"] == [20, 64, 64]
    assert saved["measurements"]["filled"] == 20
    assert saved["maps"]["shape"] == [16, 3, 118, 118]
    assert saved["survey"]["plan"] | {"patch_size": 11, "steps": 15} == saved["survey"]["plan"]
    assert saved["prediction"]["units"] == ["nm", "nm"]
    assert saved["pattern"]["units"] == ["mrad", "mrad"]
    assert swift.quit() == 0

    again = open_swift()
    assert again.call(ITEMS) == saved
    assert again.evaluate("panel.patch_size_edit.text") == "11"
    again.screenshot("reopened")
    assert again.quit() == 0


def test_stop_and_then_closing_the_window_during_a_run_keep_what_was_measured(open_swift) -> None:
    swift = open_swift()
    swift.type_into("steps_edit", "500")
    swift.click("start_button")
    swift.wait_for("panel.step_text.value.startswith('Step 2')")
    swift.click("pause_button")
    swift.wait_for("panel.message.value == 'Paused, the beam is blanked.'")
    swift.screenshot("paused")
    swift.click("pause_button")
    swift.click("stop_button")
    swift.wait_for("panel.idle.value")
    assert swift.evaluate("panel.message.value") == "Stopped: everything measured so far is saved."
    stopped = swift.call(ITEMS)
    assert set(stopped) == ROLES
    assert 2 <= stopped["measurements"]["filled"] < 510

    swift.click("start_button")
    swift.wait_for("panel.step_text.value.startswith('Step 15')")
    assert swift.quit() == 0

    again = open_swift()
    closed = again.call(ITEMS)
    assert set(closed) == ROLES
    assert 15 <= closed["measurements"]["filled"] < 510
    assert closed["survey"]["title"] != stopped["survey"]["title"]
    assert again.quit() == 0
