"""The deep-kernel Gaussian process: a network and a kernel trained together on the marginal likelihood.

Wilson, Hu, Salakhutdinov & Xing, "Deep kernel learning", AISTATS 2016. gpytorch defines the model.
"""

from __future__ import annotations

import contextlib
import copy
import math
import typing
from collections.abc import Iterator

import gpytorch
import numpy
import numpy.typing
import torch

from dkl_ae.embedding import ResidualNetwork, structured_base
from dkl_ae.surrogate import Posterior
from dkl_ae.survey import FloatArray, IntArray

LEARNING_RATE = 0.05
CYCLES_COLD = 100
CYCLES_WARM = 12
"""Most optimiser cycles of a fit from scratch, and of one that goes on from the last."""
CYCLES_BETWEEN_COLD_FITS = 20
"""A single warm-started deep kernel drifts: a fit starts afresh after this many."""
CONVERGED = 1e-3
"""A fit ends when the loss per point fell less than this in five cycles."""
WEIGHT_PRECISION = 10.0
"""Precision of the Gaussian prior on the network's weights: with less the network overfits few points."""
LEAST_NOISE = 1e-4
"""Least variance of the noise in units of the target's variance; less makes the Cholesky factor fail."""


class DeepKernelModel(gpytorch.models.ExactGP):  # type: ignore[misc]
    """Constant mean; covariance of the embedding: Matern 5/2 plus linear.

    The linear part is a trend, and it makes the prior variance of a patch grow with its distance from the mean patch:
    the rare structures of a specimen are the uncertain ones, and are looked at.
    """

    def __init__(
        self, embedding: torch.nn.Module, likelihood: gpytorch.likelihoods.FixedNoiseGaussianLikelihood
    ) -> None:
        super().__init__(None, None, likelihood)
        self.embedding = embedding
        self.mean_module = gpytorch.means.ConstantMean()
        self.local_kernel = gpytorch.kernels.ScaleKernel(
            gpytorch.kernels.MaternKernel(nu=2.5, lengthscale_prior=gpytorch.priors.GammaPrior(3.0, 6.0)),
            outputscale_prior=gpytorch.priors.GammaPrior(2.0, 1.0),
        )
        self.trend_kernel = gpytorch.kernels.LinearKernel(variance_prior=gpytorch.priors.GammaPrior(2.0, 10.0))
        self.covar_module = self.local_kernel + self.trend_kernel
        self.to(torch.float64)
        self.local_kernel.outputscale = 1.0
        self.local_kernel.base_kernel.lengthscale = 0.5
        self.trend_kernel.variance = 0.1

    def forward(self, base: torch.Tensor) -> gpytorch.distributions.MultivariateNormal:
        latent = self.embedding(base)
        return gpytorch.distributions.MultivariateNormal(self.mean_module(latent), self.covar_module(latent))


