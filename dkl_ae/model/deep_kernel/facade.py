"""The deep-kernel Gaussian process: a network and a kernel trained together on the marginal likelihood.

Wilson, Hu, Salakhutdinov & Xing, "Deep kernel learning", AISTATS 2016.
"""

from __future__ import annotations

import copy
import dataclasses
import typing
from collections.abc import Callable, Mapping

import numpy
import numpy.typing
import torch

from dkl_ae.model.deep_kernel.compute import choose_device, single_threaded_torch
from dkl_ae.model.deep_kernel.conditioning import Conditioned
from dkl_ae.model.deep_kernel.exactness import conditioned_on, is_exact
from dkl_ae.model.deep_kernel.kernel import by_present_names
from dkl_ae.model.deep_kernel.patch_coordinates import PatchCoordinates
from dkl_ae.model.deep_kernel.robust_training import RobustTraining
from dkl_ae.model.deep_kernel.standardization import Standardization, Targets
from dkl_ae.model.deep_kernel.training import TrainingSchedule, conditioning_suffices, seen_in_training
from dkl_ae.model.deep_kernel.transfer import Measurements, TransferredMeasurements
from dkl_ae.model.deep_kernel.trust import Trust
from dkl_ae.model.saved_model import ModelState
from dkl_ae.model.surrogate import Posterior, VarianceFractions
from dkl_ae.records import BoolArray, FloatArray, IntArray, Symmetry, UserError
from dkl_ae.settings import KernelInput

BELIEVED = 0.1
"""How likely a contradicted measurement is taken to be true: it makes the model look at what is beside it."""

_Result = typing.TypeVar("_Result")


