"""A microscopist's session in the real window: settings, Start, the end, and everything saved."""

from __future__ import annotations

import re

import pytest

from dkl_ae.session import MAPS
from tests.support.panel_runs import ROLES
from tests.support.swift_window import RUNS

pytestmark = pytest.mark.gui


def test_a_run_from_the_panel(swift) -> None:
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
    swift.type_into("model_points_edit", "7")
    assert swift.evaluate("panel.message.value") == "Ready."
    swift.click("start_button")
    swift.wait_for("not panel.idle.value or panel.progress.value == 100")
    swift.wait_for("panel.progress.value >= 60")
    swift.screenshot("running")
    swift.wait_for("panel.idle.value")
    assert swift.evaluate("panel.message.value") == "Finished: 12 points measured."
    assert re.fullmatch(
        r"Model: Variance: local structure \d+ %, brightness trend .*\. Error bars x \d.\d\d",
        swift.evaluate("panel.model_text.value"),
    )
    swift.screenshot("finished")
    saved = swift.call(RUNS)[-1]
    assert set(saved) == ROLES | {"run", "plan"}
    assert saved["patterns"]["shape"] == [12, 64, 64]
    assert saved["measurements"]["filled"] == 12
    assert saved["maps"]["shape"] == [8, len(MAPS), 118, 118]
    assert saved["plan"] | {"patch_size": 11, "seed_points": 5, "model_points": 7} == saved["plan"]
    assert saved["prediction"]["units"] == ["nm", "nm"]
    assert saved["pattern"]["units"] == ["mrad", "mrad"]


def test_a_saved_model_starts_a_run_without_seeds(swift, tmp_path) -> None:
    swift.type_into("seed_points_edit", "3")
    swift.type_into("model_points_edit", "3")
    swift.click("start_button")
    swift.wait_for("panel.idle.value and panel.message.value == 'Finished: 6 points measured.'")
    model = tmp_path / "graphene.dklmodel"
    swift.evaluate(f"panel.save_model(__import__('pathlib').Path({str(model)!r}))")
    swift.evaluate("setattr(panel.tab_index, 'value', 3)")
    swift.type_into("pretrained_edit", str(model))
    swift.screenshot("more")
    swift.evaluate("setattr(panel.tab_index, 'value', 0)")
    swift.type_into("seed_points_edit", "0")
    swift.click("start_button")
    swift.wait_for("panel.idle.value and panel.message.value == 'Finished: 3 points measured.'")
    swift.screenshot("started_from_a_model")
    first, second = swift.call(RUNS)[-2:]
    assert (first["measurements"]["filled"], second["measurements"]["filled"]) == (6, 3)
    swift.evaluate("setattr(panel.tab_index, 'value', 3)")
    swift.type_into("pretrained_edit", "")
    swift.evaluate("setattr(panel.tab_index, 'value', 0)")


SHOW_REFERENCE = """
item = next(i for i in reversed(window.document_model.data_items) if i.title.startswith("Reference pattern"))
display_item = window.document_model.get_display_item_for_data_item(item)
window.workspace_controller.display_panels[3].set_display_item(display_item)
result = [graphic.label for graphic in display_item.graphics]
"""


def test_a_run_is_switched_to_an_expression_while_it_goes_on(swift) -> None:
    swift.type_into("seed_points_edit", "5")
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
    swift.wait_for_points(7)
    swift.choose("scalarizer_combo", swift.evaluate("panel.scalarizer_labels.value.index('Composite')"))
    assert swift.evaluate("panel.scalarizer_combo.current_item") == "Composite"
    assert swift.evaluate("panel.switch_button.enabled")
    swift.click("switch_button")
    swift.wait_for("panel.message.value == 'The run now looks for the largest Composite.'")
    swift.wait_for_points(swift.evaluate("panel.status.number") + 3)
    assert swift.call(SHOW_REFERENCE) == [None, "bright-field disc, in its mask", "zero"]
    swift.screenshot("switched")
    swift.click("stop_button")
    swift.wait_for("panel.idle.value")
    swift.choose("scalarizer_combo", 5)
    swift.click("switch_button")
    swift.wait_for("panel.message.value.startswith('Virtual ABF as the last run read it')")
    swift.screenshot("seen-by-another")
    saved = swift.call(RUNS)[-1]
    assert set(saved) == ROLES | {"run", "plan"} | {f"{role} of abf" for role in MAPS}