class DeepKernel:
    """Learns from measurements and predicts every candidate. See `dkl_ae.surrogate.Surrogate`.

    The target is standardised; the noise of each measurement is its known variance plus a learned one. A fit goes on
    from the last one until it converges. Everything is computed in float64, on one thread on the CPU: the matrices
    are small.

    features: shape (candidates, patch_size ** 2).
    device: "cpu", "gpu" or "auto", which takes the GPU when there is one.

    Raises ValueError when a GPU is asked for and there is none.
    """

    def __init__(
        self,
        features: numpy.typing.NDArray[numpy.float32],
        *,
        patch_size: int,
        seed: int,
        device: str = "auto",
    ) -> None:
        self._base = torch.as_tensor(structured_base(features, patch_size))
        self._seed = seed
        self._fits = 0
        self._notices: list[str] = []
        self._centre, self._scale = 0.0, 1.0
        self._model = self._fresh_model()
        self._solved: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None
        """Latent training points, Cholesky factor of their covariance, and (K + D)^-1 (y - m)."""
        self._move(_choose_device(device))

    @property
    def notices(self) -> tuple[str, ...]:
        return tuple(self._notices)

    @property
    def device_name(self) -> str:
        return "GPU" if self._base.is_cuda else "CPU"

    def fit(self, candidates: IntArray, values: FloatArray, sigmas: FloatArray) -> None:
        """Replace all data and learn from them; see `Surrogate.fit`.

        Raises ValueError when a value is not a finite number.
        """
        if not numpy.isfinite(values).all() or not numpy.isfinite(sigmas).all():
            raise ValueError("A measured value is not a number: leave it out before the model is fitted.")
        self._notices.clear()
        self._centre = float(values.mean())
        deviation = float(values.std())
        # Equal values may differ by rounding, which is no scale to measure anything by.
        self._scale = deviation if deviation > 1e-12 * float(numpy.abs(values).max()) else 1.0
        try:
            self._fit(candidates, values, sigmas)
        except torch.OutOfMemoryError:
            self._leave_gpu()
            self._fit(candidates, values, sigmas)

    def _fit(self, candidates: IntArray, values: FloatArray, sigmas: FloatArray) -> None:
        with one_thread():
            base = self._base[torch.as_tensor(candidates, device=self._base.device)]
            targets = self._tensor((values - self._centre) / self._scale)
            known = self._tensor((sigmas / self._scale) ** 2 + LEAST_NOISE)
            self._learn(base, targets, known)

    def predict(self) -> Posterior:
        """Predict every candidate, without the noise of a measurement.

        Raises RuntimeError when nothing was learned yet.
        """
        if self._solved is None:
            raise RuntimeError("The model has learned nothing yet: fit it first.")
        try:
            return self._predict(*self._solved)
        except torch.OutOfMemoryError:
            self._leave_gpu()
            return self._predict(*self._solved)

    def _predict(self, latent: torch.Tensor, factor: torch.Tensor, weights: torch.Tensor) -> Posterior:
        with one_thread(), torch.no_grad():
            model = self._model
            candidates = model.embedding(self._base)
            cross = covariance(model, candidates, latent)
            mean = model.mean_module.constant + cross @ weights
            explained = torch.linalg.solve_triangular(factor, cross.T, upper=False).square().sum(0)
            variance = (prior_variance(model, candidates) - explained).clamp_min(1e-10)
            sigma = variance.sqrt()
        return Posterior(
            mean=mean.cpu().numpy() * self._scale + self._centre,
            sigma=sigma.cpu().numpy() * self._scale,
        )

    def _learn(self, base: torch.Tensor, targets: torch.Tensor, known: torch.Tensor) -> None:
        """Train, and solve for the prediction; keeps the last good model when that fails."""
        last_good = copy.deepcopy(self._model.state_dict())
        try:
            if self._fits % CYCLES_BETWEEN_COLD_FITS == 0:
                self._refit_from_scratch(base, targets, known)
            else:
                self._train(self._model, base, targets, known, CYCLES_WARM)
            self._solve(base, targets, known)
            self._fits += 1
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            self._model.load_state_dict(last_good)
            self._solve(base, targets, known)
            self._notices.append(
                "The model could not be trained on the last measurement: its last good settings are used."
            )

    def _solve(self, base: torch.Tensor, targets: torch.Tensor, known: torch.Tensor) -> None:
        with torch.no_grad():
            latent = self._model.embedding(base)
            noise = known + self._model.likelihood.second_noise
            factor = safe_cholesky(covariance(self._model, latent, latent), noise)
            centred = (targets - self._model.mean_module.constant).unsqueeze(1)
            weights = torch.cholesky_solve(centred, factor).squeeze(1)
            self._solved = latent, factor, weights

    def _refit_from_scratch(self, base: torch.Tensor, targets: torch.Tensor, known: torch.Tensor) -> None:
        """Train a fresh model; keep it unless the warm one explains the data better."""
        fresh = self._fresh_model().to(base.device)
        loss = self._train(fresh, base, targets, known, CYCLES_COLD)
        if self._fits:
            warm_loss = self._train(self._model, base, targets, known, CYCLES_WARM)
            if warm_loss <= loss:
                return
        self._model = fresh

    def _train(
        self,
        model: DeepKernelModel,
        base: torch.Tensor,
        targets: torch.Tensor,
        known: torch.Tensor,
        cycles: int,
    ) -> float:
        """Adam until converged; returns the last loss."""
        optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
        losses: list[float] = []
        for _ in range(cycles):
            optimiser.zero_grad()
            loss = negative_log_posterior(model, base, targets, known)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(float(loss.detach()))
            if len(losses) > 5 and losses[-6] - losses[-1] < CONVERGED:
                break
        return losses[-1]

    def _fresh_model(self) -> DeepKernelModel:
        generator = torch.Generator().manual_seed(self._seed)
        likelihood = gpytorch.likelihoods.FixedNoiseGaussianLikelihood(
            torch.ones(1, dtype=torch.float64), learn_additional_noise=True
        )
        model = DeepKernelModel(ResidualNetwork(self._base.shape[1], generator), likelihood)
        likelihood.second_noise = 1e-2
        return model

    def _tensor(self, values: FloatArray) -> torch.Tensor:
        return torch.as_tensor(values, dtype=torch.float64, device=self._base.device)

    def _leave_gpu(self) -> None:
        self._move(torch.device("cpu"))
        self._notices.append("The GPU is out of memory: the model continues on the CPU.")

    def _move(self, device: torch.device) -> None:
        self._base = self._base.to(device)
        self._model.to(device)
        if self._solved is not None:
            latent, factor, weights = self._solved
            self._solved = latent.to(device), factor.to(device), weights.to(device)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one CPU thread: two of them take ten times as long over small matrices."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def covariance(model: DeepKernelModel, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Prior covariance of latent points, shape (n, m); equal to the model's own, without its overhead."""
    scale = math.sqrt(5) / model.local_kernel.base_kernel.lengthscale
    products = left @ right.T
    squares = left.square().sum(1, keepdim=True) + right.square().sum(1) - 2 * products
    # The root has no gradient at zero.
    distance = (squares.clamp_min(1e-15)).sqrt() * scale
    local = (1 + distance + distance.square() / 3) * torch.exp(-distance)
    return typing.cast(torch.Tensor, model.local_kernel.outputscale * local + model.trend_kernel.variance * products)


