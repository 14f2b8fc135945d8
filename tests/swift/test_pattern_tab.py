"""The tab "Pattern": what a pattern is measured against, and readings of the user's own."""

from __future__ import annotations

import math
from typing import Any

import numpy
import pytest
import scipy.constants
from nion.data import Calibration, DataAndMetadata
from nion.swift.model import DataItem, Graphics

from dkl_ae.patterns import DetectorGeometry, Reference
from dkl_ae.records import InstrumentError
from nionswift_plugin.dkl_ae_ui import microscope
from nionswift_plugin.dkl_ae_ui.project.reference_overlay import reference_graphics
from nionswift_plugin.dkl_ae_ui.project.run_items import METADATA_KEY
from tests.support.panel_runs import ROLES, columns_of, items_of, measured, record_survey, run_to_end, select
from tests.support.swift_in_process import pump

pytestmark = pytest.mark.swift

YOURS = """
from dkl_ae.scalarizers import scalarizer

@scalarizer(unit="electrons", label="Brightest pixel")
def brightest(electrons, reference):
    return electrons.max(), 1.0

@scalarizer(label="Never")
def never(electrons, reference):
    raise RuntimeError("it was never finished")
"""


@pytest.fixture
def yours(tmp_path) -> str:
    """A file with two scalarizers, one of which always fails."""
    file = tmp_path / "yours.py"
    file.write_text(YOURS)
    return str(file)


@pytest.fixture
def exposures(monkeypatch) -> list[Any]:
    """Positions of the patterns that are exposed, the reference's included."""
    positions: list[Any] = []
    acquire = microscope.SwiftInstrument.acquire_pattern

    def logged(instrument: Any, position: Any) -> Any:
        positions.append(position)
        return acquire(instrument, position)

    monkeypatch.setattr(microscope.SwiftInstrument, "acquire_pattern", logged)
    return positions


def test_an_expression_is_offered_logged_and_can_drive(simulator, open_panel) -> None:
    handler = open_panel(simulator, model_points="1")
    assert "Composite" not in handler.scalarizer_labels.value
    handler.expression_edit.on_text_edited("com_magnitude / abf")
    assert handler.message.value == "Ready."
    handler.set_text("scalarizer", "composite")
    assert handler.scalarizer_combo.current_item == "Composite"
    assert handler.scalarizer_tip.value == "com_magnitude / abf"
    run_to_end(simulator, handler)
    assert handler.message.value == "Finished: 4 points measured."
    items = items_of(simulator)
    rows = dict(zip(columns_of(items), numpy.array(items["measurements"].xdata.data).T, strict=True))
    expected = rows["com_magnitude (mrad)"] / rows["abf (fraction of the beam)"]
    numpy.testing.assert_allclose(rows["composite"], expected)
    numpy.testing.assert_array_equal(items["readings"].data, rows["composite"])


def test_your_scalarizers_can_drive_and_one_that_fails_costs_only_its_reading(simulator, open_panel, yours) -> None:
    handler = open_panel(simulator, model_points="1")
    handler.set_text("scalarizer_file", yours)
    handler.set_text("scalarizer", "brightest")
    assert handler.scalarizer_combo.current_item == "Brightest pixel (electrons)"
    told = []
    listener = handler.message.property_changed_event.listen(lambda name: told.append(handler.message.value))
    run_to_end(simulator, handler)
    listener.close()
    assert handler.message.value == "Finished: 4 points measured."
    sentence = "Never: never failed (RuntimeError: it was never finished): fix it in yours.py."
    assert told.count(sentence) == 1
    items = items_of(simulator)
    rows = dict(zip(columns_of(items), numpy.array(items["measurements"].xdata.data).T, strict=True))
    assert numpy.isnan(rows["never"]).all()
    assert (rows["brightest (electrons)"] > 1000).all()
    assert items["prediction"].intensity_calibration.units == "electrons"


def test_two_scalarizers_of_one_title_are_told_apart(simulator, open_panel, tmp_path) -> None:
    file = tmp_path / "yours.py"
    file.write_text(YOURS.replace('"Brightest pixel"', '"CoM x"').replace('"electrons"', '"mrad"'))
    handler = open_panel(simulator, scalarizer_file=str(file), scalarizer="brightest")
    assert handler.scalarizer_combo.current_item == "CoM x (mrad), brightest"
    assert handler.scalarizer_combo.current_index == handler.scalarizer_index.value


