"""Readings of the whole pattern: how its electrons are spread, and how it differs from another pattern.

Their errors follow from what one more electron in a pixel would change: see `dkl_ae.patterns.intensity_fractions`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy

from dkl_ae.patterns import IntensityFractions, Patterns, Reference, radii
from dkl_ae.records import Symmetry
from dkl_ae.scalarizers.scalarizer import Scalarizer, ScalarizerResult, undefined


def _entropy(patterns: Patterns) -> ScalarizerResult:
    """Shannon's, with the bias of few counts removed (Miller, 1955)."""
    fractions = patterns.fractions
    if fractions.read_noise_variance:
        return undefined(patterns, "the camera's read noise hides the entropy: let another reading drive.")
    log = numpy.log(fractions.p, out=numpy.zeros_like(fractions.p), where=fractions.p > 0)
    occupied = numpy.count_nonzero(fractions.p > 0, axis=1)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        value = -(fractions.p * log).sum(axis=1) + (occupied - 1) / (2 * fractions.electrons[:, 0])
    return ScalarizerResult(value, fractions.sigma(-log))


def _variance(patterns: Patterns) -> ScalarizerResult:
    fractions = patterns.fractions
    pixels = fractions.p.shape[1]
    return ScalarizerResult(pixels * fractions.squares - 1, fractions.sigma(2 * pixels * fractions.p))


def _mean_angle(patterns: Patterns) -> ScalarizerResult:
    fractions, radius = patterns.fractions, radii(patterns.reference).ravel()
    return ScalarizerResult(fractions.p @ radius, fractions.sigma(radius))


def _angle_spread(patterns: Patterns) -> ScalarizerResult:
    fractions, radius = patterns.fractions, radii(patterns.reference).ravel()
    mean = fractions.p @ radius
    with numpy.errstate(divide="ignore", invalid="ignore"):
        spread = numpy.sqrt(fractions.p @ radius**2 - mean**2)
        influence = (radius - mean[:, numpy.newaxis]) ** 2 / (2 * spread[:, numpy.newaxis])
    return ScalarizerResult(spread, fractions.sigma(influence))


@functools.lru_cache(maxsize=4)
def _vacuum(reference: Reference) -> IntensityFractions | None:
    """Of the reference pattern; it is the mean of several, and has the counting noise of all of them together."""
    if reference.pattern is None:
        return None
    noise = reference.exposures * reference.read_noise_electrons**2
    return IntensityFractions.of(reference.exposures * reference.pattern[numpy.newaxis], noise)


def distance(patterns: Patterns, other: IntensityFractions) -> ScalarizerResult:
    """Squared difference of the fractions from those of one other pattern, relative to that pattern's squares.

    The counting noise of both is removed; the error is that of the patterns alone, for all have the other in common.
    """
    fractions, scale = patterns.fractions, float(other.squares[0])
    value = (fractions.squares - 2 * fractions.p @ other.p[0] + scale) / scale
    return ScalarizerResult(value, fractions.sigma(2 * (fractions.p - other.p) / scale))


def correlation(patterns: Patterns, other: IntensityFractions) -> ScalarizerResult:
    """Pearson's, of the fractions with those of one other pattern; noise and error as in `distance`."""
    fractions = patterns.fractions
    mean = 1 / other.p.shape[1]
    own, others = fractions.squares - mean, float(other.squares[0]) - mean
    with numpy.errstate(divide="ignore", invalid="ignore"):
        norm = numpy.sqrt(own * others)
        value = (fractions.p @ other.p[0] - mean) / norm
        change = other.p / norm[:, numpy.newaxis] - (value / own)[:, numpy.newaxis] * fractions.p
    return ScalarizerResult(value, fractions.sigma(change))


def _against_vacuum(
    compare: Callable[[Patterns, IntensityFractions], ScalarizerResult],
) -> Callable[[Patterns], ScalarizerResult]:
    def evaluate(patterns: Patterns) -> ScalarizerResult:
        vacuum = _vacuum(patterns.reference)
        if vacuum is None:
            return undefined(patterns, "the reference has no pattern to compare with: acquire a new one.")
        return compare(patterns, vacuum)

    return evaluate


WHOLE_PATTERN = (
    Scalarizer(
        "entropy", "Entropy", "nat", "How evenly the electrons are spread over the detector.", _entropy, Symmetry.SCALAR
    ),
    Scalarizer(
        "variance",
        "Intensity variance",
        "",
        "Variance of the intensity over the detector by its squared mean, counting noise removed.",
        _variance,
        Symmetry.SCALAR,
    ),
    Scalarizer(
        "mean_angle",
        "Mean angle",
        "mrad",
        "Mean scattering angle of the electrons on the detector.",
        _mean_angle,
        Symmetry.SCALAR,
    ),
    Scalarizer(
        "angle_spread",
        "Angle spread",
        "mrad",
        "Standard deviation of the scattering angle of the electrons on the detector.",
        _angle_spread,
        Symmetry.SCALAR,
    ),
    Scalarizer(
        "vacuum_distance",
        "Distance from vacuum",
        "",
        "Squared difference from the reference pattern, relative to that pattern's squares; zero in vacuum.",
        _against_vacuum(distance),
        Symmetry.SCALAR,
    ),
    Scalarizer(
        "vacuum_correlation",
        "Correlation with vacuum",
        "",
        "Correlation with the reference pattern; one in vacuum.",
        _against_vacuum(correlation),
        Symmetry.SCALAR,
    ),
)