class DeepKernel:
    """Learns from measurements and predicts every candidate. See `dkl_ae.model.Surrogate`.

    The target is standardised; the noise of each measurement is its known variance plus a learned one. Each measurement
    conditions the model at once, which costs little; the parameters are trained when the data have grown, or surprise.
    A training goes on from the last one until it converges. Everything is computed in float64, on one thread on the
    CPU: the matrices are small.

    features: shape (candidates, patch_size ** 2).
    symmetry: what the reading does when the specimen is turned or mirrored; a network alone knows nothing of it.
    kernel_input: what the kernel acts on.
    transferred: what another model has learned, to start from: its parameters, and its measurements, which it believes
        less than its own.
    device: "cpu", "gpu" or "auto", which takes the GPU when there is one.
    positions: where the candidates lie, as fractions of the survey, shape (candidates, 2), for what changes slowly over
        it; None for a model that knows the patches alone.

    Raises UserError when a GPU is asked for and there is none.
    """

    def __init__(
        self,
        features: numpy.typing.NDArray[numpy.float32],
        *,
        patch_size: int,
        seed: int,
        symmetry: Symmetry = Symmetry.NONE,
        kernel_input: str = KernelInput.COMBINED,
        transferred: ModelState | None = None,
        device: str = "auto",
        positions: FloatArray | None = None,
    ) -> None:
        self.patches = PatchCoordinates.of(features, patch_size, symmetry, kernel_input, transferred, positions)
        self.model = self.patches.fresh_model(seed)
        """As it was trained last."""
        if transferred is not None:
            # An earlier version knew no positions, and neither does a run whose plan leaves them out.
            self.model.load_state_dict(by_present_names(transferred.parameters), strict=False)
        self.standardization = Standardization()
        """Between the model's units and the reading's."""
        self.targets: Targets | None = None
        """What it was fitted to, in the model's units."""
        self._conditioned: Conditioned | None = None
        self._count = len(features)
        self._transferred = TransferredMeasurements.of(transferred, self._count)
        self._expected: Posterior | None = None
        self._measurements: Measurements = (numpy.empty(0, numpy.int64), numpy.empty(0), numpy.empty(0))
        self._trust = Trust(len(self._transferred))
        self._seed = seed
        self._schedule = TrainingSchedule(trainings=0 if transferred is None else 1)
        self._notices: list[str] = []
        self._move(choose_device(device))

    @property
    def notices(self) -> tuple[str, ...]:
        """See `Surrogate.notices`."""
        return tuple(self._notices)

    @property
    def trainings(self) -> int:
        """See `Trainable.trainings`."""
        return self._schedule.trainings

    def variance_fractions(self) -> VarianceFractions | None:
        """See `Explains.variance_fractions`."""
        return None if self._conditioned is None else self._conditioned.variance_fractions()

    def parameters(self) -> dict[str, FloatArray]:
        """See `Trainable.parameters`."""
        learned = {name: value.detach().cpu().numpy().copy() for name, value in self.model.named_parameters()}
        return {**learned, **self._trust.parameters()}

    def restore(self, parameters: Mapping[str, FloatArray], trainings: int) -> None:
        """See `Trainable.restore`."""
        if len(self._transferred):
            if trainings == self.trainings:
                return  # that one had learned nothing yet beyond what both started from
            self._within_memory(self._expect)
        self._trust = Trust.kept(len(self._transferred), parameters)
        learned = {name: torch.as_tensor(value) for name, value in by_present_names(parameters).items()}
        self.model.load_state_dict(learned, strict=False)
        self._schedule = dataclasses.replace(self._schedule, trainings=trainings, restored=True)

    def state(self) -> ModelState:
        """What it has learned, to start another model from.

        Raises RuntimeError when nothing was learned yet.
        """
        seen = seen_in_training(self._fitted()[1], self._seed)
        return _state(self.patches, self.model.state_dict(), seen, self.standardization)

    def fit(self, candidates: IntArray, values: FloatArray, sigmas: FloatArray) -> None:
        """Replace all data and learn from them; see `Surrogate.fit`.

        Raises UserError when a value is not a finite number.
        """
        if not numpy.isfinite(values).all() or not numpy.isfinite(sigmas).all():
            raise UserError("A measured value is not a number: leave it out before the model is fitted.")
        self._notices.clear()
        self._within_memory(lambda: self._fit(self._with_transferred((candidates, values, sigmas))))

    def predict(self) -> Posterior:
        """Predict every candidate, without the counting noise of a measurement.

        Raises RuntimeError when nothing was learned yet.
        """
        return self._within_memory(self._predict)

    def leave_one_out(self, rows: IntArray) -> tuple[FloatArray, Posterior]:
        """See `Surrogate.leave_one_out`."""
        conditioned, targets = self._fitted()
        rows = rows + len(self._transferred)
        with single_threaded_torch():
            predicted = conditioned.leave_one_out(rows, targets.values.cpu().numpy()[rows])
        values, _ = self.standardization.readings(targets.part(rows))
        return values, self.standardization.posterior(predicted.mean, predicted.sigma)

    def contradicted(self) -> BoolArray:
        """See `Doubts.contradicted`."""
        own: BoolArray = self._trust.doubts_of_all(len(self._fitted()[1]))[len(self._transferred) :] > 0
        return own

    def unconfirmed(self) -> BoolArray:
        """See `Doubts.unconfirmed`."""
        conditioned, _ = self._fitted()
        with single_threaded_torch():
            unexpected: BoolArray = conditioned.left_out(*self._split()).unexpected.cpu().numpy()
        return self.contradicted() | unexpected[len(self._transferred) :]

    def covariance(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """See `Surrogate.covariance`."""
        with single_threaded_torch():
            return self._fitted()[0].covariance(rows, columns) * self.standardization.scale**2

    def _fitted(self) -> tuple[Conditioned, Targets]:
        if self._conditioned is None or self.targets is None:
            raise RuntimeError("The model has learned nothing yet: fit it first.")
        return self._conditioned, self.targets

    def _predict(self) -> Posterior:
        mean, variance = self._fitted()[0].map()
        with torch.no_grad():
            # What was learned as noise beyond the counting's is what the patch does not tell of the reading: the truth
            # varies by as much.
            sigma = (variance.clamp_min(0) + self.model.likelihood.second_noise + self._in_doubt()).sqrt()
        own = slice(self._count)
        return self.standardization.posterior(mean[own].cpu().numpy(), sigma[own].cpu().numpy())

    def _with_transferred(self, own: Measurements) -> Measurements:
        """The measurements of the model that it started from, as far as they are believed, and its own."""
        if not len(self._transferred):
            return own
        return self._transferred.joined(own, self._expect())

    def _expect(self) -> Posterior:
        """What the model that it started from, and its measurements, let one expect of every candidate; found before
        any other parameters are learned or restored."""
        if self._expected is None:
            targets = self._standardize(self._transferred.doubted(self._transferred.least_doubt))
            self._conditioned = conditioned_on(self.model, self.patches.coordinates, targets)
            self._schedule = dataclasses.replace(self._schedule, trained_on=len(targets))
            self._expected = self._predict()
        return self._expected

    def _fit(self, measurements: Measurements) -> None:
        """Condition on the data that are new where that suffices, and learn from all of them otherwise."""
        self._measurements = measurements
        if self._conditioned is not None and self.targets is not None:
            before, targets = len(self.targets), self._in_model_units(measurements)
            if targets.extend(self.targets):
                self.targets = targets
                if not self._schedule.due(len(targets)) and conditioning_suffices(
                    self._conditioned, targets.part(slice(before, None))
                ):
                    self._doubt()
                    return
            elif not self._schedule.restored:
                self._trust = Trust(len(self._transferred))
        self._learn(measurements)

    def _learn(self, measurements: Measurements) -> None:
        """Train, and solve for the prediction; keeps the last good model when that fails."""
        last_good, coordinates = copy.deepcopy(self.model.state_dict()), self.patches.coordinates
        training = RobustTraining(self.patches, self._schedule, self._seed, measurements)
        try:
            if not self._schedule.restored:
                self.model, self._trust = training.of(self.model, self._trust)
            targets = self._standardize(measurements)
            self._conditioned = conditioned_on(self.model, coordinates, targets)
            self._schedule = self._schedule.done(len(targets))
            if not is_exact(len(targets)):
                self._doubt()
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            self.model.load_state_dict(last_good)
            targets = self._standardize(measurements)
            self._conditioned = conditioned_on(self.model, coordinates, targets)
            self._schedule = self._schedule.failed(len(targets))
            self._notices.append(
                "The model could not be trained on the last measurement: its last good settings are used."
            )

    def _doubt(self) -> None:
        """After the model was conditioned on more: doubt what is now contradicted, believe what is now confirmed."""
        conditioned, _ = self._fitted()
        if conditioned.left_out(*self._split()).is_settled:
            return
        trust = self._trust.revised(self.model, self.patches.coordinates, self._measurements, self.standardization)
        if trust is not self._trust:
            self._trust = trust
            self.targets = self._in_model_units(self._measurements)
            self._conditioned = conditioned_on(self.model, self.patches.coordinates, self.targets)

    def _split(self) -> tuple[Targets, torch.Tensor, torch.Tensor]:
        """See `Trust.split`."""
        return self._trust.split(self._measurements, self.standardization, self.patches.coordinates.device)

    def _in_doubt(self) -> torch.Tensor | float:
        """Variance at every candidate from not knowing whether what is doubted is true, in the model's units."""
        conditioned, targets = self._fitted()
        rows = numpy.flatnonzero(self._trust.doubts_of_all(len(targets)))
        if not rows.size:
            return 0.0
        changes = conditioned.if_believed(self._split()[0], rows)
        return BELIEVED * (1 - BELIEVED) * changes.square().sum(0)

    def _standardize(self, measurements: Measurements) -> Targets:
        self.standardization = self._trust.standardization(measurements, centred=self.patches.centred)
        self.targets = self._in_model_units(measurements)
        return self.targets

    def _in_model_units(self, measurements: Measurements) -> Targets:
        believed = self._trust.believed(measurements)
        return self.standardization.targets(*believed, device=self.patches.coordinates.device)

    def _within_memory(self, compute: Callable[[], _Result]) -> _Result:
        """What is computed on one thread, again on the CPU when the GPU's memory does not suffice."""
        with single_threaded_torch():
            try:
                return compute()
            except torch.OutOfMemoryError:
                self._move(torch.device("cpu"))
                self._notices.append("The GPU is out of memory: the model continues on the CPU.")
                return compute()

    def _move(self, device: torch.device) -> None:
        self.patches = self.patches.to(device)
        self.model.to(device)
        if self.targets is not None:
            self.targets = self.targets.to(device)
        if self._conditioned is not None:
            self._conditioned.move_to(self.patches.coordinates)


def _state(
    patches: PatchCoordinates, parameters: Mapping[str, torch.Tensor], seen: Targets, standardization: Standardization
) -> ModelState:
    values, sigmas = standardization.readings(seen)
    return ModelState(
        kernel_input=str(patches.kernel_input),
        pca=patches.pca,
        parameters={name: value.cpu() for name, value in parameters.items()},
        features=patches.features[seen.candidates],
        values=values,
        sigmas=sigmas,
    )
