"""The deep-kernel Gaussian process: a network and a kernel trained together on the marginal likelihood.

Wilson, Hu, Salakhutdinov & Xing, "Deep kernel learning", AISTATS 2016.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
from collections.abc import Iterator, Mapping

import gpytorch
import numpy
import numpy.typing
import torch

from dkl_ae.model.deep_kernel.kernel import (
    DeepKernelModel,
    covariance,
    negative_log_posterior,
    prior_shares,
    prior_variance,
    safe_cholesky,
)
from dkl_ae.model.descriptors.network import LearnedFeatures
from dkl_ae.model.descriptors.pca import PatchPCA
from dkl_ae.model.saved_model import Knowledge
from dkl_ae.model.surrogate import Posterior, left_out
from dkl_ae.records import FloatArray, IntArray, Symmetry, UserError, symmetry_operations
from dkl_ae.settings import KernelInput

CYCLES_COLD = 30
CYCLES_WARM = 8
"""Most optimiser cycles of a training from scratch, and of one that goes on from the last."""
TRAININGS_BETWEEN_COLD_ONES = 8
"""A single warm-started deep kernel drifts: a training starts afresh after this many."""
GROWTH_BEFORE_TRAINING = 1.1
"""Training waits until the data have grown by this factor; until then they only condition the model."""
SURPRISE = 3.0
"""A reading farther from its prediction than this many standard deviations brings a training at once."""
MAX_TRAINED_ON = 300
"""A training sees at most this many measurements, drawn at random: its cost grows with their cube, and a few numbers
need no more. The prediction always rests on all of them."""
CONVERGED = 1e-3
"""A training ends when a cycle changes the loss per point by less than this."""
EARLIER_DOUBT = 0.1
"""Readings of an earlier session are believed to be off by at least this much of their standard deviation, beside their
known error: another specimen, another day's beam."""
_CACHED_NUMBERS = 300_000
_MIN_PIECE = 64
MIN_NOISE = 1e-6
"""Least variance of the noise in units of the target's variance, beside the learned one."""


