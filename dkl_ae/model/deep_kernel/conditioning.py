"""What the exact and the approximate posterior of a model whose parameters are fixed have in common.

Both are pure linear algebra, without any training.
"""

from __future__ import annotations

import abc
import copy
from collections.abc import Iterator

import numpy
import torch

from dkl_ae.model.deep_kernel.contradictions import LeftOut
from dkl_ae.model.deep_kernel.fixed_kernel import fixed_covariance
from dkl_ae.model.deep_kernel.kernel import DeepKernelModel, prior_variance, variance_fractions
from dkl_ae.model.deep_kernel.patch_coordinates import coordinates_of
from dkl_ae.model.deep_kernel.standardization import Targets
from dkl_ae.model.descriptors.network import HIDDEN_UNITS
from dkl_ae.model.surrogate import Posterior, VarianceFractions
from dkl_ae.records import FloatArray, IntArray

_CACHED_NUMBERS = 120_000
_MIN_PIECE = 64


class Conditioned(abc.ABC):
    """A model conditioned on measurements, to which more are appended; everything is in the model's units.

    model: its parameters must not change while this is used.
    coordinates: of every candidate, shape (symmetries, candidates, dimensions).
    """

    def __init__(self, model: DeepKernelModel, coordinates: torch.Tensor) -> None:
        self._model = model
        self._coordinates = coordinates
        symmetries, count, _ = coordinates.shape
        embedding = copy.deepcopy(model.embedding).float()
        parts = [embedding(coordinates[:, part].float()) for part in self._pieces(count, symmetries * HIDDEN_UNITS)]
        self._latent_of_all = torch.cat(parts, dim=1)
        """Of all candidates, shape (symmetries, candidates, latent dimensions). In single precision: a place is moved
        by a rounding error, and what is said of it is exact."""
        self._prior_of_all = torch.cat([prior_variance(model, latent.double()) for latent in parts])
        """Variance at every candidate before anything was measured."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """How many measurements it is conditioned on."""

    @abc.abstractmethod
    def append(self, targets: Targets) -> torch.Tensor:
        """Condition on more measurements; returns how far off each was, in standard deviations of what was expected.

        Raises torch.linalg.LinAlgError, and leaves everything as it was, when they cannot be appended.
        """

    @abc.abstractmethod
    def map(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance at every candidate, without any noise: the measurements that are new are brought in."""

    @abc.abstractmethod
    def leave_one_out(self, rows: IntArray, values: FloatArray) -> Posterior:
        """What some measurements, whose values are given, would be predicted to be without each, noise included."""

    @abc.abstractmethod
    def left_out(self, targets: Targets, doubts: torch.Tensor, outlying: torch.Tensor) -> LeftOut:
        """Every measurement beside what all others let one expect.

        targets: those that this is conditioned on, without doubts; doubts: variances, shape (n,); outlying: see
        `LeftOut`, shape (n,).
        """

    @torch.no_grad()
    def covariance(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Posterior covariance of two sets of candidates, shape (rows, columns), without any noise."""
        self.map()
        first, second = (torch.as_tensor(part, device=self._coordinates.device) for part in (rows, columns))
        prior = torch.cat(
            [
                fixed_covariance(self._model, self._latent_at(first), self._latent_at(second[part]))
                for part in self._pieces(len(second), len(first))
            ],
            dim=1,
        )
        result: FloatArray = (prior - self._explained(first, second)).cpu().numpy()
        return result

    @abc.abstractmethod
    def _explained(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """The part of the prior covariance of two sets of candidates that the measurements explain; after `map`."""

    @torch.no_grad()
    def if_believed(self, targets: Targets, rows: IntArray) -> torch.Tensor:
        """By how much the mean at every candidate would change if one measurement were believed, which is doubted; of
        each of some of them, shape (rows, candidates).

        targets: without doubts.
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

    def _latent_at(self, candidates: torch.Tensor | slice) -> torch.Tensor:
        """Shape (symmetries, n, latent dimensions)."""
        return self._latent_of_all[:, candidates].double()

    def _latent_of(self, targets: Targets) -> torch.Tensor:
        """Shape (symmetries, n, latent dimensions)."""
        latent: torch.Tensor = self._model.embedding(coordinates_of(self._coordinates, targets.candidates))
        return latent

    def _noise_of(self, targets: Targets) -> torch.Tensor:
        """Variance of each measurement, known and learned."""
        noise: torch.Tensor = targets.known_variance + self._model.likelihood.second_noise
        return noise

    def _pieces(self, length: int, width: int) -> Iterator[slice]:
        """Slices of a long axis: `width` numbers for each of its elements, as many as stay in the processor's cache. A
        GPU takes more at once."""
        numbers = _CACHED_NUMBERS * (1000 if self._coordinates.is_cuda else 1)
        step = max(numbers // max(width, 1), _MIN_PIECE)
        return (slice(start, start + step) for start in range(0, length, step))
