"""The data items in which the review shows a session, in a group and a workspace of their own.

A project has one set of them, which each session takes over: a review leaves nothing that the session file does not
hold. Used on the window's thread.
"""

from __future__ import annotations

import contextlib
import dataclasses
import typing
import uuid

from nion.swift import DocumentController
from nion.swift.model import ApplicationData, DataItem, DisplayItem
from nion.utils import Geometry

from dkl_ae.patterns import Reference
from dkl_ae.records import Position
from nionswift_plugin.dkl_ae_kit import shown_workspace
from nionswift_plugin.dkl_ae_ui.project.pictures import COLOURS, Picture
from nionswift_plugin.dkl_ae_ui.project.reference_overlay import reference_graphics
from nionswift_plugin.dkl_ae_ui.project.run_items import METADATA_KEY

REVIEW_KEY = "review"
"""The metadata of the review's data items have this: the item's own identifier, which a copy that the user keeps has
not."""
GROUP = "Automated experiment review"
WORKSPACE_ID = "dkl-ae-review-workspace"

_WHOLE_RUN = "#888888"
_SO_FAR = "#1E60D0"
_EXPECTED = "#F08000"


@dataclasses.dataclass(frozen=True)
class _Display:
    """curves: label and colour of each row of a plot."""

    role: str
    curves: tuple[tuple[str, str], ...] = ()


_DISPLAYS = (
    _Display("path"),
    _Display("prediction"),
    _Display("uncertainty"),
    _Display("pattern"),
    _Display("acquisition"),
    _Display("reading_probability"),
    _Display("readings", curves=(("later", _WHOLE_RUN), ("read", _SO_FAR), ("expected", _EXPECTED))),
    _Display("learning", curves=(("later", _WHOLE_RUN), ("best so far", _SO_FAR))),
    _Display("calibration", curves=(("promised", _WHOLE_RUN), ("found", _SO_FAR))),
)
"""In the order of the workspace's displays."""


class Displays:
    """The items by their role. They are made, or found in the project, when they are first shown."""

    def __init__(self, window: DocumentController.DocumentController) -> None:
        self._window = window
        self._document = window.document_model
        self._items: dict[str, DataItem.DataItem] = {}
        self._at_end = contextlib.ExitStack()

    def close(self) -> None:
        """Hand the items over to the project as they are."""
        self._at_end.close()
        self._items.clear()

    def show(self, picture: Picture) -> None:
        """Show a picture in the item of its role."""
        item = self._items.get(picture.role)
        is_new = False
        if item is None or item._closed:
            item = self._found(picture.role)
            is_new = item is None
            item = self._items[picture.role] = item or DataItem.DataItem()
            if is_new:
                self._add(picture.role, item)
            # Nothing is written to the disk while the slider moves.
            self._at_end.enter_context(self._document.item_transaction(item))
        # One change, and as old as the item: Swift sorts its lists anew, item by item, when one gets newer.
        with item.data_item_changes():
            item.title = picture.title
            item.set_xdata(picture.xdata({REVIEW_KEY: str(item.uuid)}), item.data_modified)
        if is_new:
            self._style(picture.role)
        if picture.y_range is not None:
            self._set_range(self._display_item(picture.role), picture.y_range)

    def draw_reference(self, reference: Reference) -> None:
        """Draw what the reference was found to be over the pattern."""
        if "pattern" not in self._items:
            return
        display_item = self._display_item("pattern")
        for graphic in list(display_item.graphics):
            display_item.remove_graphic(graphic).close()
        for graphic in reference_graphics(reference):
            display_item.add_graphic(graphic)

    def place_on_path(self, display_item: DisplayItem.DisplayItem, pixel: Geometry.FloatPoint) -> Position | None:
        """Where in the survey a pixel of a display is; None when it is not the display of the path."""
        item = self._items.get("path")
        if item is None or item.data_shape is None or display_item.data_item is not item:
            return None
        return Position(pixel.y / item.data_shape[0], pixel.x / item.data_shape[1])

    def show_workspace(self) -> None:
        """Put all that has been shown where it can be seen."""
        panels = shown_workspace(self._window, "Automated Experiment Review", _workspace_layout(), WORKSPACE_ID)
        for panel, display in zip(panels, _DISPLAYS, strict=False):
            if display.role in self._items:
                panel.set_display_item(self._display_item(display.role))

    def _display_item(self, role: str) -> DisplayItem.DisplayItem:
        display_item = self._document.get_display_item_for_data_item(self._items[role])
        assert display_item is not None  # every data item gets one when it is appended
        return display_item

    def _set_range(self, display_item: DisplayItem.DisplayItem, y_range: tuple[float, float]) -> None:
        for name, value in zip(("y_min", "y_max"), y_range, strict=True):
            # Each change is written to the disk.
            if display_item.get_display_property(name) != value:
                display_item.set_display_property(name, value)

    def _found(self, role: str) -> DataItem.DataItem | None:
        for item in self._document.data_items:
            described = item.metadata.get(METADATA_KEY, {})
            if described.get("role") == role and described.get(REVIEW_KEY) == str(item.uuid):
                return item
        return None

    def _add(self, role: str, item: DataItem.DataItem) -> None:
        item.session_metadata = ApplicationData.get_session_metadata_dict()
        self._document.append_data_item(item)
        self._document.get_or_create_data_group(GROUP).append_display_item(self._display_item(role))

    def _style(self, role: str) -> None:
        display_item = self._display_item(role)
        display = next(display for display in _DISPLAYS if display.role == role)
        if role in COLOURS:
            COLOURS[role].apply(display_item)
        if display.curves:
            # Swift then makes a layer of each row.
            display_item.display_type = "line_plot"
            display_item.set_display_property("legend_position", "top-right")
            for layer, (label, colour) in zip(display_item.display_layers, display.curves, strict=True):
                layer.label, layer.stroke_color, layer.fill_color = label, colour, None
                layer.stroke_width = 1 if colour == _WHOLE_RUN else 2


def _workspace_layout() -> dict[str, typing.Any]:
    """The path beside two rows of images, above a row of plots, in the order of _DISPLAYS."""

    def split(orientation: str, splits: list[float], *children: dict[str, typing.Any]) -> dict[str, typing.Any]:
        return {"type": "splitter", "orientation": orientation, "splits": splits, "children": list(children)}

    def image() -> dict[str, typing.Any]:
        return {"type": "image", "uuid": str(uuid.uuid4())}

    def row(count: int) -> dict[str, typing.Any]:
        return split("vertical", [1 / count] * count, *(image() for _ in range(count)))

    images = split("vertical", [0.5, 0.5], image(), split("horizontal", [0.5, 0.5], row(2), row(3)))
    return split("horizontal", [0.66, 0.34], images, row(3))