def test_what_cannot_be_read_of_a_pattern_is_told_and_the_run_goes_on(simulator, open_panel) -> None:
    """Graphene's discs lie beyond the detector."""
    handler = open_panel(simulator, model_points="0", expression="bragg_spacing / 2")
    handler.start_button.on_clicked()
    pump(simulator, lambda: handler.message.value.startswith("Composite: no diffraction here: "))
    pump(simulator, lambda: handler.idle.value)
    assert handler.message.value == "Finished: 3 points measured."


def test_the_choice_of_a_composite_outlives_typing_in_its_expression(simulator, open_panel) -> None:
    handler = open_panel(simulator, expression="com_x", scalarizer="composite")
    for text in ("com_", "com_y"):
        handler.expression_edit.on_text_edited(text)
        assert handler.scalarizer_combo.current_item.startswith("Composite")
    handler.expression_edit.on_text_edited("")
    assert handler.scalarizer_combo.current_item == "CoM magnitude (mrad)"
    assert handler.start_button.enabled


@pytest.mark.parametrize(
    ("texts", "count", "area"),
    [
        ({"reference": "region", "reference_region": "0.5, 0, 0.25, 0.5"}, 4, ((0.5, 0.75), (0.0, 0.5))),
        ({"reference": "mean", "reference_frames": "5"}, 5, ((0.0, 1.0), (0.0, 1.0))),
        ({"descan": "plane"}, 9, ((0.0, 1.0), (0.0, 1.0))),
    ],
)
def test_the_reference_is_exposed_where_it_is_asked_for(simulator, open_panel, exposures, texts, count, area) -> None:
    handler = open_panel(simulator, model_points="0")
    for name, text in texts.items():
        handler.set_text(name, text)
    run_to_end(simulator, handler)
    assert handler.message.value == "Finished: 3 points measured."
    assert len(exposures) == count + 3
    (top, bottom), (left, right) = area
    assert all(top <= place.y <= bottom and left <= place.x <= right for place in exposures[:count])


def test_a_saved_reference_serves_another_run_and_costs_no_dose(simulator, open_panel, exposures, tmp_path) -> None:
    handler = open_panel(simulator, model_points="0")
    assert not handler.save_reference_button.enabled
    run_to_end(simulator, handler)
    first = items_of(simulator)["reference"]
    (tmp_path / "no folder").touch()
    handler.save_reference(tmp_path / "no folder" / "vacuum")
    assert handler.message.value.startswith("The reference cannot be saved as ")
    assert handler.save_reference_button.enabled
    handler.save_reference(tmp_path / "vacuum")
    assert handler.message.value == "Saved vacuum.npz: a later run can take it from the file."
    exposures.clear()
    handler.set_text("reference_file", str(tmp_path / "vacuum.npz"))
    handler.set_text("reference", "file")
    run_to_end(simulator, handler)
    assert handler.message.value == "Finished: 3 points measured."
    assert len(exposures) == 3
    scan = simulator.scan_hardware_source
    survey_s = scan.calculate_frame_time(scan.get_current_frame_parameters())
    electrons = (survey_s + 3 * 0.010) * simulator.instrument.GetVal("BeamCurrent") / scipy.constants.elementary_charge
    assert handler.dose_text.value.startswith(f"{electrons:.3g} electrons")
    second = items_of(simulator)["reference"]
    assert second is not first
    numpy.testing.assert_allclose(second.data, first.data, rtol=1e-6)
    assert set(items_of(simulator)) == ROLES


