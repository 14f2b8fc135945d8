"""A picture of the maps in a file, one panel a scalarizer, with a scale bar and the unit of each."""

from __future__ import annotations

import math
import pathlib
import typing

import numpy

from dkl_ae.survey import FloatArray

_COLUMNS = 4
_PANEL_INCHES = 2.6
_REFERENCE = "reference"


def draw_sheet(file: pathlib.Path, picture: pathlib.Path) -> None:
    """Draw the maps that `dkl_ae.recorded_maps` wrote; the picture's format follows from its name.

    Raises OSError or ValueError when the picture cannot be written.
    """
    import h5py
    from matplotlib.figure import Figure

    with h5py.File(file) as opened:
        names = [name for name in opened if name != _REFERENCE]
        columns = min(_COLUMNS, len(names))
        rows = math.ceil(len(names) / columns)
        figure = Figure(figsize=(columns * _PANEL_INCHES, rows * _PANEL_INCHES), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis in axes:
            axis.set_axis_off()
        for axis, name in zip(axes, names, strict=False):
            values, attributes = opened[name]["value"], opened[name].attrs
            _draw(axis, values[:], opened.attrs["nm_per_pixel"], circular=bool(attributes["circular"]))
            unit = values.attrs["unit"]
            axis.set_title(f"{attributes['label']} ({unit})" if unit else attributes["label"], fontsize=8)
    figure.savefig(picture, dpi=110)


def _draw(axis: typing.Any, values: FloatArray, nm_per_pixel: float, *, circular: bool) -> None:
    height, width = (side * nm_per_pixel for side in values.shape)
    image = axis.imshow(values, extent=(0, width, height, 0), interpolation="nearest", **_colours(values, circular))
    axis.figure.colorbar(image, ax=axis, shrink=0.8).ax.tick_params(labelsize=6)
    bar = _round_length(width / 4)
    axis.plot([0.05 * width, 0.05 * width + bar], [0.95 * height] * 2, color="white", linewidth=4)
    axis.plot([0.05 * width, 0.05 * width + bar], [0.95 * height] * 2, color="black", linewidth=2)
    axis.text(0.05 * width, 0.92 * height, f"{bar:g} nm", fontsize=6, backgroundcolor=(1, 1, 1, 0.6))


def _colours(values: FloatArray, circular: bool) -> dict[str, typing.Any]:
    """A colour map that closes for angles, one with a white middle for what has both signs; outliers do not set it."""
    if circular:
        return {"cmap": "twilight", "vmin": -math.pi, "vmax": math.pi}
    numbers = values[numpy.isfinite(values)]
    low, high = numpy.percentile(numbers, (1, 99)) if numbers.size else (0.0, 1.0)
    if low < 0 < high and min(-low, high) > 0.1 * max(-low, high):
        return {"cmap": "RdBu_r", "vmin": -max(-low, high), "vmax": max(-low, high)}
    return {"cmap": "viridis", "vmin": low, "vmax": high}


def _round_length(length: float) -> float:
    """The next 1, 2 or 5 below, times a power of ten."""
    power = 10.0 ** math.floor(math.log10(length))
    return max(step for step in (1, 2, 5) if step * power <= length) * power
