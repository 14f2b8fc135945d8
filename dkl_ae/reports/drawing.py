"""What the pictures of maps have in common: their colours, their scale bar, the marks of a run's path."""

from __future__ import annotations

import math
import typing

import numpy
import numpy.typing

from dkl_ae.patterns import Reference
from dkl_ae.records import FloatArray

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure

SEED_COLOUR: typing.Final = "#3ca0ff"
MODEL_COLOUR: typing.Final = "#ff2828"
CONFIRMATION_COLOUR: typing.Final = "#ffb000"
_MARGIN_COLOUR = "0.85"
"""Of where a map is undefined."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches."""
    # Not pyplot, which would choose a backend for the whole process: reports are made in threads of a window's program.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def centred_extent(shape: tuple[int, int], nm_per_pixel: float) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a map in nm from its centre, as matplotlib's imshow takes them."""
    height, width = (side * nm_per_pixel for side in shape)
    return -width / 2, width / 2, height / 2, -height / 2


def show_map(axes: typing.Any, values: FloatArray, nm_per_pixel: float, **colours: typing.Any) -> typing.Any:
    """Show a map, shape (H, W), in nm from its centre, with a scale bar in place of axes; returns its image.

    colours: as `colours_of` gives them, or what else matplotlib's imshow takes.
    """
    height, width = (side * nm_per_pixel for side in values.shape)
    left, right, bottom, top = extent = centred_extent(values.shape, nm_per_pixel)
    image = axes.imshow(values, extent=extent, interpolation="nearest", **colours)
    axes.set(xticks=[], yticks=[], facecolor=_MARGIN_COLOUR, xlim=(left, right), ylim=(bottom, top))
    start, bar = left + 0.05 * width, _round_length(width / 4)
    for colour, thickness in (("white", 4), ("black", 2)):
        axes.plot([start, start + bar], [top + 0.95 * height] * 2, color=colour, linewidth=thickness)
    axes.text(start, top + 0.92 * height, f"{bar:g} nm", fontsize=6, backgroundcolor=(1, 1, 1, 0.6))
    return image


def show_detector(axes: typing.Any, image: FloatArray, reference: Reference, **colours: typing.Any) -> typing.Any:
    """Show an image of the detector, shape (ky, kx), over angles from the centre of the bright-field disc.

    colours: what matplotlib's imshow takes. Returns the image that it made.
    """
    (top, bottom), (left, right) = (
        ((-0.5 - centre) * scale, (side - 0.5 - centre) * scale)
        for side, centre, scale in zip(image.shape, reference.centre, reference.mrad_per_pixel, strict=True)
    )
    axes.set(xlabel="kx (mrad)", ylabel="ky (mrad)")
    return axes.imshow(image, extent=(left, right, bottom, top), **colours)


def logarithm(pattern: numpy.typing.ArrayLike) -> FloatArray:
    """log10(1 + counts); a camera's counts may be below zero, around its dark level."""
    image: FloatArray = numpy.log10(1 + numpy.maximum(numpy.asarray(pattern, numpy.float64), 0))
    return image


def colours_of(values: FloatArray, *, circular: bool) -> dict[str, typing.Any]:
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