def test_the_reference_shows_disc_mask_and_zero(simulator, open_panel) -> None:
    run_to_end(simulator, open_panel(simulator, model_points="0"))
    item = items_of(simulator)["reference"]
    reference = item.metadata[METADATA_KEY]["reference"]
    disc, mask, zero = simulator.document_model.get_display_item_for_data_item(item).graphics
    assert [g.label for g in (disc, mask, zero)] == [None, "bright-field disc, in its mask", "zero"]
    side, scale = reference["shape"][0], reference["mrad_per_pixel"][0]
    assert disc.bounds.height * side * scale / 2 == pytest.approx(reference["radius_mrad"])
    assert mask.bounds.width / disc.bounds.width == pytest.approx(reference["mask_radius"])
    # The pattern is calibrated about the disc's centre.
    along_y, along_x = item.dimensional_calibrations
    assert along_y.convert_to_calibrated_value(disc.center.y * side) == pytest.approx(0, abs=1e-9)
    place = [along_y.convert_to_calibrated_value(zero.position.y * side)]
    place += [along_x.convert_to_calibrated_value(zero.position.x * side)]
    assert place == pytest.approx(reference["zero_mrad"])
    # What is drawn round the disc is round it: half the level is crossed at its edge.
    pattern = item.data / item.data.max()
    y, x = ((numpy.indices(pattern.shape) + 0.5) / side) - numpy.array(disc.center.as_tuple()).reshape(2, 1, 1)
    inside = numpy.hypot(y, x) < disc.bounds.height / 2
    assert pattern[inside].mean() > 0.6
    assert pattern[~inside].mean() < 0.02


def test_the_zero_is_drawn_on_the_detector_as_it_lies() -> None:
    """Mirrored and turned by -90 degrees is transposed."""
    reference = Reference(
        shape=(64, 32),
        mrad_per_pixel=(2.0, 4.0),
        centre=(31.5, 15.5),
        radius_mrad=30.0,
        zero_mrad=(8.0, 12.0),
        counts=1.0,
        counts_per_electron=1.0,
        mask_radius=math.inf,
        geometry=DetectorGeometry(-90.0, flip_x=True),
    )
    disc, zero = reference_graphics(reference)
    assert disc.center.as_tuple() == (0.5, 0.5)
    assert disc.size.as_tuple() == pytest.approx((60 / 128, 60 / 128))
    assert zero.position.as_tuple() == pytest.approx((0.5 + 12 / 128, 0.5 + 8 / 128))


def test_a_rectangle_drawn_on_the_survey_becomes_the_references_region(simulator, open_panel) -> None:
    handler = open_panel(simulator)
    handler.take_drawn_button.on_clicked()
    assert handler.message.value.startswith("No rectangle is selected: draw a rectangle on the survey")
    record_survey(simulator)
    item = next(i for i in simulator.document_model.data_items if "HAADF" in i.title)
    select(simulator, item)
    _draw(simulator, item, Graphics.RectangleGraphic(), (0.5, 0.25), (0.2, 0.8))
    handler.take_drawn_button.on_clicked()
    assert handler.reference_region_edit.text == "0.5, 0.25, 0.2, 0.75"


@pytest.mark.parametrize(
    ("rotation_deg", "flip_x", "ellipse", "rectangle"),
    [
        (0.0, False, "ellipse(20, -5, 8, 10)", "rectangle(-20, 0, 6, 12)"),
        (-90.0, True, "ellipse(-5, 20, 10, 8)", "rectangle(0, -20, 12, 6)"),
    ],
)
def test_shapes_drawn_on_a_pattern_are_added_to_the_expression(
    simulator, open_panel, rotation_deg, flip_x, ellipse, rectangle
) -> None:
    handler = open_panel(simulator)
    geometry = {"rotation_deg": rotation_deg, "flip_x": flip_x}
    item = _pattern_item(simulator, geometry)
    select(simulator, item)
    _draw(simulator, item, Graphics.EllipseGraphic(), *_in_picture(y=-5, x=20, height=10, width=8))
    handler.add_drawn_button.on_clicked()
    _draw(simulator, item, Graphics.RectangleGraphic(), *_in_picture(y=0, x=-20, height=12, width=6))
    handler.add_drawn_button.on_clicked()
    assert handler.expression_edit.text == f"{ellipse} + {rectangle}"
    assert handler.message.value == "Ready."


def test_a_shape_that_cannot_be_a_virtual_detector_is_refused(simulator, open_panel) -> None:
    handler = open_panel(simulator)
    for geometry, sentence in (
        (None, "The selected shape is not on a run's pattern: draw one on the current or the reference pattern"),
        ({"rotation_deg": 30.0}, "The selected ellipse is turned by 30 degrees against the scan's axes: draw a circle"),
    ):
        item = _pattern_item(simulator, geometry)
        select(simulator, item)
        _draw(simulator, item, Graphics.EllipseGraphic(), *_in_picture(y=0, x=20, height=10, width=8))
        handler.add_drawn_button.on_clicked()
        assert handler.message.value.startswith(sentence)
    assert handler.expression_edit.text == ""


