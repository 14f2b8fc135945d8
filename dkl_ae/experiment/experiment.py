"""The experiment: a conversation of asking where to measure and telling what was read.

It knows no microscope, no window and no thread.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy
import numpy.typing

from dkl_ae.experiment.acquisition import ACQUISITIONS, NEVER, Belief, choose, exploration, score, worth
from dkl_ae.experiment.objective import Objective
from dkl_ae.experiment.plan import Plan
from dkl_ae.model import (
    Explains,
    Posterior,
    Surrogate,
    Trainable,
    VarianceFractions,
    interval_scale,
    rescaled,
)
from dkl_ae.records import (
    FloatArray,
    IntArray,
    Measurement,
    Origin,
    Patches,
    Position,
    Proposal,
    Reading,
    Symmetry,
    UserError,
)

_DRAWN = 500
"""A drawn map has this many candidates, chosen at random: its cost grows with their cube."""

MakeSurrogate = Callable[[numpy.typing.NDArray[numpy.float32], int, Symmetry], Surrogate]


@dataclasses.dataclass(frozen=True, eq=False)
class Maps:
    """What the model says of the whole survey: arrays of the survey's shape, NaN where no patch fits."""

    prediction: FloatArray
    """The expected reading, in the scalarizer's unit."""
    uncertainty: FloatArray
    """Its standard deviation, in the same unit."""
    acquisition: FloatArray
    """What it is worth to measure there next: see `dkl_ae.experiment.acquisition.worth`."""


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """What the model had learned when it was trained last: all that resuming needs beside the measurements."""

    measured: int
    """Measurements that it was trained on."""
    trainings: tuple[int, ...]
    """Of each modelled number: of an angle there are two."""
    parameters: tuple[dict[str, FloatArray], ...]
    """Likewise, by name."""


@dataclasses.dataclass(frozen=True)
class ModelSummary:
    """What the model says of itself."""

    fractions: VarianceFractions | None
    """Which of its parts explain the readings; None of a model that has no such parts. Of an angle: its cosine's."""
    interval_scale: float
    """By what factor its intervals had to be widened."""


