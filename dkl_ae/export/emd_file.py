"""EMD 1.0 (.emd), the format of py4DSTEM from its version 0.14 on: see https://emdatasets.com/format."""

from __future__ import annotations

import pathlib
import typing
import uuid
from collections.abc import Callable

import numpy

from dkl_ae.export.content import Content, Images
from dkl_ae.export.hdf5 import add_images
from dkl_ae.outputs import new_hdf5


def write_emd(content: Content, file: pathlib.Path) -> None:
    """Under one root an array for each stack of images, the table as a list of points, and the settings."""
    with new_hdf5(file) as (opened, require_written):
        opened.attrs.update(
            emd_group_type="file",
            version_major=1,
            version_minor=0,
            UUID=str(uuid.uuid4()),
            authoring_program="dkl-ae",
            authoring_user="",
        )
        root = _add_node(opened, "dkl_ae", "root", "Root")
        for images in content.images:
            _add_array(_add_node(root, images.name, "array", "Array"), images, require_written)
        points = _add_node(root, "measurements", "pointlist", "PointList")
        for column in content.table:
            points[column.name] = column.values
            points[column.name].attrs["dtype"] = numpy.bytes_(column.values.dtype.str)
        bundle = root.create_group("metadatabundle")
        bundle.attrs["emd_group_type"] = "metadatabundle"
        units = {column.name: column.units for column in content.table}
        _add_texts(bundle, "units", units)
        _add_texts(bundle, "session", {"title": content.title, "created": content.created, **content.settings})


def _add_node(parent: typing.Any, name: str, kind: str, python_class: str) -> typing.Any:
    node = parent.create_group(name)
    node.attrs.update(emd_group_type=kind, python_class=python_class)
    return node


def _add_array(node: typing.Any, images: Images, require_written: Callable[[], None]) -> None:
    add_images(node, "data", images, require_written).attrs["units"] = images.units
    for number, axis in enumerate(images.axes):
        # Two values stand for an even axis.
        node[f"dim{number}"] = axis.values[:2] if axis.is_even else axis.values
        node[f"dim{number}"].attrs.update(name=axis.name, units=axis.units)


def _add_texts(bundle: typing.Any, name: str, texts: typing.Mapping[str, str]) -> None:
    node = _add_node(bundle, name, "metadata", "Metadata")
    for key, text in texts.items():
        node[key] = text.encode()
        node[key].attrs["type"] = numpy.bytes_("string")