def test_the_ends_of_a_cross_are_kept(simulator, open_panel, exposures) -> None:
    handler = open_panel(simulator, scalarizer="charge_density", model_points="0")
    run_to_end(simulator, handler)
    assert handler.message.value == "Finished: 3 points measured."
    items = items_of(simulator)
    assert set(items) == ROLES | {"ends"}
    assert items["ends"].title.startswith("Patterns at the cross's ends")
    assert len(exposures) == 4 + 3 * 5
    ends = numpy.array(items["ends"].xdata.data)
    assert ends.shape == (3, 4, 64, 64)
    centres = numpy.array(items["patterns"].xdata.data).sum(axis=(1, 2))
    numpy.testing.assert_allclose(ends.sum(axis=(2, 3)), numpy.repeat(centres[:, numpy.newaxis], 4, axis=1), rtol=0.01)
    right, left, below, above = exposures[5:9]
    assert (right.x - left.x, below.y - above.y) == pytest.approx((0.12 / 4, 0.12 / 4))


def test_a_cross_that_is_broken_off_is_kept_as_far_as_it_is_there(simulator, open_panel, monkeypatch) -> None:
    acquire, count = microscope.SwiftInstrument.acquire_pattern, [0]

    def fail_at_the_thirteenth(instrument: Any, position: Any) -> Any:
        count[0] += 1
        if count[0] == 13:
            raise InstrumentError("The camera is tired: let it zero.")
        return acquire(instrument, position)

    monkeypatch.setattr(microscope.SwiftInstrument, "acquire_pattern", fail_at_the_thirteenth)
    handler = open_panel(simulator, scalarizer="charge_density")
    run_to_end(simulator, handler)
    assert handler.message.value == "The camera is tired: let it zero."
    assert measured(simulator) == 2
    ends = numpy.array(items_of(simulator)["ends"].xdata.data).sum(axis=(2, 3))
    assert (ends[0] > 0).all()
    assert list(ends[1] > 0) == [True, True, False, False]
    assert not ends[2:].any()


def test_a_file_that_is_gone_costs_only_what_depends_on_it(simulator, open_panel, monkeypatch, yours) -> None:
    stored: dict[str, str] = {}
    ui = simulator.document_controller.ui
    monkeypatch.setattr(ui, "get_persistent_string", lambda key, default="": stored.get(key, default))
    monkeypatch.setattr(ui, "set_persistent_string", stored.__setitem__)
    handler = open_panel(simulator, random_seed="15", scalarizer_file=yours)
    handler.set_text("scalarizer", "brightest")
    assert open_panel(simulator).scalarizer_combo.current_item == "Brightest pixel (electrons)"
    (key,) = stored
    stored[key] = stored[key].replace("yours.py", "gone.py")
    again = open_panel(simulator)
    assert again.scalarizer_combo.current_item == "CoM magnitude (mrad)"
    assert again.random_seed_edit.text == "15"
    assert again.start_button.enabled


def _pattern_item(context: Any, geometry: dict[str, Any] | None) -> Any:
    """A pattern of 64 x 64 pixels of 2 mrad about its centre, as a run shows it."""
    calibration = Calibration.Calibration(-64, 2, "mrad")
    described = {"role": "pattern", "geometry": geometry} if geometry is not None else {}
    xdata = DataAndMetadata.new_data_and_metadata(
        numpy.zeros((64, 64)), dimensional_calibrations=[calibration, calibration], metadata={METADATA_KEY: described}
    )
    item = DataItem.new_data_item(xdata)
    context.document_model.append_data_item(item)
    return item


def _in_picture(*, y: float, x: float, height: float, width: float) -> tuple[Any, Any]:
    """Upper left corner and size of what is centred at (y, x) mrad in such a pattern."""
    return (0.5 + (y - height / 2) / 128, 0.5 + (x - width / 2) / 128), (height / 128, width / 128)


def _draw(context: Any, item: Any, graphic: Any, top_left: Any, size: Any) -> None:
    """Draw a shape over a data item and select it, as a user does; in fractions of the picture."""
    display_item = context.document_model.get_display_item_for_data_item(item)
    graphic.bounds = (top_left, size)
    display_item.add_graphic(graphic)
    display_item.graphic_selection.set(display_item.graphics.index(graphic))
