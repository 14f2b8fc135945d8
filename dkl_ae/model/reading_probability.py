"""Where a reading exists: how likely each candidate's pattern is to give a number.

Vacuum has no lattice, and a pattern without a number teaches the model of the reading nothing: it would stay as
uncertain there as before, and go on spending the dose on it. A Gaussian-process classifier of the same patches learns
which places give a number (Rasmussen & Williams, "Gaussian processes for machine learning", 2006, chapter 3; in
optimization: Bachoc, Helbert & Picheny, "Gaussian process optimization with failures: classification and convergence
proof", Journal of Global Optimization 78 (2020) 483).
"""

from __future__ import annotations

import functools
import math
import typing

import numpy
import scipy.linalg
import scipy.special

from dkl_ae.model.descriptors import pca_coordinates
from dkl_ae.records import BoolArray, FeatureArray, FloatArray, IntArray, Patches, Symmetry, symmetry_operations

_LENGTH: typing.Final = 1.2
"""Of the Matern 3/2 kernel, where patches have a mean squared norm of 1. Whether there is matter is a coarser question
than what it reads, whose kernel begins with half of this."""
_VARIANCE: typing.Final = 9.0
"""Of the latent function: three deviations make a place all but certain."""
_COMMON_VARIANCE: typing.Final = 1.0
"""Of the latent function's mean, which is not known: most places may give a number, or few."""
_MOST_LEARNED_FROM: typing.Final = 200
"""Outcomes, those without a number first: the cost grows with their square times the candidates."""
_MOST_STEPS: typing.Final = 50
_CONVERGED: typing.Final = 1e-8
"""Newton's method ends when the log posterior grows by less than this."""


class ReadingProbability:
    """Learns from which candidates gave a number, and which did not.

    Parameters
    ----------
    patches : Patches
        All candidates; they are looked at when the first point gives no number.

    Notes
    -----
    A turned or mirrored structure gives a number as well as the structure itself: the kernel is averaged over the
    images of a patch. Nothing is trained: the outcomes alone decide, in any order, so a resumed run says the same.
    """

    def __init__(self, patches: Patches) -> None:
        self._patches = patches
        self._rows: dict[int, FeatureArray] = {}
        """Covariance of single candidates with all, by candidate."""

    def at_every_candidate(self, candidates: IntArray, is_number: BoolArray) -> FloatArray:
        """How likely each candidate is to give a number.

        Parameters
        ----------
        candidates : ndarray of int, shape (n,)
            Those measured, in their order.
        is_number : ndarray of bool, shape (n,)
            Whether each gave a number.

        Returns
        -------
        ndarray of float, shape (candidates,)
            Between 0 and 1; 1 everywhere as long as every one gave a number.
        """
        if is_number.all():
            return numpy.ones(self._patches.count)
        learned_from = _learned_from(is_number)
        candidates, outcomes = candidates[learned_from], numpy.where(is_number[learned_from], 1.0, -1.0)
        covariances = numpy.stack([self._row(int(candidate)) for candidate in candidates])
        gradient, root, factor = _laplace(covariances[:, candidates].astype(numpy.float64), outcomes)
        mean = gradient.astype(numpy.float32) @ covariances
        # In single precision, as the covariances are: these are by far the largest arrays.
        whitened = numpy.linalg.solve(factor, numpy.diag(root)).astype(numpy.float32) @ covariances
        variance = numpy.maximum(self._variance - numpy.einsum("ij,ij->j", whitened, whitened), 0.0)
        probability: FloatArray = scipy.special.ndtr(mean / numpy.sqrt(1 + variance))
        return probability

    @functools.cached_property
    def _coordinates(self) -> FeatureArray:
        """Shape (images, candidates, dimensions)."""
        operations = symmetry_operations(Symmetry.SCALAR, self._patches.size)
        return pca_coordinates(self._patches.features, self._patches.size, operations).astype(numpy.float32)

    @functools.cached_property
    def _squares(self) -> FeatureArray:
        """Squared norm of each patch, shape (candidates,): that of its images is the same."""
        squares: FeatureArray = numpy.einsum("ij,ij->i", self._coordinates[0], self._coordinates[0])
        return squares

    @functools.cached_property
    def _variance(self) -> FeatureArray:
        """Of the latent function at every candidate before any outcome."""
        own = self._coordinates[0]
        return _covariance(numpy.stack([numpy.sum((own - image) ** 2, axis=1) for image in self._coordinates]))

    def _row(self, candidate: int) -> FeatureArray:
        if candidate not in self._rows:
            images, count, dimensions = self._coordinates.shape
            products = self._coordinates.reshape(-1, dimensions) @ self._coordinates[0, candidate]
            squared_distances = self._squares + self._squares[candidate] - 2 * products.reshape(images, count)
            self._rows[candidate] = _covariance(numpy.maximum(squared_distances, 0))
        return self._rows[candidate]


def _learned_from(is_number: BoolArray) -> IntArray:
    """The latest without a number, and as many of the others, spread over the run, as there is room for."""
    without = numpy.flatnonzero(~is_number)[-_MOST_LEARNED_FROM // 2 :]
    others = numpy.flatnonzero(is_number)
    room = min(_MOST_LEARNED_FROM - without.size, others.size)
    spread = others[numpy.linspace(0, others.size - 1, room).round().astype(numpy.int64)] if room else others[:0]
    return numpy.sort(numpy.concatenate([without, spread]))


def _covariance(squared_distances: FeatureArray) -> FeatureArray:
    """Of a patch and others, averaged over the images of either.

    squared_distances: shape (images, candidates).
    """
    distance = numpy.sqrt(squared_distances)
    distance *= math.sqrt(3) / _LENGTH
    decay = numpy.exp(-distance)
    distance += 1
    decay *= distance
    averaged: FeatureArray = _VARIANCE * numpy.mean(decay, axis=0) + _COMMON_VARIANCE
    return averaged


def _laplace(covariance: FloatArray, outcomes: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The Gaussian around the most probable latent function, by Newton's method (algorithm 3.1, with the probit
    likelihood of equation 3.16).

    covariance: shape (n, n).
    outcomes: 1 or -1, shape (n,).

    Returns the gradient of the log likelihood there, the root of its curvature W, and the Cholesky factor of
    1 + W^1/2 K W^1/2.
    """
    latent = numpy.zeros(len(outcomes))
    reached = -math.inf
    for _ in range(_MOST_STEPS):
        ratio = numpy.exp(-0.5 * latent**2 - 0.5 * math.log(2 * math.pi) - scipy.special.log_ndtr(outcomes * latent))
        gradient = outcomes * ratio
        curvature = ratio**2 + outcomes * latent * ratio
        root = numpy.sqrt(curvature)
        factor = numpy.linalg.cholesky(numpy.eye(len(outcomes)) + root[:, numpy.newaxis] * covariance * root)
        newton = curvature * latent + gradient
        newton -= root * scipy.linalg.cho_solve((factor, True), root * (covariance @ newton))
        latent = covariance @ newton
        log_posterior = -0.5 * float(newton @ latent) + float(scipy.special.log_ndtr(outcomes * latent).sum())
        if log_posterior - reached < _CONVERGED:
            break
        reached = log_posterior
    return gradient, root, factor
