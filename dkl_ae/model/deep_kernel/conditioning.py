"""The posterior of a model whose parameters are fixed: pure linear algebra, without any training.

The symbols are those of Rasmussen & Williams, "Gaussian processes for machine learning", 2006, chapter 2: n
measurements with covariance K and noise D, and L L' = K + D.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy
import torch

from dkl_ae.model.deep_kernel.contradictions import LeftOut, left_out_of
from dkl_ae.model.deep_kernel.kernel import (
    DeepKernelModel,
    covariance,
    prior_variance,
    safe_cholesky,
    variance_fractions,
)
from dkl_ae.model.deep_kernel.patch_coordinates import coordinates_of
from dkl_ae.model.deep_kernel.standardization import Targets
from dkl_ae.model.surrogate import Posterior, VarianceFractions, left_out
from dkl_ae.records import FloatArray, IntArray

_CACHED_NUMBERS = 300_000
_MIN_PIECE = 64


class Conditioned:
    """A model conditioned on measurements, to which more are appended; everything is in the model's units.

    Solving for n measurements costs n^3; appending one costs n^2, and bringing it into the map n for each candidate.

    model: its parameters must not change while this is used.
    coordinates: of every candidate, shape (symmetries, candidates, dimensions).

    Raises torch.linalg.LinAlgError when the covariance cannot be factorised.
    """

    @torch.no_grad()
    def __init__(self, model: DeepKernelModel, coordinates: torch.Tensor, targets: Targets) -> None:
        self._model = model
        self._coordinates = coordinates
        self._latent = model.embedding(coordinates_of(coordinates, targets.candidates))
        """Shape (symmetries, n, latent dimensions), of the measured."""
        pieces = self._pieces(coordinates.shape[1], coordinates.shape[0])
        self._latent_of_all = torch.cat([model.embedding(coordinates[:, part]) for part in pieces], dim=1)
        """Of all candidates, shape (symmetries, candidates, latent dimensions)."""
        noise = targets.known_variance + model.likelihood.second_noise
        covariance_nn = torch.empty((len(noise), len(noise)), dtype=torch.float64, device=noise.device)
        for part in self._pieces(len(noise), len(noise)):
            covariance_nn[part] = covariance(model, self._latent[:, part], self._latent)
        self._factor = safe_cholesky(covariance_nn, noise)
        """L."""
        residual = (targets.values - model.mean_module.constant).unsqueeze(1)
        self._whitened_residual = torch.linalg.solve_triangular(self._factor, residual, upper=False).squeeze(1)
        """L^-1 (y - m)."""
        inverse = torch.linalg.solve_triangular(self._factor, torch.eye(len(noise)).to(self._factor), upper=False)
        self._precision = inverse.square().sum(0)
        """Diagonal of (K + D)^-1."""
        self._weighted_residual = inverse.T @ self._whitened_residual
        """(K + D)^-1 (y - m)."""
        count = coordinates.shape[1]
        self._whitened_cross_covariance = coordinates.new_empty((0, count), dtype=torch.float32)
        """L^-1 times the covariance of measured and all candidates, shape (room, candidates); with room for more rows
        than the map holds. In single precision: it is by far the largest array."""
        self._mean = model.mean_module.constant.repeat(count)
        """Of all candidates, as far as the map holds the measurements."""
        self._variance = prior_variance(model, self._latent_of_all)
        """Likewise."""
        self._mapped = 0
        """How many measurements the map holds."""

    def __len__(self) -> int:
        return len(self._factor)

    @torch.no_grad()
    def append(self, targets: Targets) -> torch.Tensor:
        """Condition on more measurements; returns how far off each was, in standard deviations of what was expected.

        Raises torch.linalg.LinAlgError, and leaves everything as it was, when they cannot be appended.
        """
        model = self._model
        latent = model.embedding(coordinates_of(self._coordinates, targets.candidates))
        noise = targets.known_variance + model.likelihood.second_noise
        # The factor of all n + m measurements is [[L_nn, 0], [L_mn, L_mm]], of which L_nn is that of before.
        l_mn_transposed = torch.linalg.solve_triangular(
            self._factor, covariance(model, self._latent, latent), upper=False
        )
        remaining = covariance(model, latent, latent) - l_mn_transposed.T @ l_mn_transposed
        l_mm = safe_cholesky(remaining, noise)
        residual = targets.values - model.mean_module.constant - self._whitened_residual @ l_mn_transposed
        whitened: torch.Tensor = torch.linalg.solve_triangular(l_mm, residual.unsqueeze(1), upper=False).squeeze(1)
        self._factor = torch.cat(
            [
                torch.cat([self._factor, torch.zeros_like(l_mn_transposed)], dim=1),
                torch.cat([l_mn_transposed.T, l_mm], dim=1),
            ]
        )
        self._whitened_residual = torch.cat([self._whitened_residual, whitened])
        # The new rows of L^-1: those above them have nothing in the new columns.
        above = torch.linalg.solve_triangular(self._factor[: -len(noise), : -len(noise)].T, l_mn_transposed, upper=True)
        own = torch.linalg.solve_triangular(l_mm, torch.eye(len(noise)).to(l_mm), upper=False)
        rows = torch.cat([-own @ above.T, own], dim=1)
        self._precision = torch.nn.functional.pad(self._precision, (0, len(noise))) + rows.square().sum(0)
        self._weighted_residual = torch.nn.functional.pad(self._weighted_residual, (0, len(noise))) + whitened @ rows
        self._latent = torch.cat([self._latent, latent], dim=1)
        return whitened

    @torch.no_grad()
    def map(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance at every candidate, without any noise: the measurements that are new are brought in."""
        done, count = self._mapped, len(self)
        if done == count:
            return self._mean, self._variance
        if count > len(self._whitened_cross_covariance):
            whitened = self._whitened_cross_covariance
            self._whitened_cross_covariance = whitened.new_empty((count + count // 8 + 1, whitened.shape[1]))
            self._whitened_cross_covariance[:done] = whitened[:done]
        latent, residual = self._latent[:, done:], self._whitened_residual[done:]
        for part in self._pieces(len(self._mean), max(latent.shape[0] * latent.shape[1], done)):
            cross = covariance(self._model, latent, self._latent_of_all[:, part])
            cross -= self._factor[done:, :done] @ self._whitened_cross_covariance[:done, part].double()
            new = torch.linalg.solve_triangular(self._factor[done:, done:], cross, upper=False)
            self._whitened_cross_covariance[done:count, part] = new
            self._mean[part] += residual @ new
            self._variance[part] -= new.square().sum(0)
        self._mapped = count
        return self._mean, self._variance

    @torch.no_grad()
    def covariance(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Posterior covariance of two sets of candidates, shape (rows, columns), without any noise."""
        self.map()
        first, second = (torch.as_tensor(part, device=self._factor.device) for part in (rows, columns))
        whitened = self._whitened_cross_covariance[: self._mapped]
        prior = covariance(self._model, self._latent_of_all[:, first], self._latent_of_all[:, second])
        posterior = prior - whitened[:, first].double().T @ whitened[:, second].double()
        result: FloatArray = posterior.cpu().numpy()
        return result

    @torch.no_grad()
    def leave_one_out(self, rows: IntArray, values: FloatArray) -> Posterior:
        """What some measurements, whose values are given, would be predicted to be without each, noise included."""
        index = torch.as_tensor(rows, device=self._factor.device)
        unit = torch.eye(len(self), dtype=torch.float64, device=self._factor.device)[:, index]
        columns = torch.linalg.solve_triangular(self._factor, unit, upper=False)
        return left_out(values, columns.cpu().numpy(), self._whitened_residual.cpu().numpy())

    @torch.no_grad()
    def left_out(self, targets: Targets, doubts: torch.Tensor, outlying: torch.Tensor) -> LeftOut:
        """Every measurement beside what all others let one expect.

        targets: those that this is conditioned on, without doubts; doubts: variances, shape (n,); outlying: see
        `LeftOut`, shape (n,).
        """
        noise = targets.known_variance + self._model.likelihood.second_noise
        prior = prior_variance(self._model, self._latent)
        return left_out_of(self._precision, self._weighted_residual, doubts, outlying, noise, prior)

    @torch.no_grad()
    def if_believed(self, targets: Targets, rows: IntArray) -> torch.Tensor:
        """By how much the mean at every candidate would change if one measurement were believed, which is doubted; of
        each of some, shape (rows, candidates).

        targets: those that this is conditioned on, without doubts.
        """
        mean, _ = self.map()
        candidates = targets.candidates[rows]
        cross = torch.as_tensor(self.covariance(candidates, numpy.arange(len(mean))), device=mean.device)
        places = torch.as_tensor(candidates, device=mean.device)
        own = cross[torch.arange(len(rows), device=mean.device), places]
        noise = targets.known_variance[rows] + self._model.likelihood.second_noise
        changes: torch.Tensor = ((targets.values[rows] - mean[places]) / (own + noise)).unsqueeze(1) * cross
        return changes

    @torch.no_grad()
    def variance_fractions(self) -> VarianceFractions:
        """Of the readings' prior variance over all candidates."""
        return variance_fractions(self._model, self._latent_of_all)

    def move_to(self, coordinates: torch.Tensor) -> None:
        """Go on with the same coordinates on another device, on which the model is already."""
        self._coordinates = coordinates
        for name, value in vars(self).items():
            if isinstance(value, torch.Tensor):
                setattr(self, name, value.to(coordinates.device))

    def _pieces(self, length: int, width: int) -> Iterator[slice]:
        """Slices of a long axis: `width` numbers for each of its elements, as many as stay in the processor's cache. A
        GPU takes more at once."""
        numbers = _CACHED_NUMBERS * (500 if self._coordinates.is_cuda else 1)
        step = max(numbers // max(width, 1), _MIN_PIECE)
        return (slice(start, start + step) for start in range(0, length, step))
