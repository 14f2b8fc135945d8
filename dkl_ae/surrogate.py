"""What predicts a reading at every candidate."""

from __future__ import annotations

import dataclasses
import typing

import numpy
import scipy.linalg

from dkl_ae.survey import FloatArray, IntArray


@dataclasses.dataclass(frozen=True, eq=False)
class Posterior:
    """Belief about the noise-free reading at every candidate, in the reading's unit."""

    mean: FloatArray
    """Shape (candidates,)."""
    sigma: FloatArray
    """Shape (candidates,): one standard deviation, without measurement noise."""


class Surrogate(typing.Protocol):
    """Learns from what was measured; knows the patches of all candidates from the start."""

    def fit(self, candidates: IntArray, values: FloatArray, sigmas: FloatArray) -> None:
        """Replace all data by these measurements, each array of shape (n,), and learn from them.

        sigmas are the known one-sigma errors of the values, in the same unit.
        """

    def predict(self) -> Posterior:
        """Predict every candidate."""

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences for the operator about what went wrong and was worked around in the last fit."""


class ExactGP:
    """The Gaussian process that the deep kernel is when its network is the identity: the oracle of the tests.

    Constant mean; covariance output_scale * Matern 5/2 + trend * <x, x'>; nothing is learned but the posterior
    (Rasmussen & Williams, "Gaussian processes for machine learning", 2006, equations 2.25, 2.26 and 4.17).
    Covariances are in the square of the readings' unit.

    points: shape (candidates, dimensions), where each candidate lies.
    noise: variance of each measurement beyond its known one.
    """

    def __init__(
        self,
        points: FloatArray,
        *,
        length: float,
        output_scale: float = 1.0,
        trend: float = 0.0,
        mean: float = 0.0,
        noise: float = 0.0,
    ) -> None:
        self._points = points
        self._length = length
        self._output_scale = output_scale
        self._trend = trend
        self._mean = mean
        self._noise = noise
        self._measured: FloatArray = points[:0]
        self._lower: FloatArray = numpy.empty((0, 0))
        self._whitened: FloatArray = numpy.empty(0)

    @property
    def notices(self) -> tuple[str, ...]:
        return ()

    def fit(self, candidates: IntArray, values: FloatArray, sigmas: FloatArray) -> None:
        """Replace all data; see `Surrogate.fit`."""
        self._measured = self._points[candidates]
        covariance = self._covariance(self._measured, self._measured) + numpy.diag(sigmas**2 + self._noise)
        self._lower = numpy.asarray(scipy.linalg.cholesky(covariance, lower=True), numpy.float64)
        self._whitened = scipy.linalg.solve_triangular(self._lower, values - self._mean, lower=True)

    def predict(self) -> Posterior:
        """Predict every candidate; the prior when nothing was measured."""
        cross = self._covariance(self._measured, self._points)
        explained = scipy.linalg.solve_triangular(self._lower, cross, lower=True) if cross.size else cross
        prior = self._output_scale + self._trend * numpy.sum(self._points**2, axis=1)
        variance = prior - numpy.sum(explained**2, axis=0)
        return Posterior(
            mean=self._mean + explained.T @ self._whitened,
            sigma=numpy.sqrt(numpy.maximum(variance, 1e-12 * prior)),
        )

    def _covariance(self, left: FloatArray, right: FloatArray) -> FloatArray:
        distance = numpy.linalg.norm(left[:, None] - right[None], axis=2) * (numpy.sqrt(5) / self._length)
        local = (1 + distance + distance**2 / 3) * numpy.exp(-distance)
        covariance: FloatArray = self._output_scale * local + self._trend * (left @ right.T)
        return covariance
