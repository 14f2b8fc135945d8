"""The Gaussian process that the deep kernel is when its network is silent."""

from __future__ import annotations

import numpy
import scipy

from dkl_ae.model.surrogate import Posterior, left_out
from dkl_ae.records import FloatArray, IntArray


class ExactGP:
    """The Gaussian process that the deep kernel is when its network is silent: the oracle of the tests.

    Constant mean; covariance output_scale * Matern 3/2 + linear * <x, x'> + quadratic * <x, x'>^2 / (|x| |x'|),
    averaged over the images of a patch with their signs, plus symmetry_breaking_scale * Matern 3/2 of the patches
    themselves; nothing is learned but the posterior (Rasmussen & Williams, "Gaussian processes for machine learning",
    2006, equations 2.25, 2.26 and 4.17).
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
        symmetry_breaking_scale: float = 0.0,
        linear: float = 0.0,
        quadratic: float = 0.0,
        mean: float = 0.0,
        noise: float = 0.0,
        signs: FloatArray | None = None,
    ) -> None:
        self._points = points
        self._length = length
        self._output_scale = output_scale
        self._symmetry_breaking_scale = symmetry_breaking_scale
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

    def fit(self, candidates: IntArray, values: FloatArray, sigmas: FloatArray) -> None:
        """Replace all data; see `Surrogate.fit`."""
        self._measured = numpy.asarray(candidates)
        covariance = self.prior_covariance(self._measured, self._measured) + numpy.diag(sigmas**2 + self._noise)
        self._lower = numpy.asarray(scipy.linalg.cholesky(covariance, lower=True), numpy.float64)
        self._whitened = scipy.linalg.solve_triangular(self._lower, values - self._mean, lower=True)

    def predict(self) -> Posterior:
        """Predict every candidate; the prior when nothing was measured."""
        everywhere = numpy.arange(self._points.shape[1])
        cross = self.prior_covariance(self._measured, everywhere)
        explained = scipy.linalg.solve_triangular(self._lower, cross, lower=True) if cross.size else cross
        prior = numpy.array([self.prior_covariance(one, one)[0, 0] for one in everywhere[:, None]])
        variance = prior - numpy.sum(explained**2, axis=0)
        return Posterior(
            mean=self._mean + explained.T @ self._whitened,
            sigma=numpy.sqrt(numpy.maximum(variance, 1e-12 * (self._output_scale + self._symmetry_breaking_scale))),
        )

    def leave_one_out(self, rows: IntArray) -> tuple[FloatArray, Posterior]:
        """See `Surrogate.leave_one_out`; Rasmussen & Williams, equation 5.12."""
        columns = scipy.linalg.solve_triangular(self._lower, numpy.eye(len(self._lower))[:, rows], lower=True)
        values = self._mean + (self._lower @ self._whitened)[rows]
        return values, left_out(values, columns, self._whitened)

    def covariance(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """See `Surrogate.covariance`."""
        explained = [
            scipy.linalg.solve_triangular(self._lower, self.prior_covariance(self._measured, candidates), lower=True)
            for candidates in (rows, columns)
        ]
        posterior: FloatArray = self.prior_covariance(rows, columns) - explained[0].T @ explained[1]
        return posterior

    def prior_covariance(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Of two sets of candidates, shape (rows, columns)."""
        own = self._points[0, rows]
        other = self._points[0, columns]
        covariance = self._symmetry_breaking_scale * self._matern(own, other)
        for sign, image in zip(self._signs, self._points[:, columns], strict=True):
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
