"""Centre of mass of the pattern: how far, and where to, the beam was deflected.

The first moment of all scattered electrons is the expectation of their transverse momentum, and so the projected
electric field, weighted with the probe: Müller et al., "Atomic electric fields revealed by a quantum mechanical
approach to electron picodiffraction", Nat. Commun. 5 (2014) 5653. Electrons are attracted: the centre of mass points to
the nuclei, and the field is parallel to its negative.
"""

from __future__ import annotations

import math

import numpy

from dkl_ae.patterns import Moments, Patterns
from dkl_ae.records import FloatArray, Symmetry
from dkl_ae.scalarizers.scalarizer import Scalarizer, ScalarizerResult

UNKNOWN_ANGLE = math.pi / math.sqrt(3)
"""Standard deviation of an angle that is uniform on the circle, rad."""

_NO_ERROR_MRAD = 1e-12
"""Of a zero: as good as none, but no division by nothing."""


def _x(patterns: Patterns) -> ScalarizerResult:
    m = patterns.moments
    return ScalarizerResult(m.x, numpy.sqrt(m.variance_x), shared=_by_zero(patterns, 0.0, 1.0))


def _y(patterns: Patterns) -> ScalarizerResult:
    m = patterns.moments
    return ScalarizerResult(m.y, numpy.sqrt(m.variance_y), shared=_by_zero(patterns, 1.0, 0.0))


def _magnitude(patterns: Patterns) -> ScalarizerResult:
    m = patterns.moments
    magnitude = numpy.hypot(m.y, m.x)
    along = m.y**2 * m.variance_y + m.x**2 * m.variance_x + 2 * m.y * m.x * m.covariance
    # At the origin every direction is as likely as any other.
    middle = (m.variance_y + m.variance_x) / 2
    variance = numpy.divide(along, magnitude**2, out=middle, where=magnitude > 0)
    shared = _by_zero(patterns, *_directions(m))
    return ScalarizerResult(magnitude, numpy.sqrt(numpy.maximum(variance, 0)), shared=shared)


def _by_zero(patterns: Patterns, y: FloatArray | float, x: FloatArray | float) -> FloatArray:
    """What one standard deviation of the zero does, shape (4, n): see `ScalarizerResult.shared`.

    y, x: by how much the reading grows with the shift along them.
    """
    sigmas = patterns.zero_sigmas_mrad
    shared = numpy.zeros((4, len(patterns)))
    shared[0], shared[1] = y * sigmas[..., 0], x * sigmas[..., 1]
    return shared


def _directions(moments: Moments) -> FloatArray:
    """Unit vectors (y, x) of the shifts, shape (2, n); of none, one between the axes."""
    shift = numpy.stack([moments.y, moments.x])
    length = numpy.hypot(*shift)
    return numpy.divide(shift, length, out=numpy.full_like(shift, math.sqrt(0.5)), where=length > 0)


def magnitude_excess(value: FloatArray, sigma: FloatArray) -> FloatArray:
    """How much larger noise makes the magnitude of a vector on average.

    The magnitude of a vector with noise s in each component has a Rice distribution, s^2 / (2 m) above the truth for
    m >> s. This form stays below m for all m: Plaszczynski et al., "A novel estimator of the polarization amplitude
    from normally distributed Stokes parameters", MNRAS 439 (2014) 4048, equation 37.
    """
    squared = sigma**2
    with numpy.errstate(divide="ignore", invalid="ignore"):
        excess = squared * -numpy.expm1(-(value**2) / squared) / (2 * value)
    return numpy.where((value > 0) & (squared > 0), excess, 0.0)


def _angle(patterns: Patterns) -> ScalarizerResult:
    m: Moments = patterns.moments
    squared = m.y**2 + m.x**2
    across = m.x**2 * m.variance_y + m.y**2 * m.variance_x - 2 * m.y * m.x * m.covariance
    unknown = numpy.full_like(squared, UNKNOWN_ANGLE)
    sigma = numpy.divide(numpy.sqrt(numpy.maximum(across, 0)), squared, out=unknown, where=squared > 0)
    # Nor is it less known than that for want of a zero.
    shortest = numpy.maximum(patterns.zero_sigmas_mrad.max(axis=-1), _NO_ERROR_MRAD) / UNKNOWN_ANGLE
    y, x = _directions(m) / numpy.maximum(numpy.sqrt(squared), shortest)
    shared = _by_zero(patterns, x, -y)
    return ScalarizerResult(numpy.arctan2(m.y, m.x), numpy.minimum(sigma, UNKNOWN_ANGLE), shared=shared)


CENTRE_OF_MASS = (
    Scalarizer(
        "com_magnitude",
        "CoM magnitude",
        "mrad",
        "How far the centre of mass of the pattern moved: the strength of the projected electric field.",
        _magnitude,
        Symmetry.SCALAR,
        excess=magnitude_excess,
    ),
    Scalarizer(
        "com_x",
        "CoM x",
        "mrad",
        "Centre of mass of the pattern along the scan's x; minus the field along x.",
        _x,
        Symmetry.X,
    ),
    Scalarizer(
        "com_y",
        "CoM y",
        "mrad",
        "Centre of mass of the pattern along the scan's y; minus the field along y.",
        _y,
        Symmetry.Y,
    ),
    Scalarizer(
        "com_angle",
        "CoM angle",
        "rad",
        "Direction of the centre of mass, from +x towards +y; the run seeks places where it points along +x.",
        _angle,
        Symmetry.X,
        circular=True,
    ),
)
