"""Scalarizers: a pattern and a reference give a physical number with its counting error.

Beam axes: x and y grow with the pattern's column and row; the centre of mass is positive towards larger index.
Electrons are attracted by nuclei: the centre of mass points to them, and the electric field is parallel to its
negative.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy
import numpy.typing

from dkl_ae.measurement import Reading
from dkl_ae.scalarizers.moments import FloatArray, Moments, moments
from dkl_ae.scalarizers.reference import Reference, find_reference
from dkl_ae.symmetry import Symmetry

__all__ = [
    "SCALARIZERS",
    "Moments",
    "Reference",
    "Scalarizer",
    "find_reference",
    "moments",
    "read",
    "scalarize",
]

ValueAndSigma = tuple[FloatArray, FloatArray]


@dataclasses.dataclass(frozen=True)
class Scalarizer:
    """One way of reducing a pattern to a number."""

    name: str
    """Public name, used in files and on the command line."""
    label: str
    """Name for people."""
    unit: str
    description: str
    evaluate: Callable[[Moments], ValueAndSigma]
    """Moments of patterns -> value and one-sigma error, arrays of one shape."""
    symmetry: Symmetry
    """What it does when the specimen is turned or mirrored; of an angle, what its cosine does."""
    circular: bool = False
    """True for an angle in radian, whose values -pi and pi are the same."""


def _com_x(m: Moments) -> ValueAndSigma:
    return m.x, numpy.sqrt(m.variance_x)


def _com_y(m: Moments) -> ValueAndSigma:
    return m.y, numpy.sqrt(m.variance_y)


def _com_magnitude(m: Moments) -> ValueAndSigma:
    magnitude = numpy.hypot(m.y, m.x)
    along = m.y**2 * m.variance_y + m.x**2 * m.variance_x + 2 * m.y * m.x * m.covariance
    with numpy.errstate(divide="ignore", invalid="ignore"):
        variance = along / magnitude**2
    # At the origin every direction is as likely as any other.
    variance = numpy.where(magnitude > 0, variance, (m.variance_y + m.variance_x) / 2)
    return magnitude, numpy.sqrt(numpy.maximum(variance, 0))


def _com_angle(m: Moments) -> ValueAndSigma:
    squared = m.y**2 + m.x**2
    across = m.x**2 * m.variance_y + m.y**2 * m.variance_x - 2 * m.y * m.x * m.covariance
    with numpy.errstate(divide="ignore", invalid="ignore"):
        sigma = numpy.sqrt(numpy.maximum(across, 0)) / squared
    # An angle about which nothing is known is uniform on the circle: its deviation is pi / sqrt(3).
    unknown = math.pi / math.sqrt(3)
    return numpy.arctan2(m.y, m.x), numpy.fmin(numpy.nan_to_num(sigma, nan=unknown), unknown)


def _abf(m: Moments) -> ValueAndSigma:
    with numpy.errstate(divide="ignore", invalid="ignore"):
        fraction = m.outer_disc / m.total
        sigma = numpy.sqrt(numpy.maximum(fraction * (1 - fraction), 0) / m.total)
    return fraction, sigma


SCALARIZERS: Mapping[str, Scalarizer] = {
    scalarizer.name: scalarizer
    for scalarizer in (
        Scalarizer(
            "com_magnitude",
            "CoM magnitude",
            "mrad",
            "How far the centre of mass of the pattern moved: the strength of the projected electric field.",
            _com_magnitude,
            Symmetry.SCALAR,
        ),
        Scalarizer(
            "com_x",
            "CoM x",
            "mrad",
            "Centre of mass of the pattern along its columns; minus the field along x.",
            _com_x,
            Symmetry.X,
        ),
        Scalarizer(
            "com_y",
            "CoM y",
            "mrad",
            "Centre of mass of the pattern along its rows; minus the field along y.",
            _com_y,
            Symmetry.Y,
        ),
        Scalarizer(
            "com_angle",
            "CoM angle",
            "rad",
            "Direction of the centre of mass, from +x towards +y; the run seeks places where it points along +x.",
            _com_angle,
            Symmetry.X,
            circular=True,
        ),
        Scalarizer(
            "abf",
            "Virtual ABF",
            "fraction of the beam",
            "Electrons between half the bright-field disc's radius and its radius, over all that were counted.",
            _abf,
            Symmetry.SCALAR,
        ),
    )
}


def read(scalarizer: Scalarizer, values: Moments) -> ValueAndSigma:
    """Value and one-sigma error of each pattern; NaN where the beam did not reach the detector."""
    value, sigma = scalarizer.evaluate(values)
    return numpy.where(values.valid, value, numpy.nan), numpy.where(values.valid, sigma, numpy.nan)


def scalarize(pattern: numpy.typing.ArrayLike, reference: Reference) -> dict[str, Reading]:
    """Every reading of one pattern, shape (ky, kx), by the scalarizer's name."""
    values = moments(pattern, reference)
    readings = {}
    for name, scalarizer in SCALARIZERS.items():
        value, sigma = read(scalarizer, values)
        readings[name] = Reading(float(value), float(sigma), scalarizer.unit)
    return readings
