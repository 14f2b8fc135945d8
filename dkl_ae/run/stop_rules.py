"""When a run ends by itself.

To add a rule, write it here and name it in `stop_rules`.
"""

from __future__ import annotations

import dataclasses
import math
import typing

from dkl_ae.experiment import Objective
from dkl_ae.records import Measurement
from dkl_ae.run.events import Outcome, RunEnded
from dkl_ae.settings import Plan

UNREADABLE_IN_A_ROW: typing.Final = 3
"""After this many patterns without a reading the run stops: the beam is off or the camera is out, and every further
point would move the probe over the specimen for nothing."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    measured: int = 0
    unreadable_in_a_row: int = 0
    """The last so many patterns gave no reading at all."""
    reason: str = ""
    """Why the last one gave none."""

    def after(self, measurement: Measurement, objective: Objective) -> Progress:
        """Whether anything at all could be read counts: vacuum is an answer to some scalarizers, a blocked beam to
        none."""
        if any(math.isfinite(reading.value) for reading in measurement.readings.values()):
            return Progress(self.measured + 1)
        reason = measurement.readings[objective.scalarizer.name].reason
        return Progress(self.measured + 1, self.unreadable_in_a_row + 1, reason)


class StopRule(typing.Protocol):
    """One reason to end."""

    def verdict(self, progress: Progress) -> RunEnded | None:
        """How the run ends now; None when it goes on."""


@dataclasses.dataclass(frozen=True)
class AllPointsMeasured:
    """The plan is carried out."""

    points: int

    def verdict(self, progress: Progress) -> RunEnded | None:
        if progress.measured < self.points:
            return None
        return RunEnded(Outcome.FINISHED, f"Finished: {self.points} points measured.")


@dataclasses.dataclass(frozen=True)
class PatternsUnreadable:
    """Nothing can be read any more."""

    in_a_row: int = UNREADABLE_IN_A_ROW

    def verdict(self, progress: Progress) -> RunEnded | None:
        if progress.unreadable_in_a_row < self.in_a_row:
            return None
        return RunEnded(
            Outcome.FAILED, f"The last {progress.unreadable_in_a_row} patterns cannot be read: {progress.reason}"
        )


def stop_rules(plan: Plan) -> tuple[StopRule, ...]:
    """Those of a plan, the most urgent first."""
    return PatternsUnreadable(), AllPointsMeasured(plan.search.points)


def verdict(rules: tuple[StopRule, ...], progress: Progress) -> RunEnded | None:
    """What the first rule says that says anything."""
    return next((ended for rule in rules if (ended := rule.verdict(progress)) is not None), None)
