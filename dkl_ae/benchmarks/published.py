"""The model of the source paper, as its public tool has it, to compare with.

Roccapriore et al., ACS Nano 16 (2022) 7605, used AtomAI's `dklGPR` (Ziatdinov et al., Nature Machine Intelligence
4 (2022) 1101): a network of 1000, 500, 50 and 2 units and a Gaussian process whose kernel is interpolated on a grid of
50 x 50 (KISS-GP), trained from scratch after every measurement by 200 cycles of Adam. Written here in gpytorch from
that description. The interpolation takes most of its time and makes it learn no better: its times are measured with it,
what it learns without.
"""

from __future__ import annotations

import itertools
import time
import warnings

import gpytorch
import numpy.typing
import torch

from dkl_ae.model import Posterior
from dkl_ae.records import FloatArray, IntArray

CYCLES = 200
LEARNING_RATE = 0.01
GRID = 50


class _Model(gpytorch.models.ExactGP):  # type: ignore[misc]
    def __init__(self, patches: torch.Tensor, targets: torch.Tensor, interpolated: bool) -> None:
        super().__init__(patches, targets, gpytorch.likelihoods.GaussianLikelihood())
        sizes = (patches.shape[1], 1000, 500, 50)
        layers: list[torch.nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
        self.network = torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], 2))
        self.to_grid = gpytorch.utils.grid.ScaleToBounds(-1.0, 1.0)
        self.mean_module = gpytorch.means.ConstantMean()
        kernel = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel(ard_num_dims=2))
        if interpolated:
            kernel = gpytorch.kernels.GridInterpolationKernel(kernel, num_dims=2, grid_size=GRID)
        self.covar_module = kernel

    def forward(self, patches: torch.Tensor) -> gpytorch.distributions.MultivariateNormal:
        latent = self.to_grid(self.network(patches))
        return gpytorch.distributions.MultivariateNormal(self.mean_module(latent), self.covar_module(latent))


class AtomAIDKL:
    """One fit from scratch, and the map.

    features: shape (candidates, pixels).
    device: a torch device.
    interpolated: False for the exact kernel.
    """

    def __init__(
        self, features: numpy.typing.NDArray[numpy.float32], device: str = "cpu", *, interpolated: bool = True
    ) -> None:
        self._device = torch.device(device)
        self._interpolated = interpolated
        # Its interpolation needs double precision; without it, single learns as well in half the time.
        self._dtype = torch.float64 if interpolated else torch.float32
        self._centre, self._scale = 0.0, 1.0
        self._features = torch.as_tensor(features, dtype=self._dtype, device=self._device)
        self._model: _Model | None = None

    def fit(self, candidates: IntArray, values: FloatArray, cycles: int = CYCLES) -> float:
        """Train for some cycles; the seconds that each took, without the first, which sets everything up."""
        self._centre, self._scale = float(values.mean()), float(values.std()) or 1.0
        standardised = (values - self._centre) / self._scale
        targets = torch.as_tensor(standardised, dtype=self._dtype, device=self._device)
        patches = self._features[torch.as_tensor(candidates, device=self._device)]
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self._model = model = _Model(patches, targets, self._interpolated).to(self._device, self._dtype)
        objective = gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)
        optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
        model.train()
        start = 0.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of linear_operator, about torch
            for cycle in range(cycles + 1):
                if cycle == 1:
                    start = self._now()
                optimiser.zero_grad()
                loss = -objective(model(patches), targets)
                loss.backward()
                optimiser.step()
        return (self._now() - start) / cycles

    def predict(self) -> Posterior:
        """Predict every candidate."""
        assert self._model is not None, "fit it first"
        self._model.eval()
        with torch.no_grad(), gpytorch.settings.fast_pred_var(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            distribution = self._model.likelihood(self._model(self._features))
            sigma = distribution.variance.clamp_min(1e-12).sqrt()
        return Posterior(
            mean=distribution.mean.cpu().numpy() * self._scale + self._centre,
            sigma=sigma.cpu().numpy() * self._scale,
        )

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()
