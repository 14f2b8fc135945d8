"""Measurements in the model's units: of zero mean and unit variance."""

from __future__ import annotations

import dataclasses

import numpy
import torch

from dkl_ae.model.surrogate import Posterior
from dkl_ae.records import FloatArray, IntArray

MIN_NOISE = 1e-6
"""Least variance of the noise in units of the target's variance, beside the learned one."""


@dataclasses.dataclass(frozen=True, eq=False)
class Targets:
    """What was measured, in the model's units."""

    candidates: IntArray
    values: torch.Tensor
    known_variance: torch.Tensor
    """Of each value, at least `MIN_NOISE`; the model learns what there is beside."""

    def __len__(self) -> int:
        return len(self.candidates)

    def part(self, rows: IntArray | slice) -> Targets:
        return Targets(self.candidates[rows], self.values[rows], self.known_variance[rows])

    def to(self, device: torch.device) -> Targets:
        return dataclasses.replace(self, values=self.values.to(device), known_variance=self.known_variance.to(device))

    def extend(self, others: Targets) -> bool:
        """Whether these are the others, to the bit, and some more."""
        first = self.part(slice(len(others)))
        return (
            len(self) > len(others)
            and bool((first.candidates == others.candidates).all())
            and torch.equal(first.values, others.values)
            and torch.equal(first.known_variance, others.known_variance)
        )


@dataclasses.dataclass(frozen=True)
class Standardization:
    """Readings = centre + scale * targets."""

    centre: float = 0.0
    scale: float = 1.0

    @classmethod
    def of(cls, values: FloatArray, *, centred: bool) -> Standardization:
        """centred: whether the mean is taken off; that of a vector's component is zero by symmetry."""
        centre = float(values.mean()) if centred else 0.0
        deviation = float(numpy.sqrt(numpy.mean((values - centre) ** 2)))
        # Equal values may differ by rounding, which is no scale to measure anything by.
        return cls(centre, deviation if deviation > 1e-12 * float(numpy.abs(values).max()) else 1.0)

    def targets(
        self, candidates: IntArray, values: FloatArray, sigmas: FloatArray, device: torch.device | None = None
    ) -> Targets:
        """Readings with their errors, one standard deviation, in the model's units."""
        return Targets(
            numpy.array(candidates),
            torch.as_tensor((values - self.centre) / self.scale, dtype=torch.float64, device=device),
            torch.as_tensor((sigmas / self.scale) ** 2 + MIN_NOISE, dtype=torch.float64, device=device),
        )

    def readings(self, targets: Targets) -> tuple[FloatArray, FloatArray]:
        """Values and sigmas of targets in the reading's unit."""
        known = (targets.known_variance - MIN_NOISE).clamp_min(0).sqrt()
        return targets.values.cpu().numpy() * self.scale + self.centre, known.cpu().numpy() * self.scale

    def posterior(self, mean: FloatArray, sigma: FloatArray) -> Posterior:
        """What is believed in the model's units, in the reading's."""
        return Posterior(mean * self.scale + self.centre, sigma * self.scale)
