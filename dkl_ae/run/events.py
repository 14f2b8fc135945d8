"""What happens in a run, as it is told to whoever records or shows it."""

from __future__ import annotations

import dataclasses
import enum
import math
import pathlib

import numpy
import numpy.typing

from dkl_ae.experiment import Command, Entry, Maps, Objective
from dkl_ae.instruments import Frame
from dkl_ae.model import Checkpoint, ModelSummary
from dkl_ae.patterns import Reference
from dkl_ae.records import ELEMENTARY_CHARGE_C, InstrumentError, Measurement, Proposal, Survey
from dkl_ae.run.followed_zero import RepeatedExposure
from dkl_ae.run.pattern_reader import Reader
from dkl_ae.settings import Plan


class Outcome(enum.StrEnum):
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True)
class StepTimes:
    """Seconds that one step spent in each part."""

    camera: float
    """Moving the blanked probe, unblanking, exposing, reading out, blanking."""
    scalarizer: float
    model: float
    """Fitting, predicting and scoring every candidate."""
    recorder: float
    """Handing the pattern and the maps to the recorder."""


@dataclasses.dataclass(frozen=True)
class Dose:
    """The dose ledger: everything exposed so far, the survey and the reference included."""

    exposure_s: float = 0.0
    electrons: float | None = None
    """Beam current times exposure over the elementary charge; None when the current is unknown."""

    def add(self, exposure_s: float, current_a: float | None) -> Dose:
        """Raises InstrumentError for an exposure and a current that cannot be."""
        advice = "check how the microscope measures it, then start again."
        if not 0 <= exposure_s < math.inf:
            raise InstrumentError(f"The exposure is {exposure_s:g} s: {advice}")
        if current_a is not None and not 0 <= current_a < math.inf:
            raise InstrumentError(f"The beam current is {current_a:g} A: {advice}")
        electrons = None
        if current_a is not None:
            electrons = (self.electrons or 0.0) + exposure_s * current_a / ELEMENTARY_CHARGE_C
        return Dose(self.exposure_s + exposure_s, electrons)


@dataclasses.dataclass(frozen=True, eq=False)
class SurveyAcquired:
    plan: Plan
    survey: Survey
    dose: Dose
    notices: tuple[str, ...] = ()
    """Sentences for the operator: what the model will not see of it."""


@dataclasses.dataclass(frozen=True, eq=False)
class ReferenceFound:
    reference: Reference
    pattern: numpy.typing.NDArray[numpy.float64]
    """Mean of the reference exposures, shape (ky, kx), counts."""
    frames: tuple[Frame, ...]
    """Those exposures; none for a reference from a file."""
    dose: Dose


@dataclasses.dataclass(frozen=True, eq=False)
class PointMeasured:
    """Sent before the model sees the reading; the pattern must be safe when the recorder returns."""

    number: int
    """1 for the first point, seeds included."""
    measurement: Measurement
    frame: Frame
    ends: tuple[Frame, ...]
    """Frames at the ends of the cross around the place, in the order of `dkl_ae.scalarizers.ENDS`; empty where no cross
    was asked for, fewer than four where the run ended there."""
    dose: Dose


@dataclasses.dataclass(frozen=True, eq=False)
class ReferenceRepeated:
    """One of the reference's exposures was repeated, as its zero drifts; sent before anything is learned from it."""

    repeated: RepeatedExposure
    dose: Dose


@dataclasses.dataclass(frozen=True)
class ReadingsRevised:
    """Some readings of earlier patterns are known, or known better, only now."""

    measurements: tuple[Measurement, ...]
    """All so far, the first step's first."""


@dataclasses.dataclass(frozen=True, eq=False)
class StepCompleted:
    number: int
    """1 for the first point, seeds included."""
    maps: Maps | None
    next: Proposal | None
    """None after the last step."""
    best: Measurement | None
    dose: Dose
    times: StepTimes
    explanation: ModelSummary | None
    """What the model says of itself; None before it has learned."""
    notices: tuple[str, ...]
    checkpoint: Checkpoint | None = None
    """What the model has learned, when it was trained in this step."""
    unconfirmed: tuple[int, ...] = ()
    """Candidates whose readings nothing confirms: see `Experiment.unconfirmed`."""


@dataclasses.dataclass(frozen=True, eq=False)
class CommandApplied:
    """From here on, or after the run, what an operator asked for holds."""

    command: Command
    plan: Plan
    """As it is from then on."""
    objective: Objective
    """Likewise."""
    maps: Maps | None
    """What the model that learned from the logged readings says; None while it cannot say anything."""
    best: Measurement | None
    checkpoint: Checkpoint | None
    """What that model has learned; None before it was trained."""
    after_run: bool
    unconfirmed: tuple[int, ...] = ()
    """See `StepCompleted.unconfirmed`."""


@dataclasses.dataclass(frozen=True)
class RunPaused:
    paused: bool
    """False when the run goes on again."""
    reason: str = ""
    """One sentence for the operator, where the run itself had to pause."""


@dataclasses.dataclass(frozen=True, eq=False)
class InterruptedRun:
    """A run that was stopped, or broken off, before it was finished."""

    plan: Plan
    """As the run began."""
    survey: SurveyAcquired
    reference: ReferenceFound | None
    reader: Reader | None
    """Has read every pattern of the run; None before there was a reference."""
    history: tuple[Entry, ...]
    """Measurements and commands, in their order."""
    checkpoint: Checkpoint | None
    """Of the model at the end."""
    dose: Dose
    file: pathlib.Path
    """Of its session."""

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        return tuple(entry for entry in self.history if isinstance(entry, Measurement))


@dataclasses.dataclass(frozen=True, eq=False)
class RunResumed:
    """An earlier run goes on; what it had measured is as it was."""

    plan: Plan
    """As the commands of then have made it."""
    objective: Objective
    interrupted: InterruptedRun
    maps: Maps | None
    """What the model says now."""
    checkpoint: Checkpoint | None
    """What it has learned."""
    explanation: ModelSummary | None
    """What it says of itself; None before it has learned."""
    dose: Dose
    best: Measurement | None = None
    unconfirmed: tuple[int, ...] = ()
    """See `StepCompleted.unconfirmed`."""


@dataclasses.dataclass(frozen=True)
class RunEnded:
    outcome: Outcome
    message: str
    """One sentence for the operator."""


Event = (
    SurveyAcquired
    | ReferenceFound
    | PointMeasured
    | ReferenceRepeated
    | ReadingsRevised
    | StepCompleted
    | CommandApplied
    | RunPaused
    | RunResumed
    | RunEnded
)
