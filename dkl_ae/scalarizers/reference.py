"""What a shift of the pattern is measured against: the bright-field disc of the undeflected beam."""

from __future__ import annotations

import dataclasses
import math

import numpy
import numpy.typing

MASK_RADIUS = 1.1
"""The centre of mass is taken inside 1.1 disc radii: this keeps 99.6 % of the signal of a 30 mrad probe and
leaves out the detector's far corners, whose read noise would otherwise dominate."""


@dataclasses.dataclass(frozen=True)
class Reference:
    """The bright-field disc of the undeflected beam on the detector."""

    shape: tuple[int, int]
    """Detector pixels along ky and kx."""
    mrad_per_pixel: tuple[float, float]
    centre: tuple[float, float]
    """Centre of the disc in pixels, along ky and kx."""
    radius_mrad: float
    """Radius of the disc: the convergence angle."""
    rest_mrad: tuple[float, float]
    """Centre of mass of the reference pattern itself, along ky and kx, relative to `centre`, through the same
    mask as every reading; it is what a reading of zero means."""
    counts: float
    """Counts in the reference pattern."""
    counts_per_electron: float


def find_reference(
    pattern: numpy.typing.ArrayLike,
    mrad_per_pixel: tuple[float, float],
    counts_per_electron: float = 1.0,
) -> Reference:
    """Find the bright-field disc in a pattern of the undeflected beam, such as a mean of vacuum patterns.

    The disc is the set of pixels above half of its own level; its radius follows from its area.

    pattern: shape (ky, kx), counts.

    Raises ValueError when the pattern holds no beam.
    """
    counts = numpy.nan_to_num(numpy.asarray(pattern, numpy.float64))
    level = float(numpy.percentile(counts, 99))
    if not level > 0:
        raise ValueError(
            f"The reference pattern holds {counts.sum():.0f} counts: the beam is off or blocked; "
            "unblank it, insert the camera, and start again."
        )
    disc = counts > 0.5 * float(numpy.median(counts[counts > 0.5 * level]))
    rows, columns = numpy.nonzero(disc)
    centre = float(rows.mean()), float(columns.mean())
    area_mrad2 = rows.size * mrad_per_pixel[0] * mrad_per_pixel[1]
    reference = Reference(
        shape=(counts.shape[0], counts.shape[1]),
        mrad_per_pixel=mrad_per_pixel,
        centre=centre,
        radius_mrad=math.sqrt(area_mrad2 / math.pi),
        rest_mrad=(0.0, 0.0),
        counts=float(counts.sum()),
        counts_per_electron=counts_per_electron,
    )
    y, x = angles(reference)
    inside = numpy.hypot(y, x) <= MASK_RADIUS * reference.radius_mrad
    total = counts[inside].sum()
    rest = float((counts * y)[inside].sum() / total), float((counts * x)[inside].sum() / total)
    return dataclasses.replace(reference, rest_mrad=rest)


def angles(
    reference: Reference,
) -> tuple[numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64]]:
    """Angle of each detector pixel from the disc's centre in mrad: shapes (ky, 1) and (1, kx)."""
    y = (numpy.arange(reference.shape[0], dtype=numpy.float64) - reference.centre[0]) * reference.mrad_per_pixel[0]
    x = (numpy.arange(reference.shape[1], dtype=numpy.float64) - reference.centre[1]) * reference.mrad_per_pixel[1]
    return y[:, numpy.newaxis], x[numpy.newaxis, :]
