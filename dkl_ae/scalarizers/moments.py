"""The sums over a pattern that the scalarizers share, in one matrix product."""

from __future__ import annotations

import dataclasses
import functools

import numpy
import numpy.typing

from dkl_ae.scalarizers.reference import MASK_RADIUS, Reference, angles

FloatArray = numpy.typing.NDArray[numpy.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """Sums over patterns in electrons; each array has the shape (...) of the stack without its last two axes."""

    total: FloatArray
    disc: FloatArray
    """Electrons within the mask of the centre of mass."""
    y: FloatArray
    x: FloatArray
    """Centre of mass from the reference, mrad."""
    variance_y: FloatArray
    variance_x: FloatArray
    covariance: FloatArray
    """Counting variance of the centre of mass, mrad^2."""
    outer_disc: FloatArray
    """Electrons between half the disc's radius and its radius."""
    valid: numpy.typing.NDArray[numpy.bool_]
    """False where the beam did not reach the detector: no number can be read there."""


@functools.lru_cache(maxsize=4)
def _weights(reference: Reference) -> FloatArray:
    """Shape (ky * kx, 8)."""
    y, x = numpy.broadcast_arrays(*angles(reference))
    radius = numpy.hypot(y, x)
    mask = (radius <= MASK_RADIUS * reference.radius_mrad).astype(numpy.float64)
    outer = (radius >= reference.radius_mrad / 2) & (radius <= reference.radius_mrad)
    columns = (
        numpy.ones_like(mask), mask, mask * y, mask * x, mask * y * y, mask * x * x, mask * y * x, outer,
    )  # fmt: skip
    weights = numpy.stack([column.ravel() for column in columns], axis=1).astype(numpy.float64)
    weights.setflags(write=False)
    return weights


def moments(patterns: numpy.typing.ArrayLike, reference: Reference) -> Moments:
    """Reduce patterns, shape (..., ky, kx) in counts, to their moments about the reference.

    The mean angle of N electrons of which each has variance s^2 has the variance s^2 / N: for a uniform disc of
    radius r this is the shot-noise limit r / (2 sqrt(N)) of each axis.

    A pattern with fewer counts than a hundredth of the reference's, or with a value that is not a number, is not
    valid.

    Raises ValueError when the patterns do not have the reference's shape.
    """
    stack = numpy.asarray(patterns)
    if stack.shape[-2:] != reference.shape:
        raise ValueError(
            f"The pattern is {' x '.join(map(str, stack.shape[-2:]))} pixels but the reference is "
            f"{reference.shape[0]} x {reference.shape[1]}: keep the camera's binning and readout area, "
            "or acquire a new reference."
        )
    flat = stack.reshape(*stack.shape[:-2], -1).astype(numpy.float64)
    sums = flat @ _weights(reference) / reference.counts_per_electron
    total, disc, y, x, yy, xx, yx, outer_disc = numpy.moveaxis(sums, -1, 0)
    least = 0.01 * reference.counts / reference.counts_per_electron
    valid = numpy.isfinite(total) & (total > least) & (disc > least)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        y, x = y / disc, x / disc
        variance_y, variance_x = (yy / disc - y * y) / disc, (xx / disc - x * x) / disc
        covariance = (yx / disc - y * x) / disc
    return Moments(
        total=total,
        disc=disc,
        y=y - reference.rest_mrad[0],
        x=x - reference.rest_mrad[1],
        variance_y=numpy.maximum(variance_y, 0),
        variance_x=numpy.maximum(variance_x, 0),
        covariance=covariance,
        outer_disc=outer_disc,
        valid=valid,
    )
