"""Another scalarizer or goal is followed: during a run, and after it."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

from dkl_ae.model.saved_model import SavedModel
from dkl_ae.session import MAPS
from nionswift_plugin.dkl_ae_ui.project.run_items import METADATA_KEY
from tests.support.panel_runs import ROLES, columns_of, items_of, measured, run_to_end, run_to_step
from tests.support.swift_in_process import pump

pytestmark = pytest.mark.swift

ABF = "fraction of the beam"


def test_a_run_is_switched_while_it_goes_on(simulator, open_panel) -> None:
    handler = open_panel(simulator, model_points="14")
    assert not handler.switch_button.enabled
    run_to_step(simulator, handler, 5)
    assert handler.scalarizer_combo.enabled
    assert handler.goal_combo.enabled
    assert not handler.switch_button.enabled
    handler.set_text("scalarizer", "abf")
    handler.set_text("goal", "smallest")
    assert handler.message.value.startswith("Press Change objective ")
    assert handler.switch_button.enabled
    before = measured(simulator)
    assert handler.best_text.value.split("\n")[0].endswith("mrad")
    handler.switch_button.on_clicked()
    pump(simulator, lambda: handler.message.value == "The run now looks for the smallest Virtual ABF.")
    assert not handler.switch_button.enabled
    pump(simulator, lambda: handler.idle.value)
    assert handler.message.value == "Finished: 17 points measured."
    assert measured(simulator) == 17
    items = items_of(simulator)
    assert set(items) == ROLES
    assert len(simulator.document_model.data_groups) == 1
    rows = dict(zip(columns_of(items), numpy.array(items["measurements"].xdata.data).T, strict=True))
    abf = rows[f"abf ({ABF})"]
    numpy.testing.assert_array_equal(items["readings"].data, abf)
    for role in ("readings", "prediction", "uncertainty"):
        assert items[role].intensity_calibration.units == ABF
        assert items[role].metadata[METADATA_KEY]["plan"]["scalarizer"] == "abf"
    best, unit = handler.best_text.value.split("\n")[0].split(" ", 1)
    assert float(best) == pytest.approx(abf.min(), abs=1e-4)
    assert unit.endswith(ABF)
    described = items["maps"].metadata[METADATA_KEY]
    first, second = described["objectives"]
    assert first == {"from_point": 1, "scalarizer": "com_magnitude", "goal": "largest", "goal_value": 0.0}
    assert second == first | {"from_point": second["from_point"], "scalarizer": "abf", "goal": "smallest"}
    assert before < second["from_point"] <= 16
    # What the model says before and after is of the one and of the other.
    maps = numpy.array(items["maps"].xdata.data)
    assert numpy.median(maps[-1, 0]) == pytest.approx(numpy.median(abf), abs=0.1)
    index = described["steps"].index(second["from_point"] - 1)
    # A shift differs from place to place; the detector's share hardly does.
    assert maps[-1, 0].std() < 0.05 < maps[index, 0].std()
    numpy.testing.assert_array_equal(items["prediction"].data, maps[-1, 0])


def test_a_run_that_is_switched_to_the_charge_exposes_crosses_from_there_on(simulator, open_panel) -> None:
    handler = open_panel(simulator, model_points="200")
    run_to_step(simulator, handler, 4)
    handler.set_text("scalarizer", "charge_density")
    handler.switch_button.on_clicked()
    pump(simulator, lambda: handler.message.value == "The run now looks for the largest Charge density.")
    first = items_of(simulator)["maps"].metadata[METADATA_KEY]["objectives"][-1]["from_point"]
    pump(simulator, lambda: measured(simulator) >= first + 2)
    handler.stop_button.on_clicked()
    pump(simulator, lambda: handler.idle.value)
    items = items_of(simulator)
    exposed = numpy.array(items["ends"].xdata.data).any(axis=(1, 2, 3))
    assert not exposed[: first - 1].any()
    assert exposed[first - 1 : first + 1].all()
    readings = items["readings"].data
    assert numpy.isnan(readings[: first - 1]).all()
    assert numpy.isfinite(readings[first - 1 : first + 1]).all()
    assert items["prediction"].intensity_calibration.units == "mrad/Å"


def test_a_run_that_has_ended_is_seen_by_another_scalarizer(simulator, open_panel, tmp_path) -> None:
    handler = open_panel(simulator)
    run_to_end(simulator, handler)
    own = items_of(simulator)
    maps = {role: numpy.array(own[role].data) for role in MAPS}
    handler.set_text("scalarizer", "abf")
    assert handler.switch_button.enabled
    handler.switch_button.on_clicked()
    assert handler.message.value == "Learning from the run's readings..."
    assert not handler.start_button.enabled
    assert not handler.switch_button.enabled
    pump(simulator, lambda: handler.start_button.enabled)
    assert handler.message.value == "Virtual ABF as the last run read it: its maps are in the run's group."
    assert handler.best_text.value.split("\n")[0].endswith(ABF)
    items = items_of(simulator)
    added = {f"{role} of abf" for role in maps}
    assert set(items) == ROLES | added
    (group,) = simulator.document_model.data_groups
    assert len(group.display_items) == len(ROLES) + len(MAPS)
    assert items["prediction of abf"].title.startswith("Prediction of Virtual ABF (CoM magnitude, ")
    assert items["prediction of abf"].intensity_calibration.units == ABF
    assert items["prediction of abf"].dimensional_calibrations[0] == own["prediction"].dimensional_calibrations[0]
    display_item = simulator.document_model.get_display_item_for_data_item(items["prediction of abf"])
    assert display_item.display_data_channels[0].color_map_id == "viridis"
    assert not numpy.allclose(items["prediction of abf"].data, maps["prediction"])
    for role, image in maps.items():
        numpy.testing.assert_array_equal(items[role].data, image)
        assert items[role].metadata[METADATA_KEY]["plan"]["scalarizer"] == "com_magnitude"
    handler.save_model(tmp_path / "abf")
    assert SavedModel.load(tmp_path / "abf.dklmodel").scalarizer == "abf"
    run_to_end(simulator, handler)
    assert handler.message.value == "Finished: 6 points measured."


def test_only_what_the_run_read_can_be_switched_to(simulator, open_panel) -> None:
    handler = open_panel(simulator, model_points="0", expression="abf")
    run_to_end(simulator, handler)
    handler.set_text("scalarizer", "charge_density")
    handler.switch_button.on_clicked()
    pump(simulator, lambda: handler.start_button.enabled)
    assert handler.message.value == (
        "The run read too little of Charge density for maps: start a run that optimizes it."
    )
    assert set(items_of(simulator)) == ROLES
    handler.set_text("scalarizer", "composite")
    assert handler.switch_button.enabled
    handler.set_text("expression", "abf / bf")
    assert not handler.switch_button.enabled
    handler.set_text("scalarizer", "charge_density")
    assert not handler.switch_button.enabled
    handler.set_text("goal", "value")
    assert handler.switch_button.enabled
    handler.goal_value_edit.on_text_edited("a")
    assert not handler.switch_button.enabled


def test_closing_the_panel_while_the_model_learns_anew_is_safe(simulator, open_panel) -> None:
    handler = open_panel(simulator, model_points="0")
    run_to_end(simulator, handler)
    handler.set_text("scalarizer", "abf")
    handler.switch_button.on_clicked()
    handler.close()
    assert "prediction of abf" in items_of(simulator)


def test_what_fails_in_learning_anew_is_told(simulator, open_panel, monkeypatch) -> None:
    handler = open_panel(simulator, model_points="0")
    run_to_end(simulator, handler)

    def fail(*arguments: Any) -> Any:
        raise ArithmeticError("the matrix is singular")

    monkeypatch.setattr("dkl_ae.experiment.experiment.Experiment.apply", fail)
    handler.set_text("scalarizer", "abf")
    handler.switch_button.on_clicked()
    pump(simulator, lambda: handler.start_button.enabled)
    assert handler.message.value == (
        "The program failed to change the run (ArithmeticError: the matrix is singular): see the log for details."
    )
