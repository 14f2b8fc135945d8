"""How the zero of a reference drifts, as repeated exposures of it tell.

Between two exposures of one place nothing changes but the beam's own place on the detector, whatever the specimen there
does to the beam. The zero is taken for a random walk with a steady part, as a lens that creeps and a column that
charges make it. How fast it is in either is not known: all that is likely counts, each by its evidence, as in Rasmussen
and Williams, "Gaussian Processes for Machine Learning" (MIT Press, 2006), section 5.2.
"""

from __future__ import annotations

import dataclasses
import math
import typing

import numpy
import scipy.linalg

from dkl_ae.patterns.cached import cached
from dkl_ae.records import FloatArray, IntArray

_GAINED: typing.Final = (0.0, *(10.0 ** numpy.linspace(-3, 6, 10)).tolist())
"""Variance that the walk, and the steady part, may have gained by the last exposure, in units of the counting variance
of one exposure."""
_UNLIKELY: typing.Final = 0.01
"""What is so much less likely than the likeliest does not count."""
_AT_ONCE: typing.Final = 256
"""So many times are looked at together, to bound the memory."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Beliefs:
    """What follows if the zero moves with each of b speeds that are likely."""

    weights: FloatArray
    """Of each, together 1: shape (b,)."""
    walk: FloatArray
    """Variance that a walking zero gains in a second, mrad^2/s: shape (b,)."""
    steady: FloatArray
    """Mean square of its steady velocity, (mrad/s)^2: shape (b,)."""
    whitening: FloatArray
    """Makes the exposures' shifts independent and of variance 1: shape (b, n, n)."""
    explained: FloatArray
    """The inverse of their covariance times the shifts, shape (b, n, 2)."""


def _covariance(walk: FloatArray, steady: FloatArray, one: FloatArray, other: FloatArray) -> FloatArray:
    """Of the zero at times since the first exposure; all are broadcast."""
    covariance: FloatArray = walk * numpy.minimum(one, other) + steady * one * other
    return covariance


@dataclasses.dataclass(frozen=True, eq=False)
class ZeroDrift:
    """What n exposures of a reference tell of its zero.

    Attributes
    ----------
    times : ndarray of float, shape (n,)
        In seconds.
    places : ndarray of int, shape (n,)
        Exposures of one place are deflected alike; where they show vacuum, all are of one place.
    shifts_mrad : ndarray of float, shape (n, 2)
        Their centres of mass (y, x) from the reference's zero.
    variance : ndarray of float, shape (n,)
        Of each of these by counting, mrad^2.
    found_in : ndarray of float, shape (k,)
        Electrons in those that the reference was found in, the first of them: the mean that they weigh is its zero.
    largest_mrad : float
        How far places may deflect the beam.
    """

    times: FloatArray
    places: IntArray
    shifts_mrad: FloatArray
    variance: FloatArray
    found_in: FloatArray
    largest_mrad: float

    @property
    def exposure_sigma_mrad(self) -> float:
        """Standard deviation of one exposure's shift along one axis, by counting."""
        return math.sqrt(float(numpy.median(self.variance)))

    def at(self, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Where the zero was, and one standard deviation, mrad: both of shape (m, 2), the latter the same for y and x.

        times: shape (m,), in seconds; before the first exposure it was where it was then.
        """
        asked = self._since_first(numpy.asarray(times, numpy.float64))
        pieces = [self._at(asked[start : start + _AT_ONCE]) for start in range(0, len(asked), _AT_ONCE)]
        mean, variance = (numpy.concatenate(part) for part in zip(*pieces, strict=True))
        return mean, numpy.sqrt(variance)

    def _at(self, asked: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance at times since the first exposure."""
        beliefs, own = self._beliefs, self._since_first(self.times)
        walk, steady = beliefs.walk[:, numpy.newaxis], beliefs.steady[:, numpy.newaxis]
        # Of a mean of the places, each with its share in the reference, with each exposure.
        of_reference = self.found_in / self.found_in.sum()
        shares = (self.places[:, numpy.newaxis] == self.places[: len(of_reference)]) @ of_reference
        level = self.largest_mrad**2
        covariance = _covariance(walk[..., numpy.newaxis], steady[..., numpy.newaxis], asked[:, numpy.newaxis], own)
        covariance += level * shares
        prior = _covariance(walk, steady, asked, asked) + level * float(shares[: len(of_reference)] @ of_reference)
        means = covariance @ beliefs.explained
        known = beliefs.whitening @ covariance.transpose(0, 2, 1)
        variances = numpy.maximum(prior - (known**2).sum(axis=1), 0.0)
        mean = numpy.einsum("b,bma->ma", beliefs.weights, means)
        spread = variances[..., numpy.newaxis] + (means - mean) ** 2
        return mean, numpy.einsum("b,bma->ma", beliefs.weights, spread)

    @cached
    def _beliefs(self) -> _Beliefs:
        own = self._since_first(self.times)
        unit, span = self.exposure_sigma_mrad**2, float(own.max())
        gained = numpy.array(_GAINED if span > 0 else (0.0,)) * unit
        walk, steady = (part.ravel() for part in numpy.meshgrid(gained / (span or 1.0), gained / (span or 1.0) ** 2))
        evidence = numpy.array([self._evidence(*speeds) for speeds in zip(walk, steady, strict=True)])
        likely = numpy.flatnonzero(evidence > evidence.max() + math.log(_UNLIKELY))
        weights = numpy.exp(evidence[likely] - evidence.max())
        factors = [self._factor(*speeds) for speeds in zip(walk[likely], steady[likely], strict=True)]
        unit_matrix = numpy.eye(len(own))
        whitening = numpy.stack([scipy.linalg.solve_triangular(each, unit_matrix, lower=True) for each in factors])
        explained = whitening.transpose(0, 2, 1) @ (whitening @ self.shifts_mrad)
        return _Beliefs(weights / weights.sum(), walk[likely], steady[likely], whitening, explained)

    def _evidence(self, walk: float, steady: float) -> float:
        """Logarithm of the evidence for these speeds: see `_Beliefs`."""
        factor = self._factor(walk, steady)
        squared = float((scipy.linalg.solve_triangular(factor, self.shifts_mrad, lower=True) ** 2).sum())
        determinant = float(numpy.log(factor.diagonal()).sum())
        return float(-squared / 2 - self.shifts_mrad.shape[1] * determinant)

    def _factor(self, walk: float, steady: float) -> FloatArray:
        """Cholesky factor of the exposures' covariance, shape (n, n)."""
        own = self._since_first(self.times)
        covariance = _covariance(numpy.array(walk), numpy.array(steady), own[:, numpy.newaxis], own)
        covariance += numpy.diag(self.variance)
        covariance += self.largest_mrad**2 * (self.places[:, numpy.newaxis] == self.places)
        factor: FloatArray = scipy.linalg.cholesky(covariance, lower=True)
        return factor

    def _since_first(self, times: FloatArray) -> FloatArray:
        """Seconds since the first exposure; a time that is not a number counts as the first."""
        known = self.times[numpy.isfinite(self.times)]
        first = float(known[0]) if known.size else 0.0
        since: FloatArray = numpy.maximum(numpy.where(numpy.isfinite(times), times, first) - first, 0.0)
        return since
