"""What a run makes as large as it can."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy
import numpy.typing

from dkl_ae.experiment.acquisition import Belief
from dkl_ae.experiment.plan import Plan
from dkl_ae.model import Posterior
from dkl_ae.records import FloatArray
from dkl_ae.settings import LARGEST, SMALLEST, VALUE


@dataclasses.dataclass(frozen=True)
class Objective:
    """What the run makes as large as it can: a weighted sum of the modelled numbers, or its closeness to a target."""

    weights: tuple[float, ...]
    """Of a reading; or of an angle's cosine and sine, to give the cosine of its difference from the angle sought."""
    target: float | None = None

    @classmethod
    def of(cls, plan: Plan) -> Objective:
        if plan.driver.circular:
            sought = {LARGEST: 0.0, SMALLEST: math.pi}.get(plan.goal, plan.goal_value)
            return cls((math.cos(sought), math.sin(sought)))
        if plan.goal == VALUE:
            return cls((1.0,), plan.goal_value)
        return cls((1.0,) if plan.goal == LARGEST else (-1.0,))

    def closeness(self, reading: float) -> float:
        """Of one reading."""
        if len(self.weights) == 2:
            return self.weights[0] * math.cos(reading) + self.weights[1] * math.sin(reading)
        return self.weights[0] * reading if self.target is None else -abs(reading - self.target)

    def belief(self, readings: Sequence[FloatArray], posteriors: Sequence[Posterior]) -> Belief:
        """What an acquisition function is to see of the modelled numbers."""
        weights = numpy.array(self.weights)
        seen = weights @ numpy.array(readings)
        mean = weights @ numpy.array([posterior.mean for posterior in posteriors])
        variance = weights**2 @ numpy.array([posterior.sigma**2 for posterior in posteriors])
        # Before anything is measured, the best there is and its scale are the predicted ones.
        seen = seen if seen.size else mean
        belief = Belief(mean, numpy.sqrt(variance), 0.0, float(seen.std()), self.target)
        return dataclasses.replace(belief, best_observed=float(seen[numpy.argmax(belief.closeness(seen))]))
