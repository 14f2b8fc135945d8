"""The experiment: a conversation of asking where to measure and telling what was read.

It is a fold over its history, the measurements and the commands in their order: an experiment to which the same
history was told proposes the same. It knows no microscope, no window and no thread.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence

import numpy

from dkl_ae.experiment.acquisition import relative_score
from dkl_ae.experiment.chooser import Chooser
from dkl_ae.experiment.commands import ChangeObjective, Command, Entry
from dkl_ae.experiment.objective import Objective
from dkl_ae.model import Checkpoint, MakeSurrogate, ModelSummary, ReadingModel, Readings, Surrogate
from dkl_ae.records import FloatArray, Measurement, Origin, Patches, Position, Proposal, Reading, UserError
from dkl_ae.scalarizers import Scalarizer
from dkl_ae.settings import Plan


@dataclasses.dataclass(frozen=True, eq=False)
class Maps:
    """What the model says of the whole survey: arrays of the survey's shape, NaN where no patch fits."""

    prediction: FloatArray
    """The expected reading, in the scalarizer's unit."""
    uncertainty: FloatArray
    """Its standard deviation, in the same unit."""
    acquisition: FloatArray
    """How much measuring there next is worth: see `dkl_ae.experiment.acquisition.relative_score`."""


class Experiment:
    """The ask/tell state of one run.

    The model is fitted once all seeds are told, and from then on whenever the batch that it chose is told; one that was
    trained before needs no seeds. A reading that is not a number counts as measured: its candidate is not proposed
    again, and the model does not see it.

    scalarizers: those that read the run's patterns, by name.
    make_surrogate: see `dkl_ae.model.MakeSurrogate`.

    Raises UserError when there are fewer candidates than points to measure, no room for the seeds, or when the plan
    names a scalarizer or an acquisition function that there is not.
    """

    def __init__(
        self,
        plan: Plan,
        scalarizers: Mapping[str, Scalarizer],
        patches: Patches,
        make_surrogate: MakeSurrogate,
    ) -> None:
        if plan.search.points > patches.count:
            raise UserError(
                f"The run asks for {plan.search.seed_points} seed points and {plan.search.model_points} model points "
                f"but the survey has {patches.count} candidates: ask for fewer points, a smaller patch or a larger "
                "survey."
            )
        self.plan = plan
        """As the commands so far have made it."""
        self.patches = patches
        self.objective = Objective.of(plan.objective, scalarizers)
        self._scalarizers = scalarizers
        self._make_surrogate = make_surrogate
        self._history: list[Entry] = []
        self._measured: list[int] = []
        self._chooser = Chooser(plan.search, patches)
        self._knows_before = bool(plan.model.pretrained)
        self._reading_model: ReadingModel | None = None
        self._maps: Maps | None = None
        self._upcoming = [self._proposal(candidate, Origin.SEED) for candidate in self._chooser.seeds()]
        if not self._upcoming:
            self._learn()

    @property
    def history(self) -> tuple[Entry, ...]:
        """Measurements and commands, in their order."""
        return tuple(self._history)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        return tuple(entry for entry in self._history if isinstance(entry, Measurement))

    @property
    def finished(self) -> bool:
        return len(self._measured) >= self.plan.search.points

    @property
    def maps(self) -> Maps | None:
        """None until all seeds are told, or while no reading of them is a number and the model was not trained
        before."""
        return self._maps

    @property
    def best(self) -> Measurement | None:
        """The measurement with the reading of the largest utility."""
        readings = [(self.objective.reading(measurement)[0], measurement) for measurement in self.measurements]
        known = [pair for pair in readings if math.isfinite(pair[0])]
        return max(known, key=lambda pair: self.objective.utility(pair[0]), default=(None, None))[1]

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences of the model for the operator, from the last fit."""
        return self._reading_model.notices if self._reading_model is not None else ()

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The latest; None until the present model was trained."""
        return self._reading_model.checkpoint if self._reading_model is not None else None

    @property
    def explanation(self) -> ModelSummary | None:
        """What the model says of itself; None until it has learned."""
        return self._reading_model.summary if self._reading_model is not None else None

    @property
    def surrogates(self) -> tuple[Surrogate, ...]:
        """Of the number that is modelled, or of an angle's cosine and sine; none before the model is needed."""
        return self._reading_model.surrogates if self._reading_model is not None else ()

    def ask(self) -> Proposal:
        """The next candidate to measure; the same until something is told.

        Raises UserError when the run is finished, or when all that is left is too near to what was measured.
        """
        if self.finished:
            raise UserError(f"All {self.plan.search.points} points are measured: start a new run for more.")
        if not self._upcoming:
            raise UserError(
                f"Every candidate left is nearer than {self.plan.search.minimum_spacing_nm:g} nm to a measured one: "
                "start a new run with a smaller minimum spacing."
            )
        return self._upcoming[0]

    def tell(self, measurement: Measurement, revised: Mapping[int, Mapping[str, Reading]] | None = None) -> None:
        """Take a measurement, and learn from it once the seeds, or a batch, are complete.

        revised: readings, by candidate and by scalarizer, that later patterns have made known or changed.

        Raises UserError when its candidate was measured before.
        """
        self._register(measurement)
        if revised:
            self._history = [
                entry.revised(revised.get(entry.proposal.candidate, {})) if isinstance(entry, Measurement) else entry
                for entry in self._history
            ]
        if not self._upcoming:
            self._learn()

    def apply(self, command: Command) -> None:
        """Do what an operator asks for; raises UserError, one sentence, for what cannot be done."""
        self._register(command)
        if self._awaits_seeds:
            return  # the model learns when the seeds are complete
        self._upcoming = []
        self._learn()

    def restore(self, history: Sequence[Entry], checkpoint: Checkpoint | None = None) -> None:
        """Take up an experiment that was interrupted: afterwards it proposes what that one would have.

        The trainings up to the checkpoint are left out: what came of them is in it.

        history: all that it was told, in its order.
        checkpoint: its latest.
        """
        first = _first_to_learn_from(history, checkpoint)
        for entry in history[:first]:
            self._register(entry)
        if first and (checkpoint is not None or not self._awaits_seeds):
            self._upcoming = []
            if checkpoint is not None:
                self._model.restore(checkpoint)
            self._learn()
        for entry in history[first:]:
            if isinstance(entry, Measurement):
                self.tell(entry)
            else:
                self.apply(entry)

    def fit_to(self, measurements: Sequence[Measurement]) -> None:
        """Take what another experiment measured, and learn from it at once."""
        for measurement in measurements:
            self._register(measurement)
        self._upcoming = []
        self._learn()

    def position(self, proposal: Proposal) -> Position:
        """Where the probe must go for a proposal."""
        return self.patches.survey.position(proposal.row, proposal.column)

    @property
    def _awaits_seeds(self) -> bool:
        return any(proposal.origin is Origin.SEED for proposal in self._upcoming)

    @property
    def _model(self) -> ReadingModel:
        """Of the objective; made when it is needed, for it is costly."""
        if self._reading_model is None:
            self._reading_model = ReadingModel(
                self.patches.features,
                self._make_surrogate,
                symmetry=self.objective.scalarizer.symmetry,
                circular=self.objective.scalarizer.circular,
            )
        return self._reading_model

    def _register(self, entry: Entry) -> None:
        """Take an entry of the history, without learning from it."""
        if isinstance(entry, ChangeObjective):
            self._change_objective(entry)
        else:
            self._exclude(entry)
        self._history.append(entry)

    def _change_objective(self, command: ChangeObjective) -> None:
        plan = command.changed(self.plan)
        self.objective = Objective.of(plan.objective, self._scalarizers)
        self.plan = plan
        self._knows_before = False
        self._reading_model = None
        self._maps = None

    def _exclude(self, measurement: Measurement) -> None:
        candidate = measurement.proposal.candidate
        if candidate in self._measured:
            row, column = self.patches.pixel(candidate)
            raise UserError(f"Pixel ({row}, {column}) is measured already: ask for another.")
        self._chooser.exclude(candidate)
        self._measured.append(candidate)
        self._upcoming = [p for p in self._upcoming if self._chooser.allowed[p.candidate]]

    def _proposal(self, candidate: int, origin: Origin) -> Proposal:
        row, column = self.patches.pixel(candidate)
        return Proposal(candidate, row, column, origin)

    def _readings(self) -> Readings:
        """Those that are numbers, as the model is to see them."""
        measurements = self.measurements
        values, sigmas = numpy.array([self.objective.reading(m) for m in measurements]).reshape(-1, 2).T
        at_random = numpy.array([m.proposal.origin is Origin.SEED for m in measurements], numpy.bool_)
        return Readings(numpy.array(self._measured, numpy.int64), values, sigmas, at_random).known()

    def _learn(self) -> None:
        readings = self._readings()
        if not readings.values.size and not self._knows_before:
            self._fall_back_to_random()
            return
        learned = self._model.fit(readings, len(self._measured))
        left = self.plan.search.points - len(self._measured)
        choices, scores = self._chooser.batch(
            self.objective.posterior(learned.targets, learned.posteriors),
            functools.partial(self._model.covariance, self.objective.weights),
            size=max(min(self.plan.search.batch_size, left), 0),
            measured=self._measured,
            error=learned.error,
        )
        prediction = learned.prediction
        for choice in choices:
            self._upcoming.append(
                dataclasses.replace(
                    self._proposal(choice.candidate, Origin.MODEL),
                    score=choice.score,
                    expected=float(prediction.mean[choice.candidate]),
                    uncertainty=float(prediction.sigma[choice.candidate]),
                    exploration=choice.exploration,
                )
            )
        free = scores[self._chooser.allowed]
        highest = float(free.max() if free.size else scores.max())
        self._maps = Maps(
            prediction=self.patches.to_map(prediction.mean),
            uncertainty=self.patches.to_map(prediction.sigma),
            acquisition=self.patches.to_map(relative_score(self.plan.search.acquisition, scores, highest)),
        )

    def _fall_back_to_random(self) -> None:
        """Not one seed gave a number: go on at random rather than stop."""
        candidate = self._chooser.random_candidate(len(self._measured))
        if candidate is not None:
            self._upcoming = [self._proposal(candidate, Origin.SEED)]


def _first_to_learn_from(history: Sequence[Entry], checkpoint: Checkpoint | None) -> int:
    """The first entry that the model must learn from when it starts from the checkpoint: whatever was learned before
    the last change of the objective is of no use after it."""
    first = max((i + 1 for i, entry in enumerate(history) if isinstance(entry, ChangeObjective)), default=0)
    if checkpoint is None:
        return first
    measured = 0
    for index, entry in enumerate(history):
        if measured == checkpoint.measured:
            return max(first, index)
        measured += isinstance(entry, Measurement)
    return len(history)
