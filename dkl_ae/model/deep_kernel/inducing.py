"""The approximate posterior of a model whose parameters are fixed, of more measurements than can be solved for exactly.

What the measurements say goes through inducing points, some of their places: the covariance of two measurements is that
of what both tell of these points, and what these do not tell of a measurement counts as its own noise ("fully
independent training conditional": Snelson & Ghahramani, "Sparse Gaussian processes using pseudo-inputs", NeurIPS 2005;
Quinonero-Candela & Rasmussen, "A unifying view of sparse approximate Gaussian process regression", JMLR 6 (2005) 1939).
With as many inducing points as measurements it is exact.

With k the covariance of a place and the inducing points, and L L' theirs among each other, v = L^-1 k. With V of all
measurements and the diagonal R of their noise, B = 1 + V R^-1 V' is the precision of what is known of the points.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy
import torch

from dkl_ae.model.cost import MOST_INDUCING
from dkl_ae.model.deep_kernel.conditioning import Conditioned
from dkl_ae.model.deep_kernel.contradictions import LeftOut, left_out_of
from dkl_ae.model.deep_kernel.fixed_kernel import fixed_covariance
from dkl_ae.model.deep_kernel.kernel import DeepKernelModel, prior_variance
from dkl_ae.model.deep_kernel.patch_coordinates import coordinates_of
from dkl_ae.model.deep_kernel.standardization import Targets
from dkl_ae.model.surrogate import Posterior
from dkl_ae.records import FloatArray, IntArray

_NOTHING_LEFT = 0.01
"""Where the inducing points leave less of the variance untold than this share of the noise, no more are needed."""
_DRAWN_AT_ONCE = 20
"""Inducing points whose covariances are computed together."""


class SparselyConditioned(Conditioned):
    """See `Conditioned`.

    Solving for n measurements costs n, and appending one nothing that grows with n.

    most: of the inducing points.

    Raises torch.linalg.LinAlgError when the covariance cannot be factorised.
    """

    @torch.no_grad()
    def __init__(
        self, model: DeepKernelModel, coordinates: torch.Tensor, targets: Targets, most: int = MOST_INDUCING
    ) -> None:
        super().__init__(model, coordinates)
        latent, noise = self._latent_of(targets), self._noise_of(targets)
        chosen, self._whitened = inducing_points(model, latent, most)
        """V, shape (inducing points, n)."""
        self._points = latent[:, chosen]
        self._factor = self._whitened[:, chosen].T.contiguous()
        """L."""
        self._prior = prior_variance(model, latent)
        self._own_variance = noise + _untold(self._prior, self._whitened)
        """The diagonal of R."""
        self._residual = targets.values - model.mean_module.constant
        weighted = self._whitened / self._own_variance
        self._precision_of_points = weighted @ self._whitened.T
        self._precision_of_points.diagonal().add_(1.0)
        """B."""
        self._told = weighted @ self._residual
        """V R^-1 (y - m)."""
        self._whitened_of_all: torch.Tensor | None = None
        """v of all candidates, shape (inducing points, candidates), in single precision; None before the first map."""
        self._variance: torch.Tensor | None = None
        """Likewise, as far as the map holds the measurements."""
        self._unmapped: list[torch.Tensor] = []
        """By what each measurement that the map does not hold yet lessens the variance: its square at v is that."""

    def __len__(self) -> int:
        return len(self._residual)

    @torch.no_grad()
    def append(self, targets: Targets) -> torch.Tensor:
        """See `Conditioned.append`."""
        model = self._model
        latent, noise = self._latent_of(targets), self._noise_of(targets)
        whitened = torch.linalg.solve_triangular(
            self._factor, fixed_covariance(model, self._points, latent), upper=False
        )
        prior = prior_variance(model, latent)
        own_variance = noise + _untold(prior, whitened)
        residual = targets.values - model.mean_module.constant
        precision, told = self._precision_of_points.clone(), self._told
        lessening, errors = [], []
        for v, variance, value in zip(whitened.T, own_variance, residual, strict=True):
            solved = torch.cholesky_solve(torch.stack([v, told], dim=1), torch.linalg.cholesky(precision))
            expected = variance + v @ solved[:, 0]
            errors.append((value - v @ solved[:, 1]) / expected.sqrt())
            lessening.append(solved[:, 0] / expected.sqrt())
            precision += torch.outer(v, v) / variance
            told = told + v * (value / variance)
        self._precision_of_points, self._told = precision, told
        if self._whitened_of_all is not None:
            self._unmapped += lessening
        self._whitened = torch.cat([self._whitened, whitened], dim=1)
        self._prior = torch.cat([self._prior, prior])
        self._own_variance = torch.cat([self._own_variance, own_variance])
        self._residual = torch.cat([self._residual, residual])
        return torch.stack(errors)

    @torch.no_grad()
    def map(self) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Conditioned.map`."""
        if self._whitened_of_all is None or self._variance is None:
            self._whitened_of_all, self._variance = self._map_anew()
        elif self._unmapped:
            lessening = torch.stack(self._unmapped).float() @ self._whitened_of_all
            self._variance = self._variance - lessening.double().square().sum(0)
            self._unmapped = []
        solved = self._solved(self._told.unsqueeze(1)).squeeze(1)
        mean = (solved.float() @ self._whitened_of_all).double() + self._model.mean_module.constant
        return mean, self._variance

    @torch.no_grad()
    def leave_one_out(self, rows: IntArray, values: FloatArray) -> Posterior:
        """See `Conditioned.leave_one_out`."""
        precision, weighted = self._precisions()
        chosen_precision, chosen = precision.cpu().numpy()[rows], weighted.cpu().numpy()[rows]
        return Posterior(mean=values - chosen / chosen_precision, sigma=1 / numpy.sqrt(chosen_precision))

    @torch.no_grad()
    def left_out(self, targets: Targets, doubts: torch.Tensor, outlying: torch.Tensor) -> LeftOut:
        """See `Conditioned.left_out`."""
        return left_out_of(*self._precisions(), doubts, outlying, self._noise_of(targets), self._prior)

    def _precisions(self) -> tuple[torch.Tensor, torch.Tensor]:
        return _precisions(self._whitened, self._own_variance, self._residual, self._precision_of_points, self._told)

    def _map_anew(self) -> tuple[torch.Tensor, torch.Tensor]:
        """v of all candidates, and their variance after all measurements."""
        count = self._coordinates.shape[1]
        whitened_of_all = self._coordinates.new_empty((len(self._factor), count), dtype=torch.float32)
        variance = self._prior_of_all.clone()
        of_points = torch.linalg.cholesky(self._precision_of_points)
        for part in self._pieces(count, len(self._factor)):
            cross = fixed_covariance(self._model, self._points, self._latent_at(part))
            whitened = torch.linalg.solve_triangular(self._factor, cross, upper=False)
            known = torch.linalg.solve_triangular(of_points, whitened, upper=False)
            variance[part] += known.square().sum(0) - whitened.square().sum(0)
            whitened_of_all[:, part] = whitened
        return whitened_of_all, variance

    def _solved(self, right: torch.Tensor) -> torch.Tensor:
        """B^-1 times something."""
        return torch.cholesky_solve(right, torch.linalg.cholesky(self._precision_of_points))

    def _explained(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        assert self._whitened_of_all is not None
        first, second = self._whitened_of_all[:, rows].double(), self._whitened_of_all[:, columns].double()
        return first.T @ second - first.T @ self._solved(second)


@torch.no_grad()
def sparsely_left_out(
    model: DeepKernelModel, coordinates: torch.Tensor, targets: Targets, outlying: torch.Tensor
) -> Callable[[torch.Tensor], LeftOut]:
    """See `dkl_ae.model.deep_kernel.exact.exactly_left_out`."""
    latent = model.embedding(coordinates_of(coordinates, targets.candidates))
    _, whitened = inducing_points(model, latent, MOST_INDUCING)
    noise = targets.known_variance + model.likelihood.second_noise
    prior = prior_variance(model, latent)
    own_variance = noise + _untold(prior, whitened)
    residual = targets.values - model.mean_module.constant

    @torch.no_grad()
    def left_out_with(doubts: torch.Tensor) -> LeftOut:
        variance = own_variance + doubts
        weighted = whitened / variance
        precision_of_points = weighted @ whitened.T
        precision_of_points.diagonal().add_(1.0)
        precisions = _precisions(whitened, variance, residual, precision_of_points, weighted @ residual)
        return left_out_of(*precisions, doubts, outlying, noise, prior)

    return left_out_with


@torch.no_grad()
def inducing_points(model: DeepKernelModel, latent: torch.Tensor, most: int) -> tuple[list[int], torch.Tensor]:
    """Which of some latent points are taken: drawn at random, a few at a time, in proportion to the variance that those
    before do not tell (Chen, Epperly, Tropp & Webber, "Randomly pivoted Cholesky", Communications on Pure and Applied
    Mathematics 78 (2025) 995). Returns them, and v of every point, shape (chosen, n).

    latent: shape (symmetries, n, latent dimensions).
    """
    untold = prior_variance(model, latent)
    enough = max(_NOTHING_LEFT * model.likelihood.second_noise.item(), 1e-9 * untold.max().item())
    whitened = untold.new_zeros((min(most, len(untold)), len(untold)))
    random = numpy.random.default_rng(0)
    chosen: list[int] = []
    while len(chosen) < len(whitened):
        weights = torch.where(untold < enough, 0.0, untold).cpu().numpy()
        drawn = min(_DRAWN_AT_ONCE, len(whitened) - len(chosen), int(numpy.count_nonzero(weights)))
        if not drawn:
            break
        pivots = random.choice(len(weights), drawn, replace=False, p=weights / weights.sum())
        before = len(chosen)
        rows = fixed_covariance(model, latent[:, torch.as_tensor(pivots, device=latent.device)], latent)
        rows -= whitened[:before, pivots].T @ whitened[:before]
        for pivot, row in zip(pivots.tolist(), rows, strict=True):
            if untold[pivot] < enough:
                continue  # those drawn with it tell it
            among = whitened[before : len(chosen)]
            new = (row - among[:, pivot] @ among) / untold[pivot].sqrt()
            # Those before lie on the points: nothing but rounding is left there.
            new[chosen] = 0.0
            whitened[len(chosen)] = new
            untold -= new.square()
            untold[pivot] = 0.0
            chosen.append(pivot)
    return chosen, whitened[: len(chosen)]


def _untold(prior: torch.Tensor, whitened: torch.Tensor) -> torch.Tensor:
    """Variance of places that the inducing points do not tell."""
    return (prior - whitened.square().sum(0)).clamp_min(0.0)


def _precisions(
    whitened: torch.Tensor,
    own_variance: torch.Tensor,
    residual: torch.Tensor,
    precision_of_points: torch.Tensor,
    told: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The diagonal of the inverse of the measurements' covariance, and that inverse times their residuals, by the
    matrix inversion lemma: R^-1 - R^-1 V' B^-1 V R^-1."""
    factor = torch.linalg.cholesky(precision_of_points)
    known = torch.linalg.solve_triangular(factor, whitened, upper=False)
    precision = 1 / own_variance - known.square().sum(0) / own_variance.square()
    expected = torch.cholesky_solve(told.unsqueeze(1), factor).squeeze(1) @ whitened
    return precision, (residual - expected) / own_variance
