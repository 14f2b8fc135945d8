"""The deep-kernel Gaussian process: a network and a kernel trained together on the marginal likelihood.

Wilson, Hu, Salakhutdinov & Xing, "Deep kernel learning", AISTATS 2016. gpytorch defines the model.

The kernel is averaged over the symmetries of the reading: sum over g of sign(g) k(p, g p') / |G| (Haasdonk and
Burkhardt, "Invariant kernel functions for pattern analysis and machine learning", Machine Learning 68 (2007) 35).
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
import typing
from collections.abc import Iterator

import gpytorch
import numpy
import numpy.typing
import torch

from dkl_ae.embedding import LearnedFeatures, structured_base
from dkl_ae.surrogate import Posterior
from dkl_ae.survey import FloatArray, IntArray
from dkl_ae.symmetry import Symmetry, elements

CYCLES_COLD = 30
CYCLES_WARM = 8
"""Most optimiser cycles of a training from scratch, and of one that goes on from the last."""
TRAININGS_BETWEEN_COLD_ONES = 8
"""A single warm-started deep kernel drifts: a training starts afresh after this many."""
GROWTH_BEFORE_TRAINING = 1.1
"""Training waits until the data have grown by this factor; until then they only condition the model."""
SURPRISE = 3.0
"""A reading farther from its prediction than this many standard deviations brings a training at once."""
MOST_TRAINED_ON = 300
"""A training sees at most this many measurements, drawn at random: its cost grows with their cube, and a few numbers
need no more. The prediction always rests on all of them."""
CONVERGED = 1e-3
"""A training ends when a cycle changes the loss per point by less than this."""
WEIGHT_PRECISION = 3.0
"""Precision of the Gaussian prior on the network's weights: with less the network overfits few points."""
_CACHED_NUMBERS = 100_000
LEAST_NOISE = 1e-6
"""Least variance of the noise in units of the target's variance, beside the learned one."""


class ImageKernel(gpytorch.kernels.Kernel):  # type: ignore[misc]
    """Average of a kernel over the images of a patch, each with its sign. Inputs: (n, images * dimensions)."""

    def __init__(self, base_kernel: gpytorch.kernels.Kernel, signs: torch.Tensor) -> None:
        super().__init__()
        self.base_kernel = base_kernel
        self.register_buffer("signs", signs)

    def forward(self, x1: torch.Tensor, x2: torch.Tensor, diag: bool = False, **parameters: typing.Any) -> typing.Any:
        own = x1.reshape(len(x1), len(self.signs), -1)[:, 0]
        images = x2.reshape(len(x2), len(self.signs), -1).unbind(1)
        terms = []
        for sign, image in zip(self.signs, images, strict=True):
            term = self.base_kernel(own, image, diag=diag, **parameters)
            terms.append(sign * (term if diag else term.to_dense()))
        return torch.stack(terms).mean(0)


