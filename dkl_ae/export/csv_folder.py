"""A folder that every program can read: a table (.csv), and images that ImageJ opens with their scales (.tif)."""

from __future__ import annotations

import csv
import json
import math
import pathlib
import typing

import numpy

from dkl_ae.export.content import Column, Content, Images

_WITH_INDEX_BYTES: typing.Final = 2**32 - 2**26
"""Of more, the index has no room in a TIFF file: it has the first image only, from which ImageJ finds the others."""


def write_csv(content: Content, folder: pathlib.Path) -> None:
    """The table with its units in the first row, a TIFF for each stack of images, and the settings as JSON."""
    folder.mkdir(exist_ok=True)
    with (folder / "measurements.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(f"{column.name} ({column.units})" if column.units else column.name for column in content.table)
        writer.writerows(zip(*map(_cells, content.table), strict=True))
    for images in content.images:
        _write_tiff(images, folder / f"{images.name}.tif")
    settings = {name: json.loads(text) for name, text in content.settings.items()}
    session = {"title": content.title, "created": content.created, **settings}
    (folder / "session.json").write_text(json.dumps(session, indent=1), encoding="utf-8")


def _cells(column: Column) -> list[typing.Any]:
    cells: list[typing.Any] = column.values.tolist()
    return [cell.decode() if isinstance(cell, bytes) else cell for cell in cells]


def _write_tiff(images: Images, file: pathlib.Path) -> None:
    import tifffile

    # ImageJ knows no other numbers; single precision is exact to 16 million counts.
    dtype = images.dtype if images.dtype.char in "BHf" else numpy.dtype(numpy.float32)
    y, x = images.axes[-2:]
    tifffile.imwrite(
        file,
        (image.astype(dtype) for _, image in images.each()),
        imagej=True,
        shape=images.shape,
        dtype=dtype,
        truncate=math.prod(images.shape) * dtype.itemsize > _WITH_INDEX_BYTES,
        resolution=(1 / x.scale, 1 / y.scale),
        metadata={
            "axes": {2: "YX", 3: "TYX", 4: "TZYX"}[len(images.shape)],
            "unit": x.units,
            "xorigin": -x.offset / x.scale,
            "yorigin": -y.offset / y.scale,
            "Info": f"{images.description} ({images.units or 'arbitrary units'})",
        },
    )