class Experiment:
    """The ask/tell state of one run.

    The model is fitted once all seeds are told, and from then on whenever the batch that it chose is told; one that was
    trained before needs no seeds. A reading that is not a number counts as measured: its candidate is not proposed
    again, and the model does not see it.

    A circular reading (an angle) is modelled through its cosine and its sine, never across the branch cut; the
    acquisition function then acts on the cosine of its difference from the angle sought, which is the direction +x for
    the largest and -x for the smallest.

    make_surrogate: features of all candidates, shape (candidates, patch_size ** 2), which of the modelled numbers it is
        for (of an angle 0 is the cosine and 1 the sine), and what that does when the specimen is turned or mirrored ->
        a surrogate.

    Raises UserError when there are fewer candidates than points to measure, or no room for the seeds.
    """

    def __init__(
        self,
        plan: Plan,
        patches: Patches,
        make_surrogate: MakeSurrogate,
    ) -> None:
        if plan.points > patches.count:
            raise UserError(
                f"The run asks for {plan.seed_points} seed points and {plan.steps} steps but the survey has "
                f"{patches.count} candidates: ask for fewer points, a smaller patch or a larger survey."
            )
        self.patches = patches
        self._make_surrogate = make_surrogate
        self._measurements: list[Measurement] = []
        self._measured: set[int] = set()
        self._maps: Maps | None
        self._interval_scales: list[float] = []
        self._checkpoint: Checkpoint | None = None
        self._knows_before = bool(plan.pretrained)
        self._follow(plan)
        self._allowed = numpy.ones(patches.count, numpy.bool_)
        self._places_nm = patches.places_nm
        self._upcoming = self._draw_seeds()
        if not self._upcoming:
            self._learn()

    def _follow(self, plan: Plan) -> None:
        self.plan = plan
        self._maps = None
        self._checkpoint = None
        self._scalarizer = plan.driver
        self._objective = Objective.of(plan)
        symmetries = [Symmetry.X, Symmetry.Y] if self._scalarizer.circular else [self._scalarizer.symmetry]
        self._surrogates = [
            self._make_surrogate(self.patches.features, component, symmetry)
            for component, symmetry in enumerate(symmetries)
        ]

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        return tuple(self._measurements)

    @property
    def finished(self) -> bool:
        return len(self._measurements) >= self.plan.points

    @property
    def maps(self) -> Maps | None:
        """None until all seeds are told, or while no reading of them is a number and the model was not trained
        before."""
        return self._maps

    @property
    def best(self) -> Measurement | None:
        """The measurement with the reading that comes closest to the goal."""
        valid = [m for m in self._measurements if math.isfinite(self._driving(m)[0])]
        return max(valid, key=lambda m: self._objective.closeness(self._driving(m)[0]), default=None)

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences of the model for the operator, from the last fit."""
        return tuple(notice for surrogate in self._surrogates for notice in surrogate.notices)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The latest; None until the model that is followed now was trained."""
        return self._checkpoint

    @property
    def explanation(self) -> ModelSummary | None:
        """None until the model has learned."""
        if self._maps is None:
            return None
        first = self._surrogates[0]
        fractions = first.variance_fractions() if isinstance(first, Explains) else None
        return ModelSummary(fractions, max(self._interval_scales))

    @property
    def surrogates(self) -> tuple[Surrogate, ...]:
        """Of the number that is modelled, or of an angle's cosine and sine."""
        return tuple(self._surrogates)

    def ask(self) -> Proposal:
        """The next place to measure; the same until something is told.

        Raises UserError when the run is finished, or when all that is left is too near to what was measured.
        """
        if self.finished:
            raise UserError(f"All {self.plan.points} points are measured: start a new run for more.")
        if not self._upcoming:
            raise UserError(
                f"Every candidate left is nearer than {self.plan.least_spacing_nm:g} nm to a measured one: "
                "choose a smaller least spacing or fewer steps."
            )
        return self._upcoming[0]

    def tell(self, measurement: Measurement, revised: Mapping[int, Mapping[str, Reading]] | None = None) -> None:
        """Record a measurement; refit, predict and choose once the seeds, or a batch, are complete.

        revised: readings, by candidate and by scalarizer, that later patterns have made known or changed.

        Raises UserError when its candidate was measured before.
        """
        self._take(measurement)
        if revised:
            self._measurements = [m.revised(revised.get(m.proposal.candidate, {})) for m in self._measurements]
        if not self._upcoming:
            self._learn()

    def recall(
        self,
        measurements: Sequence[Measurement],
        checkpoint: Checkpoint | None = None,
        followed: Plan | None = None,
        followed_since: int = 0,
    ) -> None:
        """Take up an experiment that was left: afterwards it proposes what that one would have.

        measurements: all that it was told, in their order.
        checkpoint: its latest.
        followed: the plan it changed to in `drive_by`, when so many measurements had been told; None when it did not.
        """
        if followed is not None:
            self._knows_before = False
            self._follow(followed)
        learned = followed_since if checkpoint is None else checkpoint.measured
        for measurement in measurements[:learned]:
            self._take(measurement)
        if checkpoint is not None and learned:
            parts = zip(self._surrogates, checkpoint.parameters, checkpoint.trainings, strict=True)
            for surrogate, parameters, trainings in parts:
                if isinstance(surrogate, Trainable):
                    surrogate.restore(parameters, trainings)
        if learned and (checkpoint is not None or not self._awaits_seeds):
            self._upcoming = []
            self._learn()
        for measurement in measurements[learned:]:
            self.tell(measurement)

    def learn_from(self, measurements: Sequence[Measurement]) -> None:
        """Take what another experiment measured, and learn from it at once: the maps are then those that `drive_by`
        would have given there and then."""
        for measurement in measurements:
            self._take(measurement)
        self._upcoming = []
        self._learn()

    def drive_by(self, plan: Plan) -> None:
        """Follow another scalarizer, or another goal: a new model learns from the readings that were logged.

        plan: the run's own but for its scalarizer and its goal.
        """
        self._knows_before = False
        self._follow(plan)
        if self._awaits_seeds:
            return  # the model learns when the seeds are complete
        self._upcoming = []
        self._learn()

    def position(self, proposal: Proposal) -> Position:
        """Where the probe must go for a proposal."""
        return self.patches.survey.position(proposal.row, proposal.column)

    @property
    def _awaits_seeds(self) -> bool:
        return any(proposal.origin is Origin.SEED for proposal in self._upcoming)

    def _take(self, measurement: Measurement) -> None:
        candidate = measurement.proposal.candidate
        if candidate in self._measured:
            row, column = self.patches.pixel(candidate)
            raise UserError(f"Pixel ({row}, {column}) is measured already: ask for another.")
        self._allowed &= self._far_from(candidate)
        self._measured.add(candidate)
        self._measurements.append(measurement)
        self._upcoming = [proposal for proposal in self._upcoming if self._allowed[proposal.candidate]]

    def _draw_seeds(self) -> list[Proposal]:
        random = numpy.random.default_rng(self.plan.random_seed)
        free = self._allowed.copy()
        seeds: list[Proposal] = []
        for candidate in random.permutation(self.patches.count):
            if len(seeds) == self.plan.seed_points:
                return seeds
            if free[candidate]:
                free &= self._far_from(int(candidate))
                seeds.append(self._proposal(int(candidate), Origin.SEED, None))
        if len(seeds) < self.plan.seed_points:
            raise UserError(
                f"There is room for {len(seeds)} of {self.plan.seed_points} seed points "
                f"{self.plan.least_spacing_nm:g} nm apart: choose a smaller least spacing or fewer seed points."
            )
        return seeds

    def _far_from(self, candidate: int) -> numpy.typing.NDArray[numpy.bool_]:
        """Which candidates may be measured once this one is."""
        away: numpy.typing.NDArray[numpy.bool_] = self._distances_nm(candidate) >= self.plan.least_spacing_nm
        away[candidate] = False
        return away

    def _distances_nm(self, candidate: int) -> FloatArray:
        distances: FloatArray = numpy.hypot(*(self._places_nm - self._places_nm[candidate]).T)
        return distances

    def _proposal(self, candidate: int, origin: Origin, score: float | None) -> Proposal:
        row, column = self.patches.pixel(candidate)
        return Proposal(candidate, row, column, origin, score)

    def _driving(self, measurement: Measurement) -> tuple[float, float]:
        """What the model is told: the driving reading without what counting noise adds to it, and its error."""
        reading = measurement.readings[self.plan.scalarizer]
        value = self._scalarizer.without_excess(numpy.array(reading.value), numpy.array(reading.sigma))
        return float(value), reading.sigma

    def _learn(self) -> None:
        candidates = numpy.array([m.proposal.candidate for m in self._measurements], numpy.int64)
        values, sigmas = numpy.array([self._driving(m) for m in self._measurements]).reshape(-1, 2).T
        random = numpy.array([m.proposal.origin is Origin.SEED for m in self._measurements], numpy.bool_)
        valid = numpy.isfinite(values)
        if not valid.any() and not self._knows_before:
            self._go_on_at_random()
            return
        candidates, values, sigmas = candidates[valid], values[valid], sigmas[valid]
        if self._scalarizer.circular:
            cosine, sine = numpy.cos(values), numpy.sin(values)
            targets = [(cosine, numpy.abs(sine) * sigmas), (sine, numpy.abs(cosine) * sigmas)]
        else:
            targets = [(values, sigmas)]
        posteriors: list[Posterior] = []
        factors: list[float] = []
        for surrogate, (target, error) in zip(self._surrogates, targets, strict=True):
            surrogate.fit(candidates, target, error)
            factor = interval_scale(surrogate, numpy.flatnonzero(random[valid]))
            posteriors.append(rescaled(surrogate.predict(), factor))
            factors.append(factor)
        self._interval_scales = factors
        self._keep_checkpoint()
        shown = _angle_posterior(*posteriors) if self._scalarizer.circular else posteriors[0]
        belief = self._objective.belief([target for target, _ in targets], posteriors)
        scores = self._choose_batch(belief, shown, float(numpy.median(targets[0][1])) if valid.any() else 0.0)
        free = scores[self._allowed]
        self._maps = Maps(
            prediction=self.patches.to_map(shown.mean),
            uncertainty=self.patches.to_map(shown.sigma),
            acquisition=self.patches.to_map(
                worth(self.plan.acquisition, scores, float(free.max() if free.size else scores.max()))
            ),
        )

    def _keep_checkpoint(self) -> None:
        trainings = tuple(s.trainings if isinstance(s, Trainable) else 0 for s in self._surrogates)
        if self._checkpoint is None or trainings != self._checkpoint.trainings:
            parameters = tuple(s.parameters() if isinstance(s, Trainable) else {} for s in self._surrogates)
            self._checkpoint = Checkpoint(len(self._measurements), trainings, parameters)

    def _go_on_at_random(self) -> None:
        """Not one seed gave a number: go on at random rather than stop."""
        random = numpy.random.default_rng((self.plan.random_seed, len(self._measurements)))
        free = numpy.flatnonzero(self._allowed)
        if free.size:
            self._upcoming = [self._proposal(int(random.choice(free)), Origin.SEED, None)]

    def _choose_batch(self, belief: Belief, shown: Posterior, error: float) -> FloatArray:
        """Choose what to measure next; returns the scores of all candidates before the first choice.

        Each choice but the first believes that the one before was read as predicted: that tells nothing of the readings
        but lessens what is unknown around it (the kriging believer of Ginsbourger et al., "Kriging is well-suited to
        parallelize optimization", 2010).
        """
        draws = ACQUISITIONS[self.plan.acquisition].draws
        allowed = self._allowed.copy()
        believed: list[FloatArray] = []
        place = self._measurements[-1].proposal.candidate if self._measurements else None
        first: FloatArray | None = None
        # After the last measurement too, for the map that is left.
        for number in range(min(self.plan.batch_size, self.plan.points - len(self._measurements)) or 1):
            if draws:
                belief = dataclasses.replace(belief, draw=self._draw(belief, allowed, number))
            scores = score(self.plan.acquisition, belief, self.plan.acquisition_parameter)
            scores = numpy.maximum(scores - self._cost_of_way(place, belief), NEVER)
            first = scores if first is None else first
            if self.finished or not allowed.any():
                break
            place = choose(scores, allowed)
            self._upcoming.append(
                dataclasses.replace(
                    self._proposal(place, Origin.MODEL, float(scores[place])),
                    expected=float(shown.mean[place]),
                    uncertainty=float(shown.sigma[place]),
                    exploration=exploration(self.plan.acquisition, belief, self.plan.acquisition_parameter, place),
                )
            )
            allowed &= self._far_from(place)
            if self.plan.batch_size > 1 and not draws:
                belief = self._believing(belief, place, error, believed)
        assert first is not None
        return first

    def _cost_of_way(self, place: int | None, belief: Belief) -> FloatArray:
        if place is None:
            return numpy.zeros(self.patches.count)
        unit = 1.0 if ACQUISITIONS[self.plan.acquisition].logarithmic else belief.scale
        return self.plan.travel_cost * unit * self._distances_nm(place)

    def _draw(self, belief: Belief, allowed: numpy.typing.NDArray[numpy.bool_], number: int) -> FloatArray:
        """A map drawn from the belief, NaN but at some candidates."""
        random = numpy.random.default_rng((self.plan.random_seed, len(self._measurements), number))
        free = numpy.flatnonzero(allowed) if allowed.any() else numpy.arange(allowed.size)
        chosen = random.permutation(free)[:_DRAWN]
        covariance = self._covariance(chosen, chosen)
        # What patches do not tell differs from candidate to candidate.
        covariance[numpy.diag_indices(chosen.size)] = belief.sigma[chosen] ** 2
        draw = numpy.full(belief.mean.size, numpy.nan)
        # By eigenvalues: rounding makes some of a well-known map's slightly negative.
        draw[chosen] = random.multivariate_normal(belief.mean[chosen], covariance, method="eigh", check_valid="ignore")
        return draw

    def _covariance(self, left: IntArray, right: IntArray) -> FloatArray:
        """Of the objective."""
        parts = [
            (weight * factor) ** 2 * surrogate.covariance(left, right)
            for weight, factor, surrogate in zip(
                self._objective.weights, self._interval_scales, self._surrogates, strict=True
            )
        ]
        total: FloatArray = numpy.sum(parts, axis=0)
        return total

    def _believing(self, belief: Belief, place: int, error: float, believed: list[FloatArray]) -> Belief:
        """The belief after the predicted reading was read at a place.

        believed: what each place before explained of every candidate, in deviations; this one's is appended.
        """
        covariance = self._covariance(numpy.array([place]), numpy.arange(self.patches.count))[0]
        for earlier in believed:
            covariance = covariance - earlier[place] * earlier
        believed.append(covariance / numpy.sqrt(belief.sigma[place] ** 2 + error**2))
        readings = numpy.array([belief.best_observed, belief.mean[place]])
        return dataclasses.replace(
            belief,
            sigma=numpy.sqrt(numpy.maximum(belief.sigma**2 - believed[-1] ** 2, 1e-6 * belief.sigma**2)),
            best_observed=float(readings[numpy.argmax(belief.closeness(readings))]),
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