def prior_variance(model: DeepKernelModel, latent: torch.Tensor) -> torch.Tensor:
    """Diagonal of the prior covariance, shape (n,)."""
    trend = model.trend_kernel.variance.squeeze() * latent.square().sum(1)
    return typing.cast(torch.Tensor, model.local_kernel.outputscale + trend)


def safe_cholesky(matrix: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Lower Cholesky factor of matrix + diag(noise), with as much jitter as it takes, up to 1e-2.

    Raises torch.linalg.LinAlgError when that is not enough.
    """
    for jitter in (0.0, 1e-8, 1e-6, 1e-4):
        factor: torch.Tensor
        factor, failed = torch.linalg.cholesky_ex(matrix + torch.diag(noise + jitter))
        if not failed:
            return factor
    factor = torch.linalg.cholesky(matrix + torch.diag(noise + 1e-2))
    return factor


def negative_log_posterior(
    model: DeepKernelModel, base: torch.Tensor, targets: torch.Tensor, known_noise: torch.Tensor
) -> torch.Tensor:
    """Minus the log marginal likelihood and the log priors of the parameters, for each point.

    -log p(y) = (y - m)' (K + D)^-1 (y - m) / 2 + log|K + D| / 2 + n log(2 pi) / 2
    (Rasmussen & Williams, equation 2.30).
    """
    latent = model.embedding(base)
    noise = known_noise + model.likelihood.second_noise
    factor = safe_cholesky(covariance(model, latent, latent), noise)
    residual = torch.linalg.solve_triangular(factor, (targets - model.mean_module.constant).unsqueeze(1), upper=False)
    likelihood = 0.5 * residual.square().sum() + factor.diagonal().log().sum()
    likelihood = likelihood + 0.5 * len(targets) * math.log(2 * math.pi)
    prior = 0.5 * WEIGHT_PRECISION * sum(p.square().sum() for p in model.embedding.parameters())
    for _, module, log_prior, value, _ in model.named_priors():
        prior = prior - log_prior.log_prob(value(module)).sum()
    return typing.cast(torch.Tensor, (likelihood + prior) / len(targets))


def _choose_device(device: str) -> torch.device:
    available = torch.cuda.is_available()
    if device == "gpu" and not available:
        raise ValueError("No CUDA GPU was found: choose CPU or Automatic to compute on.")
    return torch.device("cuda" if available and device != "cpu" else "cpu")
