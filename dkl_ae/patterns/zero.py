"""How well a reference's zero is known: what its single exposures tell of it, and whether they show vacuum.

In vacuum the centres of mass of the exposures scatter by counting, and their mean is known as well as counting allows.
Over a specimen each exposure is deflected too, and how much they differ tells how far their mean may be wrong. A
deflection that all of them have in common no exposure can tell.
"""

from __future__ import annotations

import dataclasses
import math
import typing

import numpy
import scipy.special

from dkl_ae.patterns.bragg.discs import summed
from dkl_ae.patterns.camera_level import FAR_RADII
from dkl_ae.patterns.memory import BINNED_PIXELS
from dkl_ae.patterns.moments import Moments
from dkl_ae.patterns.patterns import Patterns
from dkl_ae.patterns.reference import Reference, radii
from dkl_ae.records import BoolArray, FloatArray, NumberArray

FALSE_ALARM_PROBABILITY: typing.Final = 1e-4
"""That exposures of vacuum are taken for those of a specimen, half of it for each test of their differences."""

_TWO_SIGMA = float(scipy.special.ndtr(2.0))

_SCATTERED_FRACTION = 0.01
"""Of the beam, far from the disc: an aperture's edge and a camera's blur put less there."""
_FAR_SIGMAS = 5.0

_MIN_ELECTRONS = 20.0
"""Expected in a coarse pixel of one exposure: fewer do not scatter as a normal distribution does."""
_MAX_READ_NOISE = 0.1
"""Of a coarse pixel's counting variance: with more, a wrong read noise would be taken for a specimen."""

_MAX_COMPARED = 64
"""So many whole patterns tell what they have in common."""


def with_zero_error(reference: Reference, exposures: Patterns) -> Reference:
    """The reference, with how well its zero is known, and whether there is vacuum.

    The error of the mean of n exposures is their scatter over the square root of n, widened by Student's factor so that
    two standard deviations cover as often as those of a normal distribution; it is never less than counting allows.

    exposures: those that the reference was found in, with their positions where a descan was fitted to them. Those
        without the beam are left out.
    """
    there = numpy.ones(len(exposures), numpy.bool_)
    there[list(exposures.reasons)] = False
    count = int(numpy.count_nonzero(there))
    parameters = 1 if reference.descan is None else len(reference.descan.y_mrad)
    degrees = 2 * (count - parameters)
    if degrees < 2:
        return dataclasses.replace(reference, is_vacuum=False if _scatters(reference) else None)
    positions = None if exposures.positions is None else exposures.positions[there]
    seen = Patterns(exposures.counts[there], _with_noise_of(exposures, there), positions=positions)
    com = numpy.stack([seen.moments.y, seen.moments.x], axis=-1)
    deviations = com - com.mean(axis=0)
    student = float(scipy.special.stdtrit(degrees, _TWO_SIGMA)) / 2
    error = student * math.sqrt(float((deviations**2).sum()) / degrees * parameters / count)
    y, x = (max(error, counting) for counting in reference.zero_sigma_mrad)
    differs = _deflections_differ(deviations, seen.moments, degrees) or (
        # A beam that wanders differs from pixel to pixel.
        reference.descan is None and _patterns_differ(Patterns(_some(seen.counts), seen.reference))
    )
    is_vacuum = not (differs or _scatters(reference))
    return dataclasses.replace(reference, zero_sigma_mrad=(y, x), is_vacuum=is_vacuum)


def zero_notice(reference: Reference) -> str:
    """What an operator should know of a reference's zero, in one sentence; empty where it is as good as vacuum's."""
    shared = f"all shifts share an error of {max(reference.zero_sigma_mrad):.2g} mrad"
    if reference.is_vacuum is False:
        return (
            f"No vacuum was found: the reference shows a specimen, and {shared}; choose a region of vacuum, or a "
            "reference file."
        )
    if reference.is_vacuum is None and reference.exposures == 1:
        return (
            f"The reference is a single exposure: {shared} of counting, and more if it is no vacuum; "
            "take two reference frames or more."
        )
    return ""


