"""The experiment: a conversation of asking where to measure and telling what was read.

It knows no microscope, no window and no thread.
"""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from collections.abc import Callable

import numpy
import numpy.typing

from dkl_ae.acquisition import ACQUISITIONS, Belief, choose, score, worth
from dkl_ae.measurement import Measurement, Origin, Position, Proposal
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.surrogate import Posterior, Surrogate
from dkl_ae.survey import FloatArray, Patches
from dkl_ae.symmetry import Symmetry

DEVICES = ("auto", "gpu", "cpu")
LARGEST = "largest"
SMALLEST = "smallest"

MakeSurrogate = Callable[[numpy.typing.NDArray[numpy.float32], int, Symmetry], Surrogate]

_LOWEST: typing.Final = {
    "patch_size": ("patch size", 1),
    "seed_points": ("number of seed points", 1),
    "steps": ("number of steps", 0),
    "random_seed": ("random seed", 0),
    "reference_frames": ("number of reference frames", 1),
}


@dataclasses.dataclass(frozen=True)
class Plan:
    """Every setting of a run. Raises ValueError, one sentence, for a setting that cannot work."""

    scalarizer: str = "com_magnitude"
    """Name of the scalarizer that drives the run; the others are logged."""
    goal: str = LARGEST
    """Whether the run seeks the largest or the smallest reading."""
    patch_size: int = 13
    """Side of the patches in survey pixels, odd."""
    seed_points: int = 10
    """Points measured at random places before the model chooses."""
    steps: int = 60
    """Points that the model chooses."""
    acquisition: str = "expected_improvement"
    acquisition_parameter: float = 0.01
    random_seed: int = 0
    device: str = "auto"
    reference_frames: int = 4
    """Exposures at the darkest places of the survey, whose mean pattern is the reference."""

    def __post_init__(self) -> None:
        _require_choice("scalarizer", self.scalarizer, SCALARIZERS)
        _require_choice("goal", self.goal, (LARGEST, SMALLEST))
        _require_choice("acquisition function", self.acquisition, ACQUISITIONS)
        _require_choice("device", self.device, DEVICES)
        for name, (label, lowest) in _LOWEST.items():
            value = getattr(self, name)
            if value < lowest:
                raise ValueError(f"The {label} is {value}: choose {lowest} or more.")
        if self.patch_size % 2 == 0:
            raise ValueError(
                f"The patch size is {self.patch_size} px, which has no central pixel: choose {self.patch_size + 1}."
            )
        if not math.isfinite(self.acquisition_parameter) or self.acquisition_parameter < 0:
            raise ValueError(
                f"The acquisition parameter is {self.acquisition_parameter}: choose a number that is not negative."
            )

    @property
    def points(self) -> int:
        """Seeds and steps together."""
        return self.seed_points + self.steps

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read a plan; raises ValueError for a text that is not one."""
        try:
            return cls(**json.loads(text))
        except (TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"This is not a plan: {error}.") from error


def _require_choice(label: str, value: str, choices: typing.Collection[str]) -> None:
    if value not in choices:
        raise ValueError(f"There is no {label} '{value}': choose one of {', '.join(choices)}.")


@dataclasses.dataclass(frozen=True, eq=False)
class Maps:
    """What the model says of the whole survey: arrays of the survey's shape, NaN where no patch fits."""

    prediction: FloatArray
    """The expected reading, in the scalarizer's unit."""
    uncertainty: FloatArray
    """Its standard deviation, in the same unit."""
    acquisition: FloatArray
    """What it is worth to measure there next: see `dkl_ae.acquisition.worth`."""