_Measurements = tuple[IntArray, FloatArray, FloatArray]
"""Candidates, values and sigmas."""


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
    the map holds. In single precision: it is by far the largest array."""
    candidates: torch.Tensor
    """Latent points of all candidates."""
    mean: torch.Tensor
    """Of all candidates, as far as the map holds the measurements."""
    variance: torch.Tensor
    """Likewise."""
    mapped: int = 0
    """How many measurements the map holds."""


class DeepKernel:
    """Learns from measurements and predicts every candidate. See `dkl_ae.model.Surrogate`.

    The target is standardised; the noise of each measurement is its known variance plus a learned one. Each measurement
    conditions the model at once, which costs little; the parameters are trained when the data have grown, or surprise.
    A training goes on from the last one until it converges. Everything is computed in float64, on one thread on the
    CPU: the matrices are small.

    features: shape (candidates, patch_size ** 2).
    symmetry: what the reading does when the specimen is turned or mirrored; a network alone knows nothing of it.
    embedding: what the kernel acts on.
    earlier: what another model has learned, to start from: its parameters, and its measurements, which it believes less
        than its own.
    device: "cpu", "gpu" or "auto", which takes the GPU when there is one.

    Raises UserError when a GPU is asked for and there is none.
    """

    def __init__(
        self,
        features: numpy.typing.NDArray[numpy.float32],
        *,
        patch_size: int,
        seed: int,
        symmetry: Symmetry = Symmetry.NONE,
        embedding: str = KernelInput.COMBINED,
        earlier: Knowledge | None = None,
        device: str = "auto",
    ) -> None:
        self._embedding = KernelInput(embedding if earlier is None else earlier.embedding)
        if self._embedding is KernelInput.NETWORK:
            symmetry = Symmetry.NONE
        images = symmetry_operations(symmetry, patch_size)
        self._pca = PatchPCA.fit(features, patch_size, images) if earlier is None else earlier.basis
        self._features = features if earlier is None else numpy.concatenate([features, earlier.features])
        self._base = torch.as_tensor(self._pca.transform(self._features, patch_size, images))
        self._count = len(features)
        self._earlier = _earlier_measurements(earlier, self._count)
        self._expected: Posterior | None = None
        self._signs = torch.tensor([image.sign for image in images], dtype=torch.float64)
        self._centred = symmetry not in (Symmetry.X, Symmetry.Y)
        self._seed = seed
        self._trainings = 0
        self._trained_on = 0
        self._notices: list[str] = []
        self._centre, self._scale = 0.0, 1.0
        self._model = self._fresh_model()
        if earlier is not None:
            self._model.load_state_dict(earlier.parameters)
            self._trainings = 1
        self._data: _Data | None = None
        self._solution: _Solution | None = None
        self._restored = False
        self._move(_choose_device(device))

    @property
    def notices(self) -> tuple[str, ...]:
        return tuple(self._notices)

    @property
    def explanation(self) -> str:
        """Shares of the readings' prior variance over all candidates: what is alike in a patch's turned and mirrored
        images, what is not, and what patches do not tell; and the network's share of their distances."""
        if self._solution is None:
            return ""
        with torch.no_grad():
            shares = prior_shares(self._model, self._solution.candidates)
        return ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())

    @property
    def device_name(self) -> str:
        return "GPU" if self._base.is_cuda else "CPU"

    def fit(self, candidates: IntArray, values: FloatArray, sigmas: FloatArray) -> None:
        """Replace all data and learn from them; see `Surrogate.fit`.

        Raises UserError when a value is not a finite number.
        """
        if not numpy.isfinite(values).all() or not numpy.isfinite(sigmas).all():
            raise UserError("A measured value is not a number: leave it out before the model is fitted.")
        self._notices.clear()
        try:
            self._fit(*self._with_earlier(candidates, values, sigmas))
        except torch.OutOfMemoryError:
            self._leave_gpu()
            self._fit(*self._with_earlier(candidates, values, sigmas))

    @property
    def trainings(self) -> int:
        return self._trainings

    def parameters(self) -> dict[str, FloatArray]:
        """See `Surrogate.parameters`."""
        return {name: value.detach().cpu().numpy().copy() for name, value in self._model.named_parameters()}

    def restore(self, parameters: Mapping[str, FloatArray], trainings: int) -> None:
        """See `Surrogate.restore`."""
        learned = {name: self._tensor(value) for name, value in parameters.items()}
        self._model.load_state_dict(learned, strict=False)
        self._trainings = trainings
        self._restored = True

    def knowledge(self) -> Knowledge:
        """What it has learned, to start another model from.

        Raises RuntimeError when nothing was learned yet.
        """
        _, data = self._fitted()
        seen = self._seen_in_training(data)
        known = (seen.known - MIN_NOISE).clamp_min(0).sqrt()
        return Knowledge(
            embedding=str(self._embedding),
            basis=self._pca,
            parameters={name: value.cpu() for name, value in self._model.state_dict().items()},
            features=self._features[seen.candidates],
            values=seen.targets.cpu().numpy() * self._scale + self._centre,
            sigmas=known.cpu().numpy() * self._scale,
        )

    def predict(self) -> Posterior:
        """Predict every candidate, without the counting noise of a measurement.

        Raises RuntimeError when nothing was learned yet.
        """
        solution, _ = self._fitted()
        try:
            return self._predict(solution)
        except torch.OutOfMemoryError:
            self._leave_gpu()
            return self._predict(solution)

    def leave_one_out(self, rows: IntArray) -> tuple[FloatArray, Posterior]:
        """See `Surrogate.leave_one_out`."""
        solution, data = self._fitted()
        with single_threaded_torch(), torch.no_grad():
            index = torch.as_tensor(rows + len(self._earlier[0]), device=self._base.device)
            unit = torch.eye(len(solution.factor), dtype=torch.float64, device=self._base.device)[:, index]
            columns = torch.linalg.solve_triangular(solution.factor, unit, upper=False)
        values = data.targets[index].cpu().numpy()
        predicted = left_out(values, columns.cpu().numpy(), solution.whitened.cpu().numpy())
        return values * self._scale + self._centre, self._in_readings_unit(predicted.mean, predicted.sigma)

    def covariance(self, left: IntArray, right: IntArray) -> FloatArray:
        """See `Surrogate.covariance`."""
        solution, _ = self._fitted()
        with single_threaded_torch(), torch.no_grad():
            self._map(solution)
            first, second = (torch.as_tensor(part, device=self._base.device) for part in (left, right))
            explained = solution.explained[: solution.mapped]
            prior = covariance(self._model, solution.candidates[:, first], solution.candidates[:, second])
            posterior = prior - explained[:, first].double().T @ explained[:, second].double()
        result: FloatArray = posterior.cpu().numpy() * self._scale**2
        return result

    def _fitted(self) -> tuple[_Solution, _Data]:
        if self._solution is None or self._data is None:
            raise RuntimeError("The model has learned nothing yet: fit it first.")
        return self._solution, self._data

    def _in_readings_unit(self, mean: FloatArray, sigma: FloatArray) -> Posterior:
        return Posterior(mean * self._scale + self._centre, sigma * self._scale)

    def _fit(self, candidates: IntArray, values: FloatArray, sigmas: FloatArray) -> None:
        with single_threaded_torch():
            if self._data is not None and self._extends(candidates, values, sigmas):
                first_new = len(self._data.candidates)
                self._data = self._in_model_units(candidates, values, sigmas)
                grown = len(candidates) >= self._trained_on * GROWTH_BEFORE_TRAINING
                if not grown and self._append(first_new):
                    return
            self._rescale(values)
            self._data = self._in_model_units(candidates, values, sigmas)
            self._learn(self._data)

    def _with_earlier(self, candidates: IntArray, values: FloatArray, sigmas: FloatArray) -> _Measurements:
        """The measurements of an earlier session, doubted as far as the new ones belie them, and the new ones."""
        earlier, old_values, old_sigmas = self._earlier
        if not earlier.size:
            return candidates, values, sigmas
        doubt = EARLIER_DOUBT * float(old_values.std())
        if self._expected is None:
            self._rescale(old_values)
            self._data = self._in_model_units(earlier, old_values, numpy.hypot(old_sigmas, doubt))
            self._trained_on = len(earlier)
            with single_threaded_torch():
                self._solution = self._solve(self._data)
            self._expected = self._predict(self._solution)
        if candidates.size:
            expected = self._expected.sigma[candidates] ** 2 + sigmas**2
            unexpected = float(numpy.mean((values - self._expected.mean[candidates]) ** 2 - expected))
            # In powers of two, so that it does not change with every reading: all would be learned anew.
            doubt *= 2.0 ** max(math.ceil(math.log2(max(unexpected, 1e-300) ** 0.5 / doubt)), 0) if doubt else 1.0
        return (
            numpy.concatenate([earlier, candidates]),
            numpy.concatenate([old_values, values]),
            numpy.concatenate([numpy.hypot(old_sigmas, doubt), sigmas]),
        )

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
            self._tensor((sigmas / self._scale) ** 2 + MIN_NOISE),
        )

    def _predict(self, solution: _Solution) -> Posterior:
        with single_threaded_torch(), torch.no_grad():
            self._map(solution)
            # What was learned as noise beyond the counting's is what the patch does not tell of the reading: the truth
            # varies by as much.
            sigma = (solution.variance.clamp_min(0) + self._model.likelihood.second_noise).sqrt()
        own = slice(self._count)
        return self._in_readings_unit(solution.mean[own].cpu().numpy(), sigma[own].cpu().numpy())

    def _map(self, solution: _Solution) -> None:
        """Bring the measurements that are new into the map."""
        done, count = solution.mapped, len(solution.factor)
        if done == count:
            return
        if count > len(solution.explained):
            room = solution.explained.new_empty((count + count // 8 + 1, solution.explained.shape[1]))
            room[:done] = solution.explained[:done]
            solution.explained = room
        latent, whitened = solution.latent[:, done:], solution.whitened[done:]
        for part in self._pieces(len(solution.mean), max(latent.shape[0] * latent.shape[1], done)):
            cross = covariance(self._model, latent, solution.candidates[:, part])
            cross -= solution.factor[done:, :done] @ solution.explained[:done, part].double()
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
        self._trained_on = len(data.candidates)
        if self._restored:
            self._restored = False
            self._solution = self._solve(data)
            return
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

    def _seen_in_training(self, data: _Data) -> _Data:
        count = len(data.candidates)
        if count <= MAX_TRAINED_ON:
            return data
        chosen = numpy.random.default_rng((self._seed, count)).choice(count, MAX_TRAINED_ON, replace=False)
        return _Data(data.candidates[chosen], data.targets[chosen], data.known[chosen])

    def _base_of(self, candidates: IntArray) -> torch.Tensor:
        return self._base[:, torch.as_tensor(candidates, device=self._base.device)]

    def _solve(self, data: _Data) -> _Solution:
        with torch.no_grad():
            model = self._model
            latent = model.embedding(self._base_of(data.candidates))
            parts = self._pieces(self._base.shape[1], self._base.shape[0])
            candidates = torch.cat([model.embedding(self._base[:, part]) for part in parts], dim=1)
            noise = data.known + model.likelihood.second_noise
            own = torch.empty((len(noise), len(noise)), dtype=torch.float64, device=noise.device)
            for part in self._pieces(len(noise), len(noise)):
                own[part] = covariance(model, latent[:, part], latent)
            factor = safe_cholesky(own, noise)
            residual = (data.targets - model.mean_module.constant).unsqueeze(1)
            return _Solution(
                latent=latent,
                factor=factor,
                whitened=torch.linalg.solve_triangular(factor, residual, upper=False).squeeze(1),
                explained=self._base.new_empty((0, self._base.shape[1]), dtype=torch.float32),
                candidates=candidates,
                mean=model.mean_module.constant.repeat(candidates.shape[1]),
                variance=prior_variance(model, candidates),
            )

    def _pieces(self, length: int, width: int) -> Iterator[slice]:
        """Slices of a long axis: `width` numbers for each of its elements, as many as stay in the processor's cache. A
        GPU takes more at once."""
        numbers = _CACHED_NUMBERS * (500 if self._base.is_cuda else 1)
        step = max(numbers // width, _MIN_PIECE)
        return (slice(start, start + step) for start in range(0, length, step))

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
        features = LearnedFeatures(self._base.shape[-1], generator, self._embedding)
        return DeepKernelModel(features, self._signs, likelihood)

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
def single_threaded_torch() -> Iterator[None]:
    """Compute on one CPU thread: two of them take ten times as long over small matrices."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _earlier_measurements(earlier: Knowledge | None, first: int) -> _Measurements:
    """Candidates, values and sigmas of an earlier session, whose patches are numbered from one on."""
    if earlier is None:
        return numpy.empty(0, numpy.int64), numpy.empty(0), numpy.empty(0)
    return first + numpy.arange(len(earlier.values)), earlier.values, earlier.sigmas


def _choose_device(device: str) -> torch.device:
    available = torch.cuda.is_available()
    if device == "gpu" and not available:
        raise UserError("No CUDA GPU was found: choose CPU or Automatic to compute on.")
    return torch.device("cuda" if available and device != "cpu" else "cpu")