def _with_noise_of(exposures: Patterns, there: BoolArray) -> Reference:
    """The reference with at least the read noise by which exposures differ far from the disc: of a faint beam no single
    pattern tells it."""
    reference = exposures.reference
    far = radii(reference) > FAR_RADII * reference.radius_mrad
    if reference.bad_pixels is not None:
        far &= ~reference.bad_pixels
    if not far.any():
        return reference
    counted = Patterns(_some(exposures.counts[there]), reference).electrons[:, far]
    excess = float((counted.var(axis=0, ddof=1) - numpy.maximum(counted.mean(axis=0), 0)).mean())
    noise = math.sqrt(max(excess, 0.0)) * reference.counts_per_electron
    return dataclasses.replace(reference, read_noise=max(reference.read_noise, noise))


def _deflections_differ(deviations: FloatArray, moments: Moments, degrees: int) -> bool:
    """Whether centres of mass scatter by more than counting.

    deviations: (y, x) from their mean, shape (n, 2).
    """
    variance = numpy.array([[moments.variance_y, moments.covariance], [moments.covariance, moments.variance_x]])
    of_one_electron = (variance * moments.disc).mean(axis=-1)
    if not numpy.linalg.det(of_one_electron) > 0:
        return False
    inverse = numpy.linalg.inv(of_one_electron)
    squared = numpy.einsum("ni,ij,nj,n->", deviations, inverse, deviations, moments.disc)
    return _is_more_than_chance(float(squared), degrees)


def _patterns_differ(exposures: Patterns) -> bool:
    """Whether coarse pixels scatter by more than counting, each against its share of the mean pattern.

    Those are left out in which too few electrons are expected, or too much is the camera's noise.
    """
    rows, columns = (math.ceil(side / BINNED_PIXELS) for side in exposures.reference.shape)
    counted = summed(exposures.electrons, (rows, columns)).reshape(len(exposures), -1)
    noise = rows * columns * exposures.reference.read_noise_electrons**2
    total = counted.sum(axis=1, keepdims=True)
    expected = total * counted.sum(axis=0) / total.sum()
    bright = expected.min(axis=0) > max(_MIN_ELECTRONS, noise / _MAX_READ_NOISE)
    degrees = int(numpy.count_nonzero(bright) - 1) * (len(exposures) - 1)
    if degrees < 1:
        return False
    squared = (counted - expected)[:, bright] ** 2 / (expected[:, bright] + noise)
    return _is_more_than_chance(float(squared.sum()), degrees)


def _some(counts: NumberArray) -> NumberArray:
    """At most `_MAX_COMPARED` of the patterns."""
    return counts[:: math.ceil(len(counts) / _MAX_COMPARED)]


def _is_more_than_chance(squared: float, degrees: int) -> bool:
    """Whether a sum of squares of so many normal deviations is larger than chance makes it."""
    return float(scipy.special.chdtrc(degrees, squared)) < FALSE_ALARM_PROBABILITY / 2


def _scatters(reference: Reference) -> bool:
    """Whether more electrons are just outside of the disc than farther out, where a camera's level would be too."""
    if reference.pattern is None:
        return False
    radius = radii(reference) / reference.radius_mrad
    far = radius > FAR_RADII
    if not far.any():
        return False
    farther = radius > numpy.median(radius[far])
    near = far & ~farther
    if not (near.any() and farther.any()):
        return False
    inner, outer = reference.pattern[near], reference.pattern[farther]
    excess = float(inner.mean() - outer.mean())
    chance = math.sqrt(float(inner.var()) / inner.size + float(outer.var()) / outer.size)
    return excess > _FAR_SIGMAS * chance and excess * inner.size > _SCATTERED_FRACTION * reference.electrons
