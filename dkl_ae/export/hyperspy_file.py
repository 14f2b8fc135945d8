"""HyperSpy's format (.hspy): see the documentation of RosettaSciIO, "HSpy - HyperSpy's HDF5 Specification"."""

from __future__ import annotations

import pathlib
import typing
from collections.abc import Callable

from dkl_ae.export.content import PATTERNS, Axis, Content, Images
from dkl_ae.export.hdf5 import add_images
from dkl_ae.outputs import new_hdf5

_VERSION: typing.Final = "3.1"
"""The first in which axes need not be even (HyperSpy 1.7, 2022)."""


def write_hyperspy(content: Content, file: pathlib.Path) -> None:
    """One signal for each stack of images; the table and the settings are in the metadata of the patterns."""
    with new_hdf5(file) as (opened, require_written):
        opened.attrs.update(file_format="HyperSpy", file_format_version=_VERSION)
        signals = opened.create_group("Experiments", track_order=True)
        for images in content.images:
            _add_signal(signals.create_group(images.name), images, content, require_written)
        _add_table(signals[PATTERNS]["metadata"].create_group("dkl_ae"), content)


def _add_signal(group: typing.Any, images: Images, content: Content, require_written: Callable[[], None]) -> None:
    add_images(group, "data", images, require_written)
    for number, axis in enumerate(images.axes):
        described = group.create_group(f"axis-{number}")
        is_of_stack = number < len(images.axes) - 2
        described.attrs.update(name=axis.name, units=axis.units, navigate=is_of_stack, is_binned=False)
        _add_places(described, axis)
    group.create_group("original_metadata")
    metadata = group.create_group("metadata")
    date, time = content.created.rstrip("Z").split("T")
    metadata.create_group("General").attrs.update(
        title=images.name, notes=f"{content.title}: {images.description}", date=date, time=time, time_zone="UTC"
    )
    metadata.create_group("Signal").attrs.update(signal_type="", quantity=f"Intensity ({images.units})")


def _add_table(group: typing.Any, content: Content) -> None:
    group.attrs.update(content.settings)
    units = group.create_group("units")
    for column in content.table:
        # HyperSpy loads only chunked datasets lazily.
        group.create_dataset(f"table/{column.name}", data=column.values, chunks=True)
        units.attrs[column.name] = column.units


def _add_places(group: typing.Any, axis: Axis) -> None:
    if axis.is_even:
        group.attrs.update(_type="UniformDataAxis", size=axis.size, scale=axis.scale, offset=axis.offset)
    else:
        group.attrs["_type"] = "DataAxis"
        group["axis"] = axis.values
