"""NeXus (.nxs): see https://manual.nexusformat.org, the base classes NXentry and NXdata."""

from __future__ import annotations

import pathlib
import typing
from collections.abc import Callable

import h5py

from dkl_ae.export.content import PATTERNS, Column, Content, Images
from dkl_ae.export.hdf5 import add_images
from dkl_ae.outputs import new_hdf5


def write_nexus(content: Content, file: pathlib.Path) -> None:
    """One entry, with an NXdata for each stack of images and one for the readings; the patterns are its default."""
    with new_hdf5(file) as (opened, require_written):
        opened.attrs.update(NX_class="NXroot", default="entry", creator="dkl-ae")
        entry = _add_group(opened, "entry", "NXentry")
        entry.attrs["default"] = PATTERNS
        entry.update({"title": content.title, "start_time": content.created, "program_name": "dkl-ae"})
        for images in content.images:
            _add_images(_add_group(entry, images.name, "NXdata"), images, require_written)
        _add_positions(entry[PATTERNS], content)
        _add_readings(_add_group(entry, "readings", "NXdata"), content)
        measurements = _add_group(entry, "measurements", "NXcollection")
        for column in content.measurements:
            _add_column(measurements, column)
        process = _add_group(entry, "process", "NXprocess")
        process["program"] = "dkl-ae"
        for name, text in content.settings.items():
            note = _add_group(process, name, "NXnote")
            note.update({"type": "application/json", "data": text})


def _add_group(parent: typing.Any, name: str, kind: str) -> typing.Any:
    group = parent.create_group(name)
    group.attrs["NX_class"] = kind
    return group


def _add_images(group: typing.Any, images: Images, require_written: Callable[[], None]) -> None:
    group.attrs.update(signal="data", axes=[axis.name for axis in images.axes])
    group["title"] = images.description
    dataset = add_images(group, "data", images, require_written)
    dataset.attrs.update(units=images.units, long_name=images.description)
    for number, axis in enumerate(images.axes):
        group[axis.name] = axis.values
        group[axis.name].attrs["units"] = axis.units
        group.attrs[f"{axis.name}_indices"] = number


def _add_positions(group: typing.Any, content: Content) -> None:
    """Where the patterns were measured: further coordinates of their first axis."""
    for column in content.measurements:
        if column.name in ("y", "x"):
            _add_column(group, column)
            group.attrs[f"{column.name}_indices"] = 0


def _add_readings(group: typing.Any, content: Content) -> None:
    names = [reading.name for reading in content.readings]
    names.remove(content.scalarizer)
    group.attrs.update(signal=content.scalarizer, auxiliary_signals=names, axes=["step"], step_indices=0)
    for column in content.measurements:
        if column.name == "step":
            _add_column(group, column)
    for reading in content.readings:
        _add_column(group, reading)
        for column in reading.common:
            _add_column(group, column)


def _add_column(group: typing.Any, column: Column) -> None:
    is_text = column.values.dtype.kind == "S"
    group.create_dataset(column.name, data=column.values, dtype=h5py.string_dtype() if is_text else None)
    group[column.name].attrs.update(units=column.units, long_name=column.description)
    if column.sigmas is not None:
        group[f"{column.name}_errors"] = column.sigmas
        group[f"{column.name}_errors"].attrs["units"] = column.units
