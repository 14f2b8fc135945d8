"""How a patch becomes the point in latent space on which the kernel acts: a fixed base and a learned residual."""

from __future__ import annotations

import numpy
import numpy.typing
import torch

COMPONENTS = 16
"""Principal components kept of the windowed patches."""

HIDDEN_UNITS = 32


def structured_base(
    features: numpy.typing.NDArray[numpy.float32], patch_size: int
) -> numpy.typing.NDArray[numpy.float64]:
    """Windowed patches on their principal components, shape (candidates, components), of mean squared norm 1.

    A Gaussian window weighs the patch's centre more than its rim, so distances in this space are distances of the
    local structure.

    features: shape (candidates, patch_size ** 2).
    """
    offset = numpy.arange(patch_size) - patch_size // 2
    window = numpy.exp(-0.5 * (offset / (patch_size / 5)) ** 2)
    windowed = features.astype(numpy.float64) * numpy.outer(window, window).ravel()
    windowed -= windowed.mean(axis=0)
    _, directions = numpy.linalg.eigh(windowed.T @ windowed)
    base: numpy.typing.NDArray[numpy.float64] = windowed @ directions[:, : -COMPONENTS - 1 : -1]
    norm = numpy.sqrt(numpy.mean(numpy.sum(base**2, axis=1)))
    return base / norm if norm > 0 else base


class ResidualNetwork(torch.nn.Module):
    """latent = base + network(base).

    The last layer starts at zero: an untrained network is the identity, and the deep kernel starts as the Gaussian
    process on the base.
    """

    def __init__(self, dimensions: int, generator: torch.Generator) -> None:
        super().__init__()
        self.first = torch.nn.Parameter(
            torch.randn(dimensions, HIDDEN_UNITS, generator=generator, dtype=torch.float64) * (2 / dimensions**0.5)
        )
        self.bias = torch.nn.Parameter(torch.randn(HIDDEN_UNITS, generator=generator, dtype=torch.float64) * 0.5)
        self.last = torch.nn.Parameter(torch.zeros(HIDDEN_UNITS, dimensions, dtype=torch.float64))

    def forward(self, base: torch.Tensor) -> torch.Tensor:
        """Shape (n, dimensions) -> (n, dimensions)."""
        return base + torch.tanh(base @ self.first + self.bias) @ self.last
