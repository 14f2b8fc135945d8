"""The network that learns features of the coordinates of a patch."""

from __future__ import annotations

import torch

from dkl_ae.settings import KernelInput

HIDDEN_UNITS = 32


LEARNED_FEATURES = 8


INITIAL_WEIGHT = 0.1
"""Deviation of the last layer's weights at the start. At zero their gradient vanishes, and they would stay there."""


class LearnedFeatures(torch.nn.Module):
    """latent = (base, network(base)), or one of both.

    The network's answer is averaged over the images of a patch, so that images keep their distances and the kernel
    stays a kernel. With a last layer of zero the deep kernel is the Gaussian process on the base.

    dimensions: of the coordinates of a patch.
    position_dimensions: of the position that follows them, which goes on as it is.
    """

    def __init__(
        self,
        dimensions: int,
        generator: torch.Generator,
        kernel_input: KernelInput = KernelInput.COMBINED,
        position_dimensions: int = 0,
    ) -> None:
        super().__init__()
        self.position_dimensions = position_dimensions
        self._dimensions = dimensions
        self._kernel_input = kernel_input
        self.first = torch.nn.Parameter(
            torch.randn(dimensions, HIDDEN_UNITS, generator=generator, dtype=torch.float64) * (2 / dimensions**0.5)
        )
        self.bias = torch.nn.Parameter(torch.randn(HIDDEN_UNITS, generator=generator, dtype=torch.float64) * 0.5)
        self.last = torch.nn.Parameter(
            torch.randn(HIDDEN_UNITS, LEARNED_FEATURES, generator=generator, dtype=torch.float64) * INITIAL_WEIGHT
        )

    def forward(self, base: torch.Tensor) -> torch.Tensor:
        """Shape (symmetries, n, dimensions + position dimensions) -> (symmetries, n, latent dimensions)."""
        patches, positions = base[..., : self._dimensions], base[..., self._dimensions :]
        if self._kernel_input is KernelInput.PATCHES:
            return base
        learned = (torch.tanh(patches @ self.first + self.bias).mean(0) @ self.last).expand(len(base), -1, -1)
        if self._kernel_input is KernelInput.NETWORK:
            return torch.cat([learned, positions], dim=-1)
        return torch.cat([patches, learned, positions], dim=-1)

    def learned_share(self, latent: torch.Tensor) -> float:
        """Of the variance of latent points, without their positions, that of their learned features."""
        variances = latent[0].var(0)
        learned = 0 if self._kernel_input is KernelInput.PATCHES else LEARNED_FEATURES
        return float(variances[len(variances) - learned :].sum() / variances.sum())
