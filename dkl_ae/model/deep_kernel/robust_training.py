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
        new, trust = self._better(model, trust)
        if not is_exact(len(self.measurements[1])):
            return new, trust  # among so many a few that are false do not steer a training
        revised = self._revised(new, trust)
        if revised is not trust:
            new = trained_further(new, self.patches.coordinates, self._seen(revised))
            trust = self._revised(new, revised)
        return new, trust

    def _better(self, model: DeepKernelModel, trust: Trust) -> tuple[DeepKernelModel, Trust]:
        """A model trained on all, as far as they are believed; or also without what is outlying, where there is more
        evidence that this is false."""
        candidates, values, sigmas = self.measurements
        squares = coordinates_of(self.patches.coordinates, candidates)[0].square().sum(1).cpu().numpy()
        is_new = trust.doubts_of_all(len(values)) == 0
        suspects = (outlying(values, sigmas, squares, centred=self.patches.centred) & is_new)[trust.first :]
        every = dataclasses.replace(trust, outlying=numpy.zeros(len(suspects), numpy.bool_))
        best = self._trained(model, every)
        if suspects.any() and not suspects.all():
            some = dataclasses.replace(trust, outlying=suspects)
            other = self._trained(model, some)
            if self._evidence(other, some) > self._evidence(best, every):
                return other, some
        return best, every

    def _trained(self, model: DeepKernelModel, trust: Trust) -> DeepKernelModel:
        make_fresh = functools.partial(self.patches.fresh_model, self.seed)
        return trained(copy.deepcopy(model), self.schedule, make_fresh, self.patches.coordinates, self._seen(trust))

    @torch.no_grad()
    def _evidence(self, model: DeepKernelModel, trust: Trust) -> float:
        """Logarithm of the probability density of all readings, those that are outlying taken to be false."""
        seen, standardization = self._seen(trust), self._standardization(trust)
        base = coordinates_of(self.patches.coordinates, seen.candidates)
        loss = float(negative_log_posterior(model, base, seen.values, seen.known_variance))
        is_outlying = trust.outlying_of_all(len(self.measurements[1]))
        usual = numpy.count_nonzero(~is_outlying) * (loss + math.log(standardization.scale))
        return -usual - cost_of_leaving_out(self.measurements[1][is_outlying], standardization.centre)

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
