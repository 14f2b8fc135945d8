"""What a run through the panel leaves; one run serves all, for none of these tests changes anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
import scipy.constants

from dkl_ae.session import MAPS
from tests.support.panel_runs import ROLES, columns_of, items_of, run_to_end
from tests.support.swift_in_process import opened_panels, simulated_microscope

pytestmark = pytest.mark.swift


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Iterator[tuple[Any, Any]]:
    """Swift after a run of six points, and the panel that drove it."""
    with simulated_microscope(tmp_path_factory.mktemp("swift")) as context, opened_panels() as open_panel:
        handler = open_panel(context)
        run_to_end(context, handler)
        yield context, handler


def test_a_run_finishes_and_leaves_every_item_in_one_group(finished) -> None:
    simulator, handler = finished
    assert handler.message.value == "Finished: 6 points measured."
    assert handler.progress.value == 100
    assert re.fullmatch(r"Point 6 of 6: \S+ ± \S+ mrad", handler.step_text.value)
    items = items_of(simulator)
    assert set(items) == ROLES
    (group,) = simulator.document_model.data_groups
    assert len(group.display_items) == len(ROLES)
    for role in ("survey", "path", *MAPS):
        assert [c.units for c in items[role].dimensional_calibrations] == ["nm", "nm"]
    for role in ("pattern", "reference"):
        assert [c.units for c in items[role].dimensional_calibrations] == ["mrad", "mrad"]
    assert items["prediction"].intensity_calibration.units == "mrad"
    assert items["patterns"].data_shape == (6, 64, 64)
    assert items["maps"].data_shape == (4, len(MAPS), *items["prediction"].data_shape)


def test_maps_lie_over_the_survey(finished) -> None:
    """A patch of 9 px fits from the fifth pixel on: the map's first pixel is the survey's fifth."""
    items = items_of(finished[0])
    assert items["prediction"].data_shape == (56, 56)
    survey, prediction = (items[role].dimensional_calibrations[0] for role in ("survey", "prediction"))
    assert prediction.convert_to_calibrated_value(0) == pytest.approx(survey.convert_to_calibrated_value(4))
    assert prediction.scale == pytest.approx(survey.scale)


def test_what_is_shown_is_what_was_measured(finished) -> None:
    simulator, _ = finished
    items = items_of(simulator)
    rows = numpy.array(items["measurements"].xdata.data)
    patterns = numpy.array(items["patterns"].xdata.data)
    columns = {name: rows[:, i] for i, name in enumerate(columns_of(items))}
    assert list(columns["step"]) == [1, 2, 3, 4, 5, 6]
    assert list(columns["chosen by the model"]) == [0, 0, 0, 1, 1, 1]
    numpy.testing.assert_array_equal(columns["y asked"], columns["y read back"])
    numpy.testing.assert_allclose(patterns.sum(axis=(1, 2)), columns["electrons"])
    numpy.testing.assert_array_equal(items["readings"].data, columns["com_magnitude (mrad)"])
    numpy.testing.assert_array_equal(items["pattern"].data, patterns[-1])
    numpy.testing.assert_array_equal(items["prediction"].data, items["maps"].xdata.data[-1, 0])


def test_a_pattern_is_exposed_after_the_probe_has_arrived(finished) -> None:
    """Each pattern is the simulator's at the position that was read back, within counting noise."""
    simulator, _ = finished
    items = items_of(simulator)
    rows = numpy.array(items["measurements"].xdata.data)
    extent = items["survey"].data_shape[0] * items["survey"].dimensional_calibrations[0].scale
    truth = simulator.configuration.instrument.column.patterns
    index = columns_of(items).index("y read back")
    for row, pattern in zip(rows, numpy.array(items["patterns"].xdata.data), strict=True):
        expected = truth.pattern(row[index] * extent, row[index + 1] * extent) * pattern.sum()
        bright = expected > 20
        chi_squared = numpy.mean((pattern - expected)[bright] ** 2 / expected[bright])
        assert chi_squared == pytest.approx(1, abs=0.2)


def test_the_dose_is_current_times_exposure_of_everything(finished) -> None:
    simulator, handler = finished
    scan = simulator.scan_hardware_source
    survey_s = scan.calculate_frame_time(scan.get_current_frame_parameters())
    electrons = (survey_s + 10 * 0.010) * simulator.instrument.GetVal("BeamCurrent") / scipy.constants.elementary_charge
    assert handler.dose_text.value.startswith(f"{electrons:.3g} electrons")