class DeepKernelModel(gpytorch.models.ExactGP):  # type: ignore[misc]
    """Constant mean; covariance of the latent points: Matern 3/2 averaged over a patch's images, plus Matern 3/2 and
    linear of the patches as they are.

    The second Matern part is what breaks the symmetry (a tilted beam, an astigmatic probe); its strength is learned, so
    the evidence weighs how far the symmetry holds. The linear part is a trend, and it makes the prior variance of a
    patch grow with its distance from the mean patch: the rare structures of a specimen are the uncertain ones, and are
    looked at. Averaged over the images it would forget all that is rare off the patch's centre.
    """

    def __init__(
        self,
        embedding: torch.nn.Module,
        signs: torch.Tensor,
        likelihood: gpytorch.likelihoods.FixedNoiseGaussianLikelihood,
    ) -> None:
        super().__init__(None, None, likelihood)
        self.embedding = embedding
        self.register_buffer("signs", signs)
        self.mean_module = gpytorch.means.ConstantMean(constant_prior=gpytorch.priors.NormalPrior(0.0, 0.3))
        matern = gpytorch.kernels.MaternKernel(nu=1.5, lengthscale_prior=_around(0.6, 1.0))
        self.local_kernel = gpytorch.kernels.ScaleKernel(matern, outputscale_prior=_around(1.0, 1.0))
        self.trend_kernel = gpytorch.kernels.LinearKernel(variance_prior=_around(0.1, 1.0))
        self.free_kernel = gpytorch.kernels.ScaleKernel(matern, outputscale_prior=_around(0.03, 1.0))
        as_it_is = torch.eye(len(signs), dtype=torch.float64)[0] * len(signs)
        self.covar_module = ImageKernel(self.local_kernel, signs) + ImageKernel(
            self.free_kernel + self.trend_kernel, as_it_is
        )
        likelihood.second_noise_covar.register_prior("noise_prior", _around(1e-2, 2.0), lambda noise: noise.noise)
        self.to(torch.float64)
        self.local_kernel.outputscale = 1.0
        self.local_kernel.base_kernel.lengthscale = 0.6
        self.trend_kernel.variance = 0.1
        self.free_kernel.outputscale = 0.03
        likelihood.second_noise = 1e-2

    def forward(self, base: torch.Tensor) -> gpytorch.distributions.MultivariateNormal:
        """base: shape (symmetries, n, dimensions)."""
        latent = self.embedding(base)
        flat = latent.transpose(0, 1).flatten(1)
        return gpytorch.distributions.MultivariateNormal(self.mean_module(flat), self.covar_module(flat))


def _around(mode: float, spread: float) -> gpytorch.priors.LogNormalPrior:
    """A prior on a positive number, Gaussian in its logarithm but for the Jacobian, with its peak at the mode."""
    return gpytorch.priors.LogNormalPrior(math.log(mode) + spread**2, spread)


@dataclasses.dataclass(frozen=True, eq=False)
class _Data:
    """What was measured, in the model's units."""

    candidates: IntArray
    targets: torch.Tensor
    known: torch.Tensor
    """Variance of each target."""


@dataclasses.dataclass(eq=False)
class _Solution:
    """The posterior of one set of parameters; measurements are appended to it."""

    latent: torch.Tensor
    """Shape (symmetries, n, latent dimensions), of the measured."""
    factor: torch.Tensor
    """Lower Cholesky factor L of the data's covariance K + D."""
    whitened: torch.Tensor
    """L^-1 (y - m)."""
    explained: torch.Tensor
    """L^-1 times the covariance of measured and all candidates, shape (room, candidates); with room for more rows than
    the map holds."""
    candidates: torch.Tensor
    """Latent points of all candidates."""
    mean: torch.Tensor
    """Of all candidates, as far as the map holds the measurements."""
    variance: torch.Tensor
    """Likewise."""
    mapped: int = 0
    """How many measurements the map holds."""