class Experiment:
    """The ask/tell state of one run.

    The model is fitted once all seeds are told, and after every measurement from then on. A reading that is not
    a number counts as measured: its candidate is not proposed again, and the model does not see it.

    A circular reading (an angle) is modelled through its cosine and its sine, never across the branch cut; the
    acquisition function then acts on the cosine, so the run seeks the direction +x, or -x for the smallest.

    make_surrogate: features of all candidates, shape (candidates, patch_size ** 2), a seed, and what the modelled
        number does when the specimen is turned or mirrored -> a surrogate.

    Raises ValueError when there are fewer candidates than points to measure.
    """

    def __init__(
        self,
        plan: Plan,
        patches: Patches,
        make_surrogate: MakeSurrogate,
    ) -> None:
        if plan.points > patches.count:
            raise ValueError(
                f"The run asks for {plan.seed_points} seed points and {plan.steps} steps but the survey has "
                f"{patches.count} candidates: ask for fewer points, a smaller patch or a larger survey."
            )
        self.plan = plan
        self.patches = patches
        self._scalarizer = SCALARIZERS[plan.scalarizer]
        self._sign = 1.0 if plan.goal == LARGEST else -1.0
        random = numpy.random.default_rng(plan.random_seed)
        self._seeds = random.choice(patches.count, size=plan.seed_points, replace=False)
        symmetries = [Symmetry.X, Symmetry.Y] if self._scalarizer.circular else [self._scalarizer.symmetry]
        self._surrogates = [
            make_surrogate(patches.features, plan.random_seed + component, symmetry)
            for component, symmetry in enumerate(symmetries)
        ]
        self._allowed = numpy.ones(patches.count, numpy.bool_)
        self._measurements: list[Measurement] = []
        self._maps: Maps | None = None
        self._scores: FloatArray | None = None

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        return tuple(self._measurements)

    @property
    def finished(self) -> bool:
        return len(self._measurements) >= self.plan.points

    @property
    def maps(self) -> Maps | None:
        """None until all seeds are told, or while no reading of them is a number."""
        return self._maps

    @property
    def best(self) -> Measurement | None:
        """The measurement with the reading that comes closest to the goal."""
        valid = [m for m in self._measurements if math.isfinite(self._driving(m)[0])]
        return max(valid, key=lambda m: self._objective(self._driving(m)[0]), default=None)

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences of the model for the operator, from the last fit."""
        return tuple(notice for surrogate in self._surrogates for notice in surrogate.notices)

    def ask(self) -> Proposal:
        """The next place to measure; the same until something is told.

        Raises ValueError when the run is finished.
        """
        if self.finished:
            raise ValueError(f"All {self.plan.points} points are measured: start a new run for more.")
        told = len(self._measurements)
        if told < self.plan.seed_points:
            return self._proposal(int(self._seeds[told]), Origin.SEED, None)
        if self._scores is None:
            # Not one seed gave a number: go on at random rather than stop.
            random = numpy.random.default_rng((self.plan.random_seed, told))
            candidate = int(random.choice(numpy.flatnonzero(self._allowed)))
            return self._proposal(candidate, Origin.SEED, None)
        candidate = choose(self._scores, self._allowed)
        return self._proposal(candidate, Origin.MODEL, float(self._scores[candidate]))

    def tell(self, measurement: Measurement) -> None:
        """Record a measurement; refit and predict once the seeds are complete.

        Raises ValueError when its candidate was measured before.
        """
        candidate = measurement.proposal.candidate
        if not self._allowed[candidate]:
            row, column = self.patches.pixel(candidate)
            raise ValueError(f"Pixel ({row}, {column}) is measured already: ask for another.")
        self._allowed[candidate] = False
        self._measurements.append(measurement)
        if len(self._measurements) >= self.plan.seed_points:
            self._learn()

    def position(self, proposal: Proposal) -> Position:
        """Where the probe must go for a proposal."""
        return self.patches.survey.position(proposal.row, proposal.column)

    def _proposal(self, candidate: int, origin: Origin, score: float | None) -> Proposal:
        row, column = self.patches.pixel(candidate)
        return Proposal(candidate, row, column, origin, score)

    def _driving(self, measurement: Measurement) -> tuple[float, float]:
        reading = measurement.readings[self.plan.scalarizer]
        return reading.value, reading.sigma

    def _objective(self, value: float) -> float:
        """What the run makes as large as it can."""
        return self._sign * (math.cos(value) if self._scalarizer.circular else value)

    def _worth(self) -> FloatArray:
        assert self._scores is not None
        free = self._scores[self._allowed]
        chosen = float(free.max()) if free.size else float(self._scores.max())
        return worth(self.plan.acquisition, self._scores, chosen)

    def _learn(self) -> None:
        candidates = numpy.array([m.proposal.candidate for m in self._measurements])
        values, sigmas = numpy.array([self._driving(m) for m in self._measurements]).T
        valid = numpy.isfinite(values)
        if not valid.any():
            return
        candidates, values, sigmas = candidates[valid], values[valid], sigmas[valid]
        if self._scalarizer.circular:
            cosine, sine = numpy.cos(values), numpy.sin(values)
            targets = [(cosine, numpy.abs(sine) * sigmas), (sine, numpy.abs(cosine) * sigmas)]
        else:
            targets = [(values, sigmas)]
        posteriors = []
        for surrogate, (target, error) in zip(self._surrogates, targets, strict=True):
            surrogate.fit(candidates, target, error)
            posteriors.append(surrogate.predict())
        objective = self._sign * targets[0][0]
        belief = Belief(
            mean=self._sign * posteriors[0].mean,
            sigma=posteriors[0].sigma,
            best_observed=float(objective.max()),
            scale=float(objective.std()),
        )
        self._scores = score(self.plan.acquisition, belief, self.plan.acquisition_parameter)
        shown = _angle_posterior(*posteriors) if self._scalarizer.circular else posteriors[0]
        self._maps = Maps(
            prediction=self.patches.to_map(shown.mean),
            uncertainty=self.patches.to_map(shown.sigma),
            acquisition=self.patches.to_map(self._worth()),
        )


def _angle_posterior(cosine: Posterior, sine: Posterior) -> Posterior:
    """Angle and its deviation from independent beliefs about its cosine and sine, to first order.

    The deviation is at most pi / sqrt(3), that of an angle about which nothing is known.
    """
    squared = numpy.maximum(cosine.mean**2 + sine.mean**2, 1e-12)
    variance = (cosine.mean * sine.sigma) ** 2 + (sine.mean * cosine.sigma) ** 2
    sigma = numpy.sqrt(variance) / squared
    return Posterior(
        mean=numpy.arctan2(sine.mean, cosine.mean),
        sigma=numpy.minimum(sigma, math.pi / math.sqrt(3)),
    )
