"""What predicts a reading at every candidate."""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Mapping

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


class Embedding(enum.StrEnum):
    """What a deep kernel's points in latent space are made of."""

    COMBINED = "combined"
    """The base's coordinates and learned features: the evidence says how much the network has to say."""
    PATCHES = "patches"
    """The base's coordinates alone."""
    NETWORK = "network"
    """Learned features alone, as in the published deep kernel."""


class Surrogate(typing.Protocol):
    """Learns from what was measured; knows the patches of all candidates from the start."""

    def fit(self, candidates: IntArray, values: FloatArray, sigmas: FloatArray) -> None:
        """Replace all data by these measurements, each array of shape (n,), and learn from them.

        sigmas are the known one-sigma errors of the values, in the same unit.
        """

    def predict(self) -> Posterior:
        """Predict every candidate."""

    def leave_one_out(self, rows: IntArray) -> tuple[FloatArray, Posterior]:
        """The values of some of the fitted measurements, and what each would be predicted to read without it, noise
        included; arrays of shape (rows,)."""

    def covariance(self, left: IntArray, right: IntArray) -> FloatArray:
        """Covariance of what is believed of two sets of candidates, shape (left, right), without what their patches do
        not tell."""

    @property
    def trainings(self) -> int:
        """How often its parameters were learned so far."""

    def parameters(self) -> dict[str, FloatArray]:
        """What was learned, by name; empty for a model that learns no parameters."""

    def restore(self, parameters: Mapping[str, FloatArray], trainings: int) -> None:
        """Take what another model of the same candidates had learned after so many trainings: the next fit takes these
        parameters instead of training."""

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences for the operator about what went wrong and was worked around in the last fit."""

    @property
    def explanation(self) -> str:
        """Which parts of the model explain the readings, for the operator."""


def left_out(values: FloatArray, columns: FloatArray, whitened: FloatArray) -> Posterior:
    """What some readings would be predicted to be without them (Rasmussen & Williams, equation 5.12).

    columns: those of L^-1 that belong to the readings, shape (n, rows), where L is the Cholesky factor of the
    covariance of all n readings.
    whitened: L^-1 times all readings less their prior mean, shape (n,).
    """
    precision = numpy.sum(columns**2, axis=0)
    return Posterior(mean=values - columns.T @ whitened / precision, sigma=1 / numpy.sqrt(precision))


class Untrained:
    """What a surrogate without parameters says of them."""

    trainings = 0

    def parameters(self) -> dict[str, FloatArray]:
        return {}

    def restore(self, parameters: Mapping[str, FloatArray], trainings: int) -> None:
        """There is nothing to restore."""


class ExactGP(Untrained):
    """The Gaussian process that the deep kernel is when its network is silent: the oracle of the tests.

    Constant mean; covariance output_scale * Matern 3/2 + linear * <x, x'> + quadratic * <x, x'>^2 / (|x| |x'|),
    averaged over the images of a patch with their signs, plus free_scale * Matern 3/2 of the patches themselves;
    nothing is learned but the posterior (Rasmussen & Williams, "Gaussian processes for machine learning", 2006,
    equations 2.25, 2.26 and 4.17).
    Covariances are in the square of the readings' unit.

    points: shape (images, candidates, dimensions), where each image of each candidate lies, the candidate's own first.
    noise: variance of each measurement beyond its known one.
    signs: of each image; 1 when None.
    """

    def __init__(
        self,
        points: FloatArray,
        *,
        length: float,
        output_scale: float = 1.0,
        free_scale: float = 0.0,
        linear: float = 0.0,
        quadratic: float = 0.0,
        mean: float = 0.0,
        noise: float = 0.0,
        signs: FloatArray | None = None,
    ) -> None:
        self._points = points
        self._length = length
        self._output_scale = output_scale
        self._free_scale = free_scale
        self._linear = linear
        self._quadratic = quadratic
        self._mean = mean
        self._noise = noise
        self._signs = numpy.ones(len(points)) if signs is None else signs
        self._measured: IntArray = numpy.empty(0, int)
        self._lower: FloatArray = numpy.empty((0, 0))
        self._whitened: FloatArray = numpy.empty(0)

    @property
    def notices(self) -> tuple[str, ...]:
        return ()

    @property
    def explanation(self) -> str:
        return "exact Gaussian process"

    def fit(self, candidates: IntArray, values: FloatArray, sigmas: FloatArray) -> None:
        """Replace all data; see `Surrogate.fit`."""
        self._measured = numpy.asarray(candidates)
        covariance = self._covariance(self._measured, self._measured) + numpy.diag(sigmas**2 + self._noise)
        self._lower = numpy.asarray(scipy.linalg.cholesky(covariance, lower=True), numpy.float64)
        self._whitened = scipy.linalg.solve_triangular(self._lower, values - self._mean, lower=True)

    def predict(self) -> Posterior:
        """Predict every candidate; the prior when nothing was measured."""
        everywhere = numpy.arange(self._points.shape[1])
        cross = self._covariance(self._measured, everywhere)
        explained = scipy.linalg.solve_triangular(self._lower, cross, lower=True) if cross.size else cross
        prior = numpy.array([self._covariance(one, one)[0, 0] for one in everywhere[:, None]])
        variance = prior - numpy.sum(explained**2, axis=0)
        return Posterior(
            mean=self._mean + explained.T @ self._whitened,
            sigma=numpy.sqrt(numpy.maximum(variance, 1e-12 * (self._output_scale + self._free_scale))),
        )

    def leave_one_out(self, rows: IntArray) -> tuple[FloatArray, Posterior]:
        """See `Surrogate.leave_one_out`; Rasmussen & Williams, equation 5.12."""
        columns = scipy.linalg.solve_triangular(self._lower, numpy.eye(len(self._lower))[:, rows], lower=True)
        values = self._mean + (self._lower @ self._whitened)[rows]
        return values, left_out(values, columns, self._whitened)

    def covariance(self, left: IntArray, right: IntArray) -> FloatArray:
        """See `Surrogate.covariance`."""
        explained = [
            scipy.linalg.solve_triangular(self._lower, self._covariance(self._measured, candidates), lower=True)
            for candidates in (left, right)
        ]
        posterior: FloatArray = self._covariance(left, right) - explained[0].T @ explained[1]
        return posterior

    def _covariance(self, left: IntArray, right: IntArray) -> FloatArray:
        own = self._points[0, left]
        other = self._points[0, right]
        covariance = self._free_scale * self._matern(own, other)
        for sign, image in zip(self._signs, self._points[:, right], strict=True):
            products = own @ image.T
            trend = self._linear * products + self._quadratic * products**2 / numpy.outer(_norms(own), _norms(image))
            covariance += sign * (self._output_scale * self._matern(own, image) + trend) / len(self._signs)
        return covariance

    def _matern(self, left: FloatArray, right: FloatArray) -> FloatArray:
        distance = numpy.linalg.norm(left[:, None] - right[None], axis=2) * (numpy.sqrt(3) / self._length)
        local: FloatArray = (1 + distance) * numpy.exp(-distance)
        return local


def _norms(points: FloatArray) -> FloatArray:
    norms: FloatArray = numpy.sqrt(numpy.sum(points**2, axis=1) + 1e-9)
    return norms