class DeepKernel:
    """Learns from measurements and predicts every candidate. See `dkl_ae.surrogate.Surrogate`.

    The target is standardised; the noise of each measurement is its known variance plus a learned one. Each measurement
    conditions the model at once, which costs little; the parameters are trained when the data have grown, or surprise.
    A training goes on from the last one until it converges. Everything is computed in float64, on one thread on the
    CPU: the matrices are small.

    features: shape (candidates, patch_size ** 2).
    symmetry: what the reading does when the specimen is turned or mirrored.
    device: "cpu", "gpu" or "auto", which takes the GPU when there is one.

    Raises ValueError when a GPU is asked for and there is none.
    """

    def __init__(
        self,
        features: numpy.typing.NDArray[numpy.float32],
        *,
        patch_size: int,
        seed: int,
        symmetry: Symmetry = Symmetry.NONE,
        device: str = "auto",
    ) -> None:
        images = elements(symmetry, patch_size)
        self._base = torch.as_tensor(structured_base(features, patch_size, images))
        self._signs = torch.tensor([image.sign for image in images], dtype=torch.float64)
        self._centred = symmetry not in (Symmetry.X, Symmetry.Y)
        self._seed = seed
        self._trainings = 0
        self._trained_on = 0
        self._notices: list[str] = []
        self._centre, self._scale = 0.0, 1.0
        self._model = self._fresh_model()
        self._data: _Data | None = None
        self._solution: _Solution | None = None
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
        try:
            self._fit(candidates, values, sigmas)
        except torch.OutOfMemoryError:
            self._leave_gpu()
            self._fit(candidates, values, sigmas)

    def predict(self) -> Posterior:
        """Predict every candidate, without the noise of a measurement.

        Raises RuntimeError when nothing was learned yet.
        """
        if self._solution is None:
            raise RuntimeError("The model has learned nothing yet: fit it first.")
        try:
            return self._predict(self._solution)
        except torch.OutOfMemoryError:
            self._leave_gpu()
            return self._predict(self._solution)

    def _fit(self, candidates: IntArray, values: FloatArray, sigmas: FloatArray) -> None:
        with one_thread():
            if self._data is not None and self._extends(candidates, values, sigmas):
                first_new = len(self._data.candidates)
                self._data = self._in_model_units(candidates, values, sigmas)
                grown = len(candidates) >= self._trained_on * GROWTH_BEFORE_TRAINING
                if not grown and self._append(first_new):
                    return
            self._rescale(values)
            self._data = self._in_model_units(candidates, values, sigmas)
            self._learn(self._data)

    def _extends(self, candidates: IntArray, values: FloatArray, sigmas: FloatArray) -> bool:
        """Whether the data are those of before and some more."""
        assert self._data is not None
        count = len(self._data.candidates)
        if self._solution is None or len(candidates) <= count:
            return False
        before = self._in_model_units(candidates[:count], values[:count], sigmas[:count])
        return (
            bool((before.candidates == self._data.candidates).all())
            and torch.equal(before.targets, self._data.targets)
            and torch.equal(before.known, self._data.known)
        )

    def _rescale(self, values: FloatArray) -> None:
        # The mean of a component is zero by symmetry.
        self._centre = float(values.mean()) if self._centred else 0.0
        deviation = float(numpy.sqrt(numpy.mean((values - self._centre) ** 2)))
        # Equal values may differ by rounding, which is no scale to measure anything by.
        self._scale = deviation if deviation > 1e-12 * float(numpy.abs(values).max()) else 1.0

    def _in_model_units(self, candidates: IntArray, values: FloatArray, sigmas: FloatArray) -> _Data:
        return _Data(
            numpy.array(candidates),
            self._tensor((values - self._centre) / self._scale),
            self._tensor((sigmas / self._scale) ** 2 + LEAST_NOISE),
        )

    def _predict(self, solution: _Solution) -> Posterior:
        with one_thread(), torch.no_grad():
            if solution.mapped < len(solution.factor):
                self._map(solution)
            sigma = solution.variance.clamp_min(1e-10).sqrt()
        return Posterior(
            mean=solution.mean.cpu().numpy() * self._scale + self._centre,
            sigma=sigma.cpu().numpy() * self._scale,
        )

    def _map(self, solution: _Solution) -> None:
        """Bring the measurements that are new into the map."""
        done, count = solution.mapped, len(solution.factor)
        if count > len(solution.explained):
            room = solution.explained.new_empty((count + count // 8 + 1, solution.explained.shape[1]))
            room[:done] = solution.explained[:done]
            solution.explained = room
        latent, whitened = solution.latent[:, done:], solution.whitened[done:]
        # In pieces that stay in the processor's cache.
        step = max(_CACHED_NUMBERS // (latent.shape[0] * latent.shape[1]), 1)
        for start in range(0, len(solution.mean), step):
            part = slice(start, start + step)
            cross = covariance(self._model, latent, solution.candidates[:, part])
            cross -= solution.factor[done:, :done] @ solution.explained[:done, part]
            new = torch.linalg.solve_triangular(solution.factor[done:, done:], cross, upper=False)
            solution.explained[done:count, part] = new
            solution.mean[part] += whitened @ new
            solution.variance[part] -= new.square().sum(0)
        solution.mapped = count

    def _append(self, first_new: int) -> bool:
        """Condition the model on the data from one on; whether that sufficed, or they surprise it."""
        assert self._data is not None
        solution, data = self._solution, self._data
        assert solution is not None
        with torch.no_grad():
            latent = self._model.embedding(self._base_of(data.candidates[first_new:]))
            noise = data.known[first_new:] + self._model.likelihood.second_noise
            across = torch.linalg.solve_triangular(
                solution.factor, covariance(self._model, solution.latent, latent), upper=False
            )
            remaining = covariance(self._model, latent, latent) - across.T @ across
            try:
                corner = safe_cholesky(remaining, noise)
            except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
                return False
            residual = data.targets[first_new:] - self._model.mean_module.constant - solution.whitened @ across
            whitened = torch.linalg.solve_triangular(corner, residual.unsqueeze(1), upper=False).squeeze(1)
            solution.factor = torch.cat(
                [
                    torch.cat([solution.factor, torch.zeros_like(across)], dim=1),
                    torch.cat([across.T, corner], dim=1),
                ]
            )
            solution.whitened = torch.cat([solution.whitened, whitened])
            solution.latent = torch.cat([solution.latent, latent], dim=1)
        return bool(whitened.abs().max() <= SURPRISE)

    def _learn(self, data: _Data) -> None:
        """Train, and solve for the prediction; keeps the last good model when that fails."""
        last_good = copy.deepcopy(self._model.state_dict())
        try:
            seen = self._seen_in_training(data)
            if self._trainings % TRAININGS_BETWEEN_COLD_ONES == 0:
                self._train_from_scratch(seen)
            else:
                self._train(self._model, seen, CYCLES_WARM)
            self._solution = self._solve(data)
            self._trainings += 1
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            self._model.load_state_dict(last_good)
            self._solution = self._solve(data)
            self._notices.append(
                "The model could not be trained on the last measurement: its last good settings are used."
            )
        self._trained_on = len(data.candidates)

    def _seen_in_training(self, data: _Data) -> _Data:
        count = len(data.candidates)
        if count <= MOST_TRAINED_ON:
            return data
        chosen = numpy.random.default_rng((self._seed, count)).choice(count, MOST_TRAINED_ON, replace=False)
        return _Data(data.candidates[chosen], data.targets[chosen], data.known[chosen])

    def _base_of(self, candidates: IntArray) -> torch.Tensor:
        return self._base[:, torch.as_tensor(candidates, device=self._base.device)]

    def _solve(self, data: _Data) -> _Solution:
        with torch.no_grad():
            model = self._model
            latent = model.embedding(self._base_of(data.candidates))
            parts = torch.split(self._base, _CACHED_NUMBERS // 8, 1)
            candidates = torch.cat([model.embedding(part) for part in parts], dim=1)
            noise = data.known + model.likelihood.second_noise
            factor = safe_cholesky(covariance(model, latent, latent), noise)
            residual = (data.targets - model.mean_module.constant).unsqueeze(1)
            return _Solution(
                latent=latent,
                factor=factor,
                whitened=torch.linalg.solve_triangular(factor, residual, upper=False).squeeze(1),
                explained=self._base.new_empty((0, self._base.shape[1])),
                candidates=candidates,
                mean=model.mean_module.constant.repeat(candidates.shape[1]),
                variance=prior_variance(model, candidates),
            )

    def _train_from_scratch(self, data: _Data) -> None:
        """Train a fresh model; keep it unless the warm one explains the data better."""
        fresh = self._fresh_model().to(self._base.device)
        loss = self._train(fresh, data, CYCLES_COLD)
        if self._trainings:
            warm_loss = self._train(self._model, data, CYCLES_WARM)
            if warm_loss <= loss:
                return
        self._model = fresh

    def _train(self, model: DeepKernelModel, data: _Data, cycles: int) -> float:
        """L-BFGS until converged; returns the last loss."""
        optimiser = torch.optim.LBFGS(
            model.parameters(),
            max_iter=cycles,
            tolerance_change=CONVERGED,
            line_search_fn="strong_wolfe",
        )
        losses: list[float] = []
        base = self._base_of(data.candidates)

        def closure() -> torch.Tensor:
            optimiser.zero_grad()
            loss = negative_log_posterior(model, base, data.targets, data.known)
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(float(loss.detach()))
            return loss

        optimiser.step(closure)  # type: ignore[no-untyped-call]
        return min(losses)

    def _fresh_model(self) -> DeepKernelModel:
        generator = torch.Generator().manual_seed(self._seed)
        likelihood = gpytorch.likelihoods.FixedNoiseGaussianLikelihood(
            torch.ones(1, dtype=torch.float64), learn_additional_noise=True
        )
        return DeepKernelModel(LearnedFeatures(self._base.shape[-1], generator), self._signs, likelihood)

    def _tensor(self, values: FloatArray) -> torch.Tensor:
        return torch.as_tensor(values, dtype=torch.float64, device=self._base.device)

    def _leave_gpu(self) -> None:
        self._move(torch.device("cpu"))
        self._notices.append("The GPU is out of memory: the model continues on the CPU.")

    def _move(self, device: torch.device) -> None:
        self._base, self._signs = self._base.to(device), self._signs.to(device)
        self._model.to(device)
        if self._data is not None:
            self._data = dataclasses.replace(
                self._data, targets=self._data.targets.to(device), known=self._data.known.to(device)
            )
        if self._solution is not None:
            for name, value in vars(self._solution).items():
                if isinstance(value, torch.Tensor):
                    setattr(self._solution, name, value.to(device))


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
    """Prior covariance of latent points, shape (n, m); equal to the model's own, without its overhead.

    left, right: shape (symmetries, n or m, latent dimensions).
    """
    scale = math.sqrt(3) / model.local_kernel.base_kernel.lengthscale
    own = left[0]
    products = own @ right.transpose(1, 2)
    squares = own.square().sum(1, keepdim=True) + right.square().sum(2).unsqueeze(1) - 2 * products
    # The root has no gradient at zero.
    distance = squares.clamp_min(1e-15).sqrt() * scale
    local = torch.tensordot(_strengths(model), (1 + distance) * torch.exp(-distance), 1)
    total: torch.Tensor = local + model.trend_kernel.variance.squeeze() * products[0]
    return total


def prior_variance(model: DeepKernelModel, latent: torch.Tensor) -> torch.Tensor:
    """Diagonal of the prior covariance, shape (n,)."""
    scale = math.sqrt(3) / model.local_kernel.base_kernel.lengthscale
    distance = (latent[0] - latent).square().sum(-1).clamp_min(1e-15).sqrt() * scale.squeeze()
    local = _strengths(model) @ ((1 + distance) * torch.exp(-distance))
    total: torch.Tensor = local + model.trend_kernel.variance.squeeze() * latent[0].square().sum(-1)
    return total


def _strengths(model: DeepKernelModel) -> torch.Tensor:
    """Of the Matern part, for each image of a patch."""
    shares = model.local_kernel.outputscale * model.signs / len(model.signs)
    as_it_is = torch.nn.functional.pad(model.free_kernel.outputscale.reshape(1), (0, len(shares) - 1))
    return typing.cast(torch.Tensor, shares + as_it_is)


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
