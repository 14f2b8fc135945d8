"""Training on readings of which some may be false: pure functions."""

from __future__ import annotations

import copy
import dataclasses
import functools
import math

import numpy
import torch

from dkl_ae.model.deep_kernel.contradictions import cost_of_leaving_out, outlying
from dkl_ae.model.deep_kernel.exactness import is_exact
from dkl_ae.model.deep_kernel.kernel import DeepKernelModel, negative_log_posterior
from dkl_ae.model.deep_kernel.patch_coordinates import PatchCoordinates, coordinates_of
from dkl_ae.model.deep_kernel.standardization import Standardization, Targets
from dkl_ae.model.deep_kernel.training import TrainingSchedule, seen_in_training, trained, trained_further
from dkl_ae.model.deep_kernel.transfer import Measurements
from dkl_ae.model.deep_kernel.trust import Trust
from dkl_ae.records import BoolArray


@dataclasses.dataclass(frozen=True, eq=False)
class RobustTraining:
    """The training of a model that is due.

    patches: of all candidates.
    schedule: which training it is.
    seed: of what is drawn at random.
    measurements: all of them, as they were read.
    """

    patches: PatchCoordinates
    schedule: TrainingSchedule
    seed: int
    measurements: Measurements

    def of(self, model: DeepKernelModel, trust: Trust) -> tuple[DeepKernelModel, Trust]:
        """A model trained on what is believed, and what that is; the given model stays as it is.

        Raises torch.linalg.LinAlgError when a covariance cannot be factorised.
        """
        every = dataclasses.replace(trust, outlying=numpy.zeros(len(self.measurements[1]) - trust.first, numpy.bool_))
        if not is_exact(len(self.measurements[1])):
            # Among so many a few that are false do not steer a training, and several take long.
            return self._trained(model, every), every
        new, trust = self._better(model, every)
        revised = self._revised(new, trust)
        if revised is not trust:
            new = trained_further(new, self.patches.coordinates, self._seen(revised))
            trust = self._revised(new, revised)
        return new, trust

    def _better(self, model: DeepKernelModel, every: Trust) -> tuple[DeepKernelModel, Trust]:
        """A model trained on all, as far as they are believed; or without what is outlying, or with the one that is
        doubted least, where there is more evidence for that.

        every: nothing is outlying.
        """
        beliefs = [every]
        suspects = self._outlying(every)
        if suspects.any() and not suspects.all():
            beliefs.append(dataclasses.replace(every, outlying=suspects))
        if every.doubts.any():
            beliefs.append(every.without_least_doubt())
        trained_models = [(self._trained(model, belief), belief) for belief in beliefs]
        return max(trained_models, key=lambda both: self._evidence(*both))

    def _outlying(self, trust: Trust) -> BoolArray:
        """Which of its own measurements are outlying, of those that are not doubted already."""
        candidates, values, sigmas = self.measurements
        squares = coordinates_of(self.patches.coordinates, candidates)[0].square().sum(1).cpu().numpy()
        believed = numpy.flatnonzero(trust.doubts_of_all(len(values)) == 0)
        are_outlying = numpy.zeros(len(values), numpy.bool_)
        are_outlying[believed] = outlying(
            values[believed], sigmas[believed], squares[believed], centred=self.patches.centred
        )
        return are_outlying[trust.first :]

    def _trained(self, model: DeepKernelModel, trust: Trust) -> DeepKernelModel:
        make_fresh = functools.partial(self.patches.fresh_model, self.seed)
        return trained(copy.deepcopy(model), self.schedule, make_fresh, self.patches.coordinates, self._seen(trust))

    @torch.no_grad()
    def _evidence(self, model: DeepKernelModel, trust: Trust) -> float:
        """Logarithm of the probability density of all readings, those that are outlying or doubted taken to be
        false."""
        values, standardization = self.measurements[1], self._standardization(trust)
        are_false = trust.outlying_of_all(len(values)) | (trust.doubts_of_all(len(values)) > 0)
        targets = standardization.targets(*self.measurements, device=self.patches.coordinates.device)
        seen = seen_in_training(targets.part(numpy.flatnonzero(~are_false)), self.seed)
        base = coordinates_of(self.patches.coordinates, seen.candidates)
        loss = float(negative_log_posterior(model, base, seen.values, seen.known_variance))
        usual = numpy.count_nonzero(~are_false) * (loss + math.log(standardization.scale))
        return -usual - cost_of_leaving_out(values[are_false], standardization.centre)

    def _seen(self, trust: Trust) -> Targets:
        """What a training sees: without what is outlying."""
        standardization = self._standardization(trust)
        targets = standardization.targets(*trust.believed(self.measurements), device=self.patches.coordinates.device)
        usual = numpy.flatnonzero(~trust.outlying_of_all(len(targets)))
        return seen_in_training(targets if len(usual) == len(targets) else targets.part(usual), self.seed)

    def _standardization(self, trust: Trust) -> Standardization:
        return trust.standardization(self.measurements, centred=self.patches.centred)

    def _revised(self, model: DeepKernelModel, trust: Trust) -> Trust:
        return trust.revised(model, self.patches.coordinates, self.measurements, self._standardization(trust))
