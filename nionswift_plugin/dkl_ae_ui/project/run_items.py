"""The data items of one run in the Swift project, in one data group. Used on the window's thread.

Two kinds are made. Reserved HDF5 items are written piece by piece, outside any transaction: that alone survives a
crash. Live items are kept in memory by a transaction until the run ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import typing
from collections.abc import Mapping, Sequence

import numpy
import numpy.typing
from nion.data import Calibration, DataAndMetadata
from nion.swift.model import ApplicationData, DataItem, DisplayItem, DocumentModel

from dkl_ae.records import AnyArray

METADATA_KEY = "dkl_ae"
"""Every data item of a run carries a dictionary of this name: the plan, the role of the item, its columns."""


@dataclasses.dataclass(frozen=True)
class Colours:
    """Of an image: Swift's name of their map, and the values between which it spans; None for those that there are."""

    map_id: str
    limits: tuple[float, float] | None = None

    def apply(self, display_item: DisplayItem.DisplayItem) -> None:
        channel = display_item.display_data_channels[0]
        channel.color_map_id = self.map_id
        if self.limits is not None:
            channel.display_limits = self.limits


class RunItems:
    """The items by their role.

    title: of the run; it stands in the group's title and behind every item's.
    """

    def __init__(self, document: DocumentModel.DocumentModel, title: str) -> None:
        self._document = document
        self._title = title
        self._items: dict[str, DataItem.DataItem] = {}
        self._reserved: dict[str, DataAndMetadata.DataMetadata] = {}
        self._titles: dict[str, str] = {}
        self._at_end = contextlib.ExitStack()

    def __contains__(self, role: str) -> bool:
        return role in self._items

    def close(self) -> None:
        """Hand the items over to the project."""
        self._at_end.close()

    def display_item(self, role: str) -> DisplayItem.DisplayItem:
        display_item = self._document.get_display_item_for_data_item(self._items[role])
        assert display_item is not None  # every data item gets one when it is appended
        return display_item

    def add(
        self, role: str, title: str, xdata: DataAndMetadata.DataAndMetadata, colours: Colours | None = None
    ) -> None:
        self._append(role, title, DataItem.new_data_item(xdata))
        if colours is not None:
            colours.apply(self.display_item(role))

    def add_live(
        self, role: str, title: str, xdata: DataAndMetadata.DataAndMetadata, colours: Colours | None = None
    ) -> None:
        self.add(role, title, xdata, colours)
        item = self._items[role]
        self._at_end.enter_context(self._document.item_transaction(item))
        self._document.begin_data_item_live(item)
        self._at_end.callback(self._document.end_data_item_live, item)

    def add_reserved(
        self,
        role: str,
        title: str,
        shape: tuple[int, ...],
        dtype: numpy.typing.DTypeLike,
        descriptor: DataAndMetadata.DataDescriptor,
        calibrations: Sequence[Calibration.Calibration],
        metadata: Mapping[str, typing.Any],
        unit: str = "",
    ) -> None:
        reserved = DataAndMetadata.DataMetadata(
            data_shape=shape,
            data_dtype=numpy.dtype(dtype),
            data_descriptor=descriptor,
            intensity_calibration=Calibration.Calibration(units=unit),
            dimensional_calibrations=list(calibrations),
            metadata=dict(metadata),
        )
        item = DataItem.DataItem(large_format=True)
        self._append(role, title, item)
        item.reserve_data(data_shape=shape, data_dtype=numpy.dtype(dtype), data_descriptor=descriptor)
        # A write brings these along, but an item of a run that ends early may never be written to.
        item.metadata = reserved.metadata
        item.set_dimensional_calibrations(reserved.dimensional_calibrations)
        item.set_intensity_calibration(reserved.intensity_calibration)
        item.increment_data_ref_count()
        self._at_end.callback(item.decrement_data_ref_count)
        self._reserved[role] = reserved
        self._titles[role] = title

    def describe(self, role: str, metadata: Mapping[str, typing.Any]) -> None:
        """Replace the metadata of a reserved item."""
        old = self._reserved[role]
        self._reserved[role] = DataAndMetadata.DataMetadata(
            data_shape=old.data_shape,
            data_dtype=old.data_dtype,
            data_descriptor=old.data_descriptor,
            intensity_calibration=old.intensity_calibration,
            dimensional_calibrations=old.dimensional_calibrations,
            metadata=dict(metadata),
        )
        self._items[role].metadata = dict(metadata)

    def can_hold(self, role: str, data: AnyArray) -> bool:
        """Whether data of this shape fit into one place of a reserved item's first axis, whatever their type."""
        return self._reserved[role].data_shape[1:] == data.shape

    def widen(self, role: str, dtype: numpy.dtype[typing.Any], rows: int) -> None:
        """Let a reserved item hold numbers of another type too, beside those of its first so many places.

        Where its own type cannot, an item of a wider one takes its role, and it stays as it is under another name.
        """
        narrow, item = self._reserved[role], self._items[role]
        if numpy.can_cast(dtype, numpy.dtype(narrow.data_dtype)):
            return
        # What was written waits still, and would bring its own metadata along.
        self._document.perform_data_item_updates()
        title = self._titles[role]
        item.title = f"{title} as {narrow.data_dtype} ({self._title})"
        about = {**narrow.metadata[METADATA_KEY], "role": f"{role} as {narrow.data_dtype}"}
        item.metadata = {METADATA_KEY: about}
        self.add_reserved(
            role,
            title,
            narrow.data_shape,
            numpy.result_type(narrow.data_dtype, dtype),
            narrow.data_descriptor,
            narrow.dimensional_calibrations,
            narrow.metadata,
            narrow.intensity_calibration.units,
        )
        earlier = item.data
        assert earlier is not None
        for row in range(rows):
            self.write(role, row, numpy.array(earlier[row : row + 1]))

    def write(self, role: str, index: int, data: AnyArray) -> None:
        """Write data into places index, index + 1, ... of a reserved item's first axis, at the start of the others."""
        metadata = self._reserved[role]
        within = tuple(slice(0, side) for side in data.shape[1:])
        self._document.update_data_item_partial(
            self._items[role],
            metadata,
            DataAndMetadata.new_data_and_metadata(
                data.astype(metadata.data_dtype), data_descriptor=metadata.data_descriptor
            ),
            (slice(0, len(data)), *within),
            (slice(index, index + len(data)), *within),
        )

    def show(self, role: str, xdata: DataAndMetadata.DataAndMetadata) -> None:
        """Replace what a live item shows."""
        item = self._items[role]
        if not item._closed:
            # One change, not one for each thing that Swift sets: every change is drawn.
            with item.data_item_changes():
                item.set_xdata(xdata)

    def _append(self, role: str, title: str, item: DataItem.DataItem) -> None:
        item.title = f"{title} ({self._title})"
        item.session_metadata = ApplicationData.get_session_metadata_dict()
        self._document.append_data_item(item)
        group = self._document.get_or_create_data_group(f"Automated experiment: {self._title}")
        self._items[role] = item
        group.append_display_item(self.display_item(role))
