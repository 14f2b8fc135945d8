"""The experiment: a conversation of asking where to measure and telling what was read.

It is a fold over its history, the measurements and the commands in their order: an experiment to which the same
history was told proposes the same. It knows no microscope, no window and no thread.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from dkl_ae.experiment.chooser import Chooser
from dkl_ae.experiment.commands import ChangeObjective, Command, Entry
from dkl_ae.experiment.confirming import confirmation_text, places_beside, to_confirm
from dkl_ae.experiment.history import (
    best_of,
    common_sigma_of_history,
    first_to_learn_from,
    measurements_of,
    outcomes_of_history,
    readings_of_history,
    revised_history,
)
from dkl_ae.experiment.objective import Objective
from dkl_ae.experiment.proposing import Maps, chosen_by_model, maps_of, seed_at
from dkl_ae.model import Checkpoint, MakeSurrogate, ModelSummary, ReadingModel, ReadingProbability, Surrogate
from dkl_ae.records import Measurement, Origin, Patches, Position, Proposal, Reading, UserError
from dkl_ae.scalarizers import Scalarizer
from dkl_ae.settings import Plan


class Experiment:
    """The ask/tell state of one run.

    The model is fitted once all seeds are told, and from then on whenever the batch that it chose is told; one that was
    trained before needs no seeds. A reading that is not a number counts as measured: its candidate is not proposed
    again, and the model does not see it. A reading that nothing confirms is measured once more, right beside, before it
    leads: see `dkl_ae.experiment.confirming`.

    Parameters
    ----------
    plan : Plan
        What is sought, and how.
    scalarizers : mapping of str to Scalarizer
        Those that read the run's patterns, by name.
    patches : Patches
        The candidates, and what the model knows of each.
    make_surrogate : MakeSurrogate
        Makes a model of one number: see `dkl_ae.model.MakeSurrogate`.

    Raises
    ------
    UserError
        When there are fewer candidates than points to measure, no room for the seeds, or when the plan names a
        scalarizer or an acquisition function that there is not.
    """

    def __init__(
        self,
        plan: Plan,
        scalarizers: Mapping[str, Scalarizer],
        patches: Patches,
        make_surrogate: MakeSurrogate,
    ) -> None:
        require_candidates(plan, patches)
        self.plan = plan
        """As the commands so far have made it."""
        self.patches = patches
        self.objective = Objective.of(plan.objective, scalarizers)
        self._scalarizers = scalarizers
        self._make_surrogate = make_surrogate
        self._history: list[Entry] = []
        self._measured: list[int] = []
        self._chooser = Chooser(plan.search, patches)
        self._reading_probability = ReadingProbability(patches)
        self._knows_before = bool(plan.model.pretrained)
        self._reading_model: ReadingModel | None = None
        self._maps: Maps | None = None
        self._waiting: list[Measurement] = []
        """Whose readings the first of the upcoming points confirm."""
        self._upcoming = [seed_at(self.patches, candidate) for candidate in self._chooser.seeds()]
        if not self._upcoming:
            self._learn()

    @property
    def history(self) -> tuple[Entry, ...]:
        """Measurements and commands, in their order."""
        return tuple(self._history)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """All of them, in their order."""
        return measurements_of(self._history)

    @property
    def finished(self) -> bool:
        """Whether all points that the plan asks for are measured."""
        return len(self._measured) >= self.plan.search.points

    @property
    def maps(self) -> Maps | None:
        """None until all seeds are told, or while no reading of them is a number and the model was not trained
        before."""
        return self._maps

    @property
    def best(self) -> Measurement | None:
        """The measurement with the reading of the largest utility, of those that others confirm."""
        return best_of(self._history, self.objective, self.unconfirmed)

    @property
    def unconfirmed(self) -> tuple[int, ...]:
        """Candidates whose readings nothing confirms, as of the last fit: they are not called the best."""
        return tuple(self._reading_model.unconfirmed.tolist()) if self._reading_model is not None else ()

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences for the operator, from the last fit."""
        if self._reading_model is None:
            return ()
        return (*self._reading_model.notices, *(confirmation_text(self.objective, m) for m in self._waiting))

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

    def prepare(self) -> None:
        """Make the model now, which takes seconds on a large survey, rather than when the seeds are complete."""
        if self.plan.search.model_points:
            _ = self._model

    def ask(self) -> Proposal:
        """The next candidate to measure; the same until something is told.

        Raises
        ------
        UserError
            When the run is finished, or when all that is left is too near to what was measured.
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

        Parameters
        ----------
        measurement : Measurement
            With the reading of every scalarizer.
        revised : mapping, optional
            Readings, by candidate and by scalarizer, that later patterns have made known or changed.

        Raises
        ------
        UserError
            When its candidate was measured before.
        """
        self._register(measurement)
        if revised:
            self._history = revised_history(self._history, revised)
        if not self._upcoming:
            self._learn()

    def apply(self, command: Command) -> None:
        """Do what an operator asks for.

        Raises
        ------
        UserError
            For what cannot be done.
        """
        self._register(command)
        if self._awaits_seeds:
            return  # the model learns when the seeds are complete
        self._learn()

    def restore(self, history: Sequence[Entry], checkpoint: Checkpoint | None = None) -> None:
        """Take up an experiment that was interrupted: afterwards it proposes what that one would have.

        The trainings up to the checkpoint are left out: what came of them is in it.

        Parameters
        ----------
        history : sequence of Entry
            All that it was told, in its order.
        checkpoint : Checkpoint, optional
            Its latest.
        """
        first = first_to_learn_from(history, checkpoint)
        for entry in history[:first]:
            self._register(entry)
        if first and (checkpoint is not None or not self._awaits_seeds):
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
            self._reading_model = _model_of(self.objective, self.patches, self._make_surrogate)
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
        self._waiting = []

    def _exclude(self, measurement: Measurement) -> None:
        candidate = measurement.proposal.candidate
        _require_new(candidate, self._measured, self.patches)
        self._chooser.exclude(candidate)
        self._measured.append(candidate)
        self._upcoming = [p for p in self._upcoming if self._chooser.allowed[p.candidate]]

    def _learn(self) -> None:
        """Learn from all readings, and choose anew what to measure next."""
        self._upcoming, self._waiting = [], []
        readings = readings_of_history(self._history, self.objective)
        if not readings.values.size and not self._knows_before:
            # Not one seed gave a number: go on at random rather than stop.
            candidate = self._chooser.random_candidate(len(self._measured))
            self._upcoming += [seed_at(self.patches, candidate)] if candidate is not None else []
            return
        learned, search = self._model.fit(readings, len(self._measured)), self.plan.search
        probability = self._reading_probability.at_every_candidate(*outcomes_of_history(self._history, self.objective))
        size = max(min(search.batch_size, search.points - len(self._measured)), 0)
        confirmations = self._confirmations(size)
        choices, scores = self._chooser.batch(
            self.objective.posterior(learned.targets, learned.posteriors),
            functools.partial(self._model.covariance, self.objective.weights),
            size=size,
            first=confirmations,
            measured=self._measured,
            error=learned.error,
            reading_probability=probability,
        )
        self._upcoming += chosen_by_model(self.patches, choices, learned.prediction, len(confirmations))
        self._maps = maps_of(
            self.patches,
            learned.prediction,
            common_sigma_of_history(self._history, self.objective),
            search.acquisition,
            scores,
            probability,
            self._chooser.allowed,
            circular=self.objective.scalarizer.circular,
        )

    def _confirmations(self, most: int) -> list[int]:
        """Candidates beside those whose readings are to be confirmed next."""
        if not self.plan.search.confirm_surprising:
            return []
        waiting = to_confirm(
            self.measurements,
            self.objective,
            self.patches,
            unconfirmed=self.unconfirmed,
            contradicted=self._model.contradicted.tolist(),
        )
        beside = places_beside(waiting, self._chooser, self.patches, most)
        self._waiting = list(beside.values())
        return list(beside)


def require_room(plan: Plan, patches: Patches) -> None:
    """Raises UserError, one sentence, when there is no room among the candidates for what a plan asks for."""
    require_candidates(plan, patches)
    if plan.search.minimum_spacing_nm > 0:
        Chooser(plan.search, patches).seeds()


def require_candidates(plan: Plan, patches: Patches) -> None:
    """Likewise, as far as their number tells."""
    if plan.search.points > patches.count:
        raise UserError(
            f"The run asks for {plan.search.seed_points} seed points and {plan.search.model_points} model points but "
            f"the survey has {patches.count} candidates: ask for fewer points, a smaller patch or a larger survey."
        )


def _require_new(candidate: int, measured: Sequence[int], patches: Patches) -> None:
    if candidate in measured:
        row, column = patches.pixel(candidate)
        raise UserError(f"Pixel ({row}, {column}) is measured already: ask for another.")


def _model_of(objective: Objective, patches: Patches, make_surrogate: MakeSurrogate) -> ReadingModel:
    scalarizer = objective.scalarizer
    return ReadingModel(patches, make_surrogate, symmetry=scalarizer.symmetry, circular=scalarizer.circular)
