"""How a run is doing, in numbers: a fold over its events that whoever shows the run reads."""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
from collections.abc import Mapping

from dkl_ae.experiment import Objective
from dkl_ae.model import ModelSummary
from dkl_ae.patterns import Reference
from dkl_ae.records import Measurement, Reading, Survey
from dkl_ae.run.events import (
    CommandApplied,
    Dose,
    Event,
    Outcome,
    PointMeasured,
    ReadingsRevised,
    ReferenceFound,
    ReferenceRepeated,
    RunEnded,
    RunPaused,
    RunResumed,
    StepCompleted,
    StepTimes,
    SurveyAcquired,
)
from dkl_ae.scalarizers import Scalarizer
from dkl_ae.settings import FILE, Plan


class Phase(enum.StrEnum):
    """What a run is about."""

    IDLE = "idle"
    SURVEY = "survey"
    REFERENCE = "reference"
    MEASURING = "measuring"
    PAUSED = "paused"
    ENDED = "ended"


@dataclasses.dataclass(frozen=True)
class WithoutNumber:
    """Points that gave no number of one scalarizer."""

    count: int
    reason: str
    """Of the last one, in one sentence."""


@dataclasses.dataclass(frozen=True, eq=False)
class Status:
    """How a run is doing. `Status()` is that of no run."""

    stage: Phase = Phase.IDLE
    """What the run is about, or will be once it is not paused any more."""
    paused: bool = False
    pause_reason: str = ""
    """Why the run itself had to pause; empty where the operator asked for it."""
    points: int = 0
    """To be measured, seeds included."""
    number: int = 0
    """Points measured so far."""
    objective: Objective | None = None
    """What the run optimizes now."""
    survey: Survey | None = None
    reference: Reference | None = None
    latest: Measurement | None = None
    points_without_number: Mapping[str, WithoutNumber] = dataclasses.field(default_factory=dict)
    """By scalarizer; none of those that all points gave a number of."""
    best: Measurement | None = None
    """The measurement nearest to the objective so far."""
    dose: Dose = dataclasses.field(default_factory=Dose)
    times: StepTimes | None = None
    """Of the latest point; None before the first is complete."""
    model: ModelSummary | None = None
    """What the model says of itself; None before it has learned."""
    notices: tuple[str, ...] = ()
    """Of the latest point."""
    outcome: Outcome | None = None
    """None before the end."""
    message: str = ""
    """How the run ended, in one sentence for the operator."""

    @property
    def phase(self) -> Phase:
        return Phase.PAUSED if self.paused else self.stage

    @property
    def is_running(self) -> bool:
        """Whether a run has begun and not ended; one that is paused is running."""
        return self.stage not in (Phase.IDLE, Phase.ENDED)

    @property
    def fraction(self) -> float:
        """Of the points that are measured, 0 to 1."""
        return self.number / self.points if self.points else 0.0

    @property
    def latest_reading(self) -> Reading | None:
        """Of the scalarizer that is optimized."""
        return self._reading(self.latest)

    @property
    def best_reading(self) -> Reading | None:
        """Likewise."""
        return self._reading(self.best)

    @property
    def without_number(self) -> WithoutNumber | None:
        """The points that gave no number of what is optimized; None where all did."""
        return self.points_without_number.get(self.objective.scalarizer.name) if self.objective is not None else None

    @property
    def best_offset_nm(self) -> tuple[float, float] | None:
        """Where the best was measured: y and x from the survey's centre."""
        if self.best is None or self.survey is None:
            return None
        return self.survey.offset_nm(self.best.position_read_back)

    def _reading(self, measurement: Measurement | None) -> Reading | None:
        if measurement is None or self.objective is None:
            return None
        return measurement.readings[self.objective.scalarizer.name]


def begun(plan: Plan, scalarizers: Mapping[str, Scalarizer]) -> Status:
    """Of a run that begins, new or resumed.

    scalarizers: those that read its patterns, by name.
    """
    return Status(Phase.SURVEY, points=plan.search.points, objective=Objective.of(plan.objective, scalarizers))


def folded(status: Status, event: Event) -> Status:  # noqa: PLR0911  # one for each kind of event
    """The status after an event."""
    match event:
        case SurveyAcquired(plan=plan, survey=survey, dose=dose):
            # A reference of a file is read against the first pattern.
            stage = Phase.MEASURING if plan.reference.source == FILE else Phase.REFERENCE
            return dataclasses.replace(status, stage=stage, survey=survey, dose=dose)
        case ReferenceFound(reference=reference, dose=dose):
            return dataclasses.replace(status, stage=Phase.MEASURING, reference=reference, dose=dose)
        case PointMeasured(number=number, measurement=measurement, dose=dose):
            without = _counted(status.points_without_number, measurement)
            return dataclasses.replace(
                status, number=number, latest=measurement, points_without_number=without, dose=dose
            )
        case ReferenceRepeated(dose=dose):
            return dataclasses.replace(status, dose=dose)
        case ReadingsRevised(measurements=measurements):
            return dataclasses.replace(
                status,
                latest=measurements[-1] if measurements else None,
                points_without_number=functools.reduce(_counted, measurements, {}),
            )
        case StepCompleted():
            return dataclasses.replace(
                status,
                best=event.best,
                dose=event.dose,
                times=event.times,
                model=event.explanation,
                notices=event.notices,
            )
        case CommandApplied(plan=plan, objective=objective, best=best):
            # The new objective's model says nothing of itself before its next point.
            return dataclasses.replace(status, points=plan.search.points, objective=objective, best=best, model=None)
        case RunPaused(paused=paused, reason=reason):
            return dataclasses.replace(status, paused=paused, pause_reason=reason)
        case RunResumed():
            return _resumed(status, event)
        case RunEnded(outcome=outcome, message=message):
            return dataclasses.replace(
                status, stage=Phase.ENDED, paused=False, pause_reason="", outcome=outcome, message=message
            )


def _resumed(status: Status, event: RunResumed) -> Status:
    interrupted = event.interrupted
    measurements = interrupted.measurements
    return dataclasses.replace(
        status,
        stage=Phase.MEASURING,
        points=event.plan.search.points,
        number=len(measurements),
        objective=event.objective,
        survey=interrupted.survey.survey,
        reference=interrupted.reference.reference if interrupted.reference is not None else status.reference,
        latest=measurements[-1] if measurements else None,
        points_without_number=functools.reduce(_counted, measurements, {}),
        best=event.best,
        dose=event.dose,
    )


def _counted(without: Mapping[str, WithoutNumber], measurement: Measurement) -> Mapping[str, WithoutNumber]:
    """The points without a number after one more measurement."""
    more = {
        name: WithoutNumber(without[name].count + 1 if name in without else 1, reading.reason)
        for name, reading in measurement.readings.items()
        if not math.isfinite(reading.value)
    }
    return {**without, **more}
