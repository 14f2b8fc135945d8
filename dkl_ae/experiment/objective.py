"""What a run makes as large as it can."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy

from dkl_ae.experiment.acquisition import ObjectivePosterior, acquisition_of
from dkl_ae.model import Posterior
from dkl_ae.records import FloatArray, Measurement, UserError
from dkl_ae.scalarizers import Scalarizer
from dkl_ae.settings import LARGEST, SMALLEST, VALUE, ObjectiveSettings, Plan


@dataclasses.dataclass(frozen=True)
class Objective:
    """The reading that is optimized, and towards what.

    Attributes
    ----------
    scalarizer : Scalarizer
        What is optimized.
    goal : str
        "largest", "smallest" or "value".
    goal_value : float
        The value that is looked for, in the scalarizer's unit.

    Notes
    -----
    The utility is a weighted sum of the modelled numbers, or minus their distance from a target. An angle is modelled
    by its cosine and sine: its utility is the cosine of its difference from the angle that is looked for.
    """

    scalarizer: Scalarizer
    goal: str
    goal_value: float = 0.0

    @classmethod
    def of(cls, settings: ObjectiveSettings, scalarizers: Mapping[str, Scalarizer]) -> Objective:
        """Raises UserError, one sentence, for a scalarizer that there is not."""
        if settings.scalarizer not in scalarizers:
            raise UserError(f"There is no scalarizer '{settings.scalarizer}': choose one of {', '.join(scalarizers)}.")
        return cls(scalarizers[settings.scalarizer], settings.goal, settings.goal_value)

    @property
    def weights(self) -> tuple[float, ...]:
        """Of the modelled numbers: of a reading, or of an angle's cosine and sine."""
        if self.scalarizer.circular:
            angle = {LARGEST: 0.0, SMALLEST: math.pi}.get(self.goal, self.goal_value)
            return math.cos(angle), math.sin(angle)
        return (-1.0,) if self.goal == SMALLEST else (1.0,)

    @property
    def target_reading(self) -> float | None:
        """The reading that is nearest to the goal; None where it is the largest or the smallest there is."""
        if not self.scalarizer.circular:
            return self.target
        cosine, sine = self.weights
        return math.atan2(sine, cosine)

    @property
    def target(self) -> float | None:
        """The reading that is looked for; None for the largest or smallest, and for an angle."""
        return self.goal_value if self.goal == VALUE and not self.scalarizer.circular else None

    def reading(self, measurement: Measurement) -> tuple[float, float]:
        """Its reading of a measurement, without what counting noise adds to it on average, and its error."""
        reading = measurement.readings[self.scalarizer.name]
        value = self.scalarizer.without_excess(numpy.array(reading.value), numpy.array(reading.sigma))
        return float(value), reading.sigma

    def utility(self, reading: float) -> float:
        """Of one reading, without what counting noise adds to it."""
        if self.scalarizer.circular:
            return self.weights[0] * math.cos(reading) + self.weights[1] * math.sin(reading)
        return self.weights[0] * reading if self.target is None else -abs(reading - self.target)

    def posterior(self, readings: Sequence[FloatArray], posteriors: Sequence[Posterior]) -> ObjectivePosterior:
        """What an acquisition function is to know of the modelled numbers.

        readings: those of each number, shape (n,); posteriors: what the model says of each.
        """
        weights = numpy.array(self.weights)
        read = weights @ numpy.array(readings)
        mean = weights @ numpy.array([posterior.mean for posterior in posteriors])
        variance = weights**2 @ numpy.array([posterior.sigma**2 for posterior in posteriors])
        # Before anything is measured, the best there is and its scale are the predicted ones.
        read = read if read.size else mean
        posterior = ObjectivePosterior(mean, numpy.sqrt(variance), 0.0, float(read.std()), self.target)
        best = float(read[numpy.argmax(posterior.utility(read))])
        return dataclasses.replace(posterior, best_observed=best)

    def text(self) -> str:
        """In words, such as "the largest CoM magnitude" or "a CoM x of 0.5 mrad"."""
        value = self.target_reading
        if value is None:
            return f"the {self.goal} {self.scalarizer.label}"
        return f"a {self.scalarizer.label} of {value:.3g} {self.scalarizer.unit}".rstrip()


def require_known(plan: Plan, scalarizers: Mapping[str, Scalarizer]) -> None:
    """Raises UserError, one sentence, for a plan whose scalarizer or acquisition function there is not."""
    Objective.of(plan.objective, scalarizers)
    acquisition_of(plan.search)
