"""Charge density from a cross of five patterns, and the curl that checks the calibration.

The projected charge is the divergence of the projected field (Gauss), and the field is parallel to the negative of the
centre of mass: the relative charge density is minus the divergence of the centre of mass. A field has no curl: one that
is read shows a wrong rotation of the detector. Müller-Caspary et al., "Measurement of atomic electric fields and charge
densities from average momentum transfers using scanning transmission electron microscopy", Ultramicroscopy 178 (2017)
62.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy

from dkl_ae.patterns import Arms, Patterns
from dkl_ae.records import FloatArray, Symmetry
from dkl_ae.scalarizers.scalarizer import Scalarizer, ScalarizerResult, undefined

ENDS = ((0, 1), (0, -1), (1, 0), (-1, 0))
"""Of the cross, (y, x) in arms from its centre: right, left, below, above. All ends stand in this order."""

ANGSTROM_PER_NM = 10.0

NO_CROSS = "no cross was exposed here: let it drive the run, and the ends of the cross are measured too."
"""Why nothing is read of a pattern alone."""


def minus_divergence(com: FloatArray, variance: FloatArray, arm_nm: float) -> tuple[FloatArray, FloatArray]:
    """The relative charge density and its standard deviation, shape (...), mrad/Å.

    com, variance: of the centre of mass at the ENDS, shape (4, ..., 2), its last axis (y, x), in mrad and mrad^2.
    """
    right, left, below, above = com
    value = left[..., 1] - right[..., 1] + above[..., 0] - below[..., 0]
    squared = variance[0, ..., 1] + variance[1, ..., 1] + variance[2, ..., 0] + variance[3, ..., 0]
    across = 2 * arm_nm * ANGSTROM_PER_NM
    return value / across, numpy.sqrt(squared) / across


def curl(com: FloatArray, variance: FloatArray, arm_nm: float) -> tuple[FloatArray, FloatArray]:
    """Curl of the centre of mass and its standard deviation; see `minus_divergence`."""
    right, left, below, above = com
    value = right[..., 0] - left[..., 0] - below[..., 1] + above[..., 1]
    squared = variance[0, ..., 0] + variance[1, ..., 0] + variance[2, ..., 1] + variance[3, ..., 1]
    across = 2 * arm_nm * ANGSTROM_PER_NM
    return value / across, numpy.sqrt(squared) / across


Combine = Callable[[FloatArray, FloatArray, float], tuple[FloatArray, FloatArray]]


def _of_cross(combine: Combine) -> Callable[[Patterns], ScalarizerResult]:
    def evaluate(patterns: Patterns) -> ScalarizerResult:
        if patterns.arms is None:
            return undefined(patterns, NO_CROSS)
        return _read_arms(patterns.arms, combine)

    return evaluate


def _read_arms(arms: Arms, combine: Combine) -> ScalarizerResult:
    m = arms.patterns.moments
    com = numpy.stack([m.y, m.x], axis=-1).reshape(len(ENDS), -1, 2)
    variance = numpy.stack([m.variance_y, m.variance_x], axis=-1).reshape(com.shape)
    value, sigma = combine(com, variance, arms.length_nm)
    count = com.shape[1]
    reasons = {index % count: f"an end of the cross: {reason}" for index, reason in arms.patterns.reasons.items()}
    value[list(reasons)] = sigma[list(reasons)] = numpy.nan
    return ScalarizerResult(value, sigma, reasons)


CHARGE = (
    Scalarizer(
        "charge_density",
        "Charge density",
        "mrad/Å",
        "Minus the divergence of the centre of mass, from a cross of five exposures: positive at the nuclei.",
        _of_cross(minus_divergence),
        Symmetry.SCALAR,
        needs_cross=True,
    ),
    Scalarizer(
        "com_curl",
        "CoM curl",
        "mrad/Å",
        "Curl of the centre of mass, from a cross of five exposures: zero when the detector's rotation is right.",
        _of_cross(curl),
        needs_cross=True,
    ),
)
