"""When the parameters of a model are trained, and how."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable

import numpy
import torch

from dkl_ae.model.cost import MOST_TRAINED_ON
from dkl_ae.model.deep_kernel.conditioning import Conditioned
from dkl_ae.model.deep_kernel.kernel import DeepKernelModel, negative_log_posterior
from dkl_ae.model.deep_kernel.patch_coordinates import coordinates_of
from dkl_ae.model.deep_kernel.standardization import Targets

CYCLES_COLD = 30
CYCLES_WARM = 8
"""Most optimiser cycles of a training from scratch, and of one that goes on from the last."""
TRAININGS_BETWEEN_COLD_ONES = 8
"""A single warm-started deep kernel drifts: a training starts afresh after this many."""
GROWTH_BEFORE_TRAINING = 1.1
"""Training waits until the data have grown by this factor; until then they only condition the model."""
SURPRISE = 3.0
"""A reading farther from its prediction than this many standard deviations brings a training at once."""
CONVERGED = 1e-3
"""A training ends when a cycle changes the loss per point by less than this."""


@dataclasses.dataclass(frozen=True)
class TrainingSchedule:
    """When a model is trained next: pure data."""

    trainings: int = 0
    """How often it was trained so far."""
    trained_on: int = 0
    """Measurements at the last training, or at the last attempt."""
    restored: bool = False
    """Its parameters were learned by another model from the data that come next."""

    @property
    def cold(self) -> bool:
        """Whether the next training starts from scratch."""
        return self.trainings % TRAININGS_BETWEEN_COLD_ONES == 0

    def due(self, count: int) -> bool:
        """Whether data, so many now, are to be learned from, rather than to condition the model alone."""
        return self.restored or count >= self.trained_on * GROWTH_BEFORE_TRAINING

    def done(self, count: int) -> TrainingSchedule:
        """After so many measurements were learned from."""
        return TrainingSchedule(self.trainings + (not self.restored), count)

    def failed(self, count: int) -> TrainingSchedule:
        """After to learn from so many measurements has failed."""
        return TrainingSchedule(self.trainings, count)


def conditioning_suffices(conditioned: Conditioned, new: Targets) -> bool:
    """Condition a model on data that are new; whether that is enough until a training is due, which it is at once when
    they surprise the model or cannot be appended."""
    try:
        standardized_errors = conditioned.append(new)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        return False
    return bool(standardized_errors.abs().max() <= SURPRISE)


def seen_in_training(targets: Targets, seed: int) -> Targets:
    """At most `MOST_TRAINED_ON` of the measurements."""
    count = len(targets)
    if count <= MOST_TRAINED_ON:
        return targets
    return targets.part(numpy.random.default_rng((seed, count)).choice(count, MOST_TRAINED_ON, replace=False))


def trained(
    model: DeepKernelModel,
    schedule: TrainingSchedule,
    make_fresh: Callable[[], DeepKernelModel],
    coordinates: torch.Tensor,
    targets: Targets,
) -> DeepKernelModel:
    """A model with the parameters that the schedule asks for: the last ones trained on, or those of a fresh one, if
    they explain the data better; or the restored ones, as they are.

    Raises torch.linalg.LinAlgError when a covariance cannot be factorised; the model's parameters may then be ruined.
    """
    if schedule.restored:
        return model
    if not schedule.cold:
        train(model, coordinates, targets, CYCLES_WARM)
        return model
    fresh = make_fresh()
    loss = train(fresh, coordinates, targets, CYCLES_COLD)
    if schedule.trainings and train(model, coordinates, targets, CYCLES_WARM) <= loss:
        return model
    return fresh


def trained_further(model: DeepKernelModel, coordinates: torch.Tensor, targets: Targets) -> DeepKernelModel:
    """The model, trained on from where it is.

    Raises torch.linalg.LinAlgError when a covariance cannot be factorised; the model's parameters may then be ruined.
    """
    train(model, coordinates, targets, CYCLES_WARM)
    return model


class LBFGS(torch.optim.LBFGS):
    """Torch's own, without the decorators that hide two methods from torch's compiler: they import the compiler, which
    takes two seconds."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)


def train(model: DeepKernelModel, coordinates: torch.Tensor, targets: Targets, cycles: int) -> float:
    """L-BFGS until converged; returns the least loss that was met.

    Raises torch.linalg.LinAlgError when a covariance cannot be factorised.
    """
    optimiser = LBFGS(
        model.parameters(),
        max_iter=cycles,
        tolerance_change=CONVERGED,
        line_search_fn="strong_wolfe",
    )
    losses: list[float] = []
    measured = coordinates_of(coordinates, targets.candidates)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = negative_log_posterior(model, measured, targets.values, targets.known_variance)
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(float(loss.detach()))
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return min(losses)
