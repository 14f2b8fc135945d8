"""The exact posterior of a model whose parameters are fixed.

The symbols are those of Rasmussen & Williams, "Gaussian processes for machine learning", 2006, chapter 2: n
measurements with covariance K and noise D, and L L' = K + D.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from dkl_ae.model.deep_kernel.conditioning import Conditioned
from dkl_ae.model.deep_kernel.contradictions import LeftOut, left_out_of
from dkl_ae.model.deep_kernel.fixed_kernel import fixed_covariance
from dkl_ae.model.deep_kernel.kernel import DeepKernelModel, prior_variance, safe_cholesky
from dkl_ae.model.deep_kernel.patch_coordinates import coordinates_of
from dkl_ae.model.deep_kernel.standardization import Targets
from dkl_ae.model.surrogate import Posterior, left_out
from dkl_ae.records import FloatArray, IntArray


class ExactlyConditioned(Conditioned):
    """See `Conditioned`.

    Solving for n measurements costs n^3; appending one costs n^2, and bringing it into the map n for each candidate.

    Raises torch.linalg.LinAlgError when the covariance cannot be factorised.
    """

    @torch.no_grad()
    def __init__(self, model: DeepKernelModel, coordinates: torch.Tensor, targets: Targets) -> None:
        super().__init__(model, coordinates)
        self._latent = self._latent_of(targets)
        """Of the measured."""
        noise = self._noise_of(targets)
        self._factor = safe_cholesky(fixed_covariance(model, self._latent, self._latent), noise)
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
        self._variance = self._prior_of_all
        """Likewise."""
        self._mapped = 0
        """How many measurements the map holds."""

    def __len__(self) -> int:
        return len(self._factor)

    @torch.no_grad()
    def append(self, targets: Targets) -> torch.Tensor:
        """See `Conditioned.append`."""
        model = self._model
        latent, noise = self._latent_of(targets), self._noise_of(targets)
        # The factor of all n + m measurements is [[L_nn, 0], [L_mn, L_mm]], of which L_nn is that of before.
        l_mn_transposed = torch.linalg.solve_triangular(
            self._factor, fixed_covariance(model, self._latent, latent), upper=False
        )
        remaining = fixed_covariance(model, latent, latent) - l_mn_transposed.T @ l_mn_transposed
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
        """See `Conditioned.map`."""
        done, count = self._mapped, len(self)
        if done == count:
            return self._mean, self._variance
        if count > len(self._whitened_cross_covariance):
            whitened = self._whitened_cross_covariance
            self._whitened_cross_covariance = whitened.new_empty((count + count // 8 + 1, whitened.shape[1]))
            self._whitened_cross_covariance[:done] = whitened[:done]
        latent, residual = self._latent[:, done:], self._whitened_residual[done:]
        # A GPU's memory may run out in between: then all of it is done again.
        mean, variance = self._mean.clone(), self._variance.clone()
        for part in self._pieces(len(self._mean), max(latent.shape[1], done)):
            cross = fixed_covariance(self._model, latent, self._latent_at(part))
            cross -= self._factor[done:, :done] @ self._whitened_cross_covariance[:done, part].double()
            new = torch.linalg.solve_triangular(self._factor[done:, done:], cross, upper=False)
            self._whitened_cross_covariance[done:count, part] = new
            mean[part] += residual @ new
            variance[part] -= new.square().sum(0)
        self._mean, self._variance, self._mapped = mean, variance, count
        return self._mean, self._variance

    @torch.no_grad()
    def leave_one_out(self, rows: IntArray, values: FloatArray) -> Posterior:
        """See `Conditioned.leave_one_out`."""
        index = torch.as_tensor(rows, device=self._factor.device)
        unit = torch.eye(len(self), dtype=torch.float64, device=self._factor.device)[:, index]
        columns = torch.linalg.solve_triangular(self._factor, unit, upper=False)
        return left_out(values, columns.cpu().numpy(), self._whitened_residual.cpu().numpy())

    @torch.no_grad()
    def left_out(self, targets: Targets, doubts: torch.Tensor, outlying: torch.Tensor) -> LeftOut:
        """See `Conditioned.left_out`."""
        prior = prior_variance(self._model, self._latent)
        noise = self._noise_of(targets)
        return left_out_of(self._precision, self._weighted_residual, doubts, outlying, noise, prior)

    def _explained(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        whitened = self._whitened_cross_covariance[: self._mapped]
        return whitened[:, rows].double().T @ whitened[:, columns].double()


@torch.no_grad()
def exactly_left_out(
    model: DeepKernelModel, coordinates: torch.Tensor, targets: Targets, outlying: torch.Tensor
) -> Callable[[torch.Tensor], LeftOut]:
    """Every measurement beside what all others let one expect, as a function of the variances by which each is doubted.

    targets: without doubts.
    outlying: see `LeftOut`.
    """
    latent = model.embedding(coordinates_of(coordinates, targets.candidates))
    matrix = fixed_covariance(model, latent, latent)
    noise = (targets.known_variance + model.likelihood.second_noise).detach()
    prior = prior_variance(model, latent)
    residual = (targets.values - model.mean_module.constant).unsqueeze(1).detach()

    def left_out_with(doubts: torch.Tensor) -> LeftOut:
        inverse = torch.cholesky_inverse(safe_cholesky(matrix, noise + doubts))
        return left_out_of(inverse.diagonal(), (inverse @ residual).squeeze(1), doubts, outlying, noise, prior)

    return left_out_with
