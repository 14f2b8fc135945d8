"""Readings of the whole pattern: how its electrons are spread, and how it differs from another pattern.

Their errors follow from what one more electron in a pixel would change: see `dkl_ae.patterns.intensity_fractions`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy

from dkl_ae.patterns import Patterns, Reference, Shares, radii
from dkl_ae.records import Symmetry
from dkl_ae.scalarizers.scalarizer import Scalarizer, Values, nothing


def _entropy(patterns: Patterns) -> Values:
    """Shannon's, with the bias of few counts removed (Miller, 1955)."""
    shares = patterns.shares
    if shares.noise:
        return nothing(patterns, "the camera's read noise hides the entropy: let another reading drive.")
    log = numpy.log(shares.p, out=numpy.zeros_like(shares.p), where=shares.p > 0)
    occupied = numpy.count_nonzero(shares.p > 0, axis=1)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        value = -(shares.p * log).sum(axis=1) + (occupied - 1) / (2 * shares.electrons[:, 0])
    return Values(value, shares.sigma(-log))


def _variance(patterns: Patterns) -> Values:
    shares = patterns.shares
    pixels = shares.p.shape[1]
    return Values(pixels * shares.squares - 1, shares.sigma(2 * pixels * shares.p))


def _mean_angle(patterns: Patterns) -> Values:
    shares, radius = patterns.shares, radii(patterns.reference).ravel()
    return Values(shares.p @ radius, shares.sigma(radius))


def _angle_spread(patterns: Patterns) -> Values:
    shares, radius = patterns.shares, radii(patterns.reference).ravel()
    mean = shares.p @ radius
    with numpy.errstate(divide="ignore", invalid="ignore"):
        spread = numpy.sqrt(shares.p @ radius**2 - mean**2)
        influence = (radius - mean[:, numpy.newaxis]) ** 2 / (2 * spread[:, numpy.newaxis])
    return Values(spread, shares.sigma(influence))


@functools.lru_cache(maxsize=4)
def _vacuum(reference: Reference) -> Shares | None:
    """Of the reference pattern; it is the mean of several, and has the counting noise of all of them together."""
    if reference.pattern is None:
        return None
    noise = reference.exposures * reference.read_noise_electrons**2
    return Shares.of(reference.exposures * reference.pattern[numpy.newaxis], noise)


def distance(patterns: Patterns, other: Shares) -> Values:
    """Squared difference of the shares from those of one other pattern, relative to that pattern's squares.

    The counting noise of both is removed; the error is that of the patterns alone, for all have the other in common.
    """
    shares, scale = patterns.shares, float(other.squares[0])
    value = (shares.squares - 2 * shares.p @ other.p[0] + scale) / scale
    return Values(value, shares.sigma(2 * (shares.p - other.p) / scale))


def correlation(patterns: Patterns, other: Shares) -> Values:
    """Pearson's, of the shares with those of one other pattern; noise and error as in `distance`."""
    shares = patterns.shares
    mean = 1 / other.p.shape[1]
    own, others = shares.squares - mean, float(other.squares[0]) - mean
    with numpy.errstate(divide="ignore", invalid="ignore"):
        norm = numpy.sqrt(own * others)
        value = (shares.p @ other.p[0] - mean) / norm
        change = other.p / norm[:, numpy.newaxis] - (value / own)[:, numpy.newaxis] * shares.p
    return Values(value, shares.sigma(change))


def _against_vacuum(compare: Callable[[Patterns, Shares], Values]) -> Callable[[Patterns], Values]:
    def evaluate(patterns: Patterns) -> Values:
        vacuum = _vacuum(patterns.reference)
        if vacuum is None:
            return nothing(patterns, "the reference has no pattern to compare with: acquire a new one.")
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
