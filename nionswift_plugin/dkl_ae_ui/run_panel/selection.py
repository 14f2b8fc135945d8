"""What the user drew on a display, as the texts of settings."""

from __future__ import annotations

import math
import typing

import numpy
from nion.swift.model import DisplayItem, Graphics

from dkl_ae.patterns import geometry_from_dict
from dkl_ae.records import UserError
from nionswift_plugin.dkl_ae_ui.project.run_items import METADATA_KEY

_OF_THE_WHOLE_SURVEY = ("survey", "path")


def selected_rectangle(display_item: DisplayItem.DisplayItem | None) -> str:
    """The rectangle that is selected on a survey: top, left, height and width as fractions of it.

    Raises UserError, one sentence, when there is none.
    """
    advice = "draw a rectangle on the survey or on the scan's frame, select it, and take it again."
    graphic = _selected_graphic(display_item)
    if not isinstance(graphic, Graphics.RectangleGraphic):
        raise UserError(f"No rectangle is selected: {advice}")
    metadata = _metadata(display_item)
    if metadata.get(METADATA_KEY, {}).get("role") not in _OF_THE_WHOLE_SURVEY and "scan" not in metadata:
        raise UserError(f"The selected rectangle is not on a survey: {advice}")
    if not _is_whole_number(graphic.rotation / math.pi):
        raise UserError(
            f"The selected rectangle is turned by {math.degrees(graphic.rotation):.0f} degrees: draw another."
        )
    bounds = graphic.bounds
    top, left, bottom, right = (
        round(min(max(edge, 0.0), 1.0), 3) for edge in (bounds.top, bounds.left, bounds.bottom, bounds.right)
    )
    return f"{top:g}, {left:g}, {round(bottom - top, 3):g}, {round(right - left, 3):g}"


def selected_shape(display_item: DisplayItem.DisplayItem | None) -> str:
    """The ellipse or rectangle that is selected on a pattern, as an expression has it: along the scan's axes, mrad from
    the disc's centre.

    Raises UserError, one sentence, when there is none.
    """
    advice = "draw one on the current or the reference pattern of a run, select it, and add it again."
    graphic = _selected_graphic(display_item)
    if not isinstance(graphic, Graphics.EllipseGraphic | Graphics.RectangleGraphic):
        raise UserError(f"No ellipse or rectangle is selected: {advice}")
    geometry = _metadata(display_item).get(METADATA_KEY, {}).get("geometry")
    if geometry is None:
        raise UserError(f"The selected shape is not on a run's pattern: {advice}")
    (y, x), (height, width) = _in_mrad(typing.cast(DisplayItem.DisplayItem, display_item), graphic)
    to_scan = geometry_from_dict(geometry).to_scan
    name = "ellipse" if isinstance(graphic, Graphics.EllipseGraphic) else "rectangle"
    if name == "rectangle" or not math.isclose(width, height, rel_tol=0.01):
        # Swift turns a graphic from +x towards -y.
        along_y, along_x = to_scan @ (-math.sin(graphic.rotation), math.cos(graphic.rotation))
        quarter_turns = math.atan2(along_y, along_x) / (math.pi / 2)
        if not _is_whole_number(quarter_turns):
            raise UserError(
                f"The selected {name} is turned by {90 * quarter_turns:.0f} degrees against the scan's axes: "
                "draw a circle, or write the expression by hand."
            )
        if round(quarter_turns) % 2:
            height, width = width, height
    y, x = to_scan @ (y, x)
    return f"{name}({', '.join(f'{_rounded(number):g}' for number in (x, y, width, height))})"


def _selected_graphic(display_item: DisplayItem.DisplayItem | None) -> Graphics.Graphic | None:
    selected = display_item.selected_graphics if display_item else ()
    return selected[0] if len(selected) == 1 else None


def _metadata(display_item: DisplayItem.DisplayItem | None) -> dict[str, typing.Any]:
    item = display_item.data_item if display_item else None
    return dict(item.metadata) if item else {}


def _in_mrad(
    display_item: DisplayItem.DisplayItem, graphic: Graphics.RectangleTypeGraphic
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Centre (y, x) and size (height, width) of a graphic on the detector."""
    item = display_item.data_item
    assert item is not None
    assert item.data_shape is not None
    (rows, columns), (along_y, along_x) = item.data_shape, item.dimensional_calibrations
    centre, size = graphic.center, graphic.size
    return (
        (
            along_y.convert_to_calibrated_value(centre.y * rows),
            along_x.convert_to_calibrated_value(centre.x * columns),
        ),
        (
            along_y.convert_to_calibrated_size(size.height * rows),
            along_x.convert_to_calibrated_size(size.width * columns),
        ),
    )


def _is_whole_number(number: float) -> bool:
    return bool(numpy.isclose(number, round(number), atol=0.005))


def _rounded(mrad: float) -> float:
    """To a hundredth, and no minus before a zero."""
    return round(mrad, 2) + 0.0
