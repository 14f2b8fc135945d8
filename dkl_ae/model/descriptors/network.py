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
    """

    def __init__(
        self, dimensions: int, generator: torch.Generator, kernel_input: KernelInput = KernelInput.COMBINED
    ) -> None:
        super().__init__()
        self._kernel_input = kernel_input
        self.first = torch.nn.Parameter(
            torch.randn(dimensions, HIDDEN_UNITS, generator=generator, dtype=torch.float64) * (2 / dimensions**0.5)
        )
        self.bias = torch.nn.Parameter(torch.randn(HIDDEN_UNITS, generator=generator, dtype=torch.float64) * 0.5)
        self.last = torch.nn.Parameter(
            torch.randn(HIDDEN_UNITS, LEARNED_FEATURES, generator=generator, dtype=torch.float64) * INITIAL_WEIGHT
        )

    def forward(self, base: torch.Tensor) -> torch.Tensor:
        """Shape (symmetries, n, dimensions) -> (symmetries, n, latent dimensions)."""
        if self._kernel_input is KernelInput.PATCHES:
            return base
        learned = torch.tanh(base @ self.first + self.bias).mean(0) @ self.last
        if self._kernel_input is KernelInput.NETWORK:
            return learned.expand(len(base), -1, -1)
        return torch.cat([base, learned.expand(len(base), -1, -1)], dim=-1)

    def learned_share(self, latent: torch.Tensor) -> float:
        """Of the variance of latent points, that of their learned features."""
        variances = latent[0].var(0)
        learned = 0 if self._kernel_input is KernelInput.PATCHES else LEARNED_FEATURES
        return float(variances[len(variances) - learned :].sum() / variances.sum())
