"""The numbers of a run that only its report shows; `dkl_ae.analysis.steps` has the others."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence

import numpy
import numpy.typing

from dkl_ae.analysis.steps import confirmed_readings, standardized_errors
from dkl_ae.experiment import ChangeObjective, Objective
from dkl_ae.records import BoolArray, FloatArray, IntArray, Origin, UserError
from dkl_ae.session import Session

BEST: typing.Final = "best"
MEDIAN: typing.Final = "median"
WORST: typing.Final = "worst"
LARGEST_RESIDUAL: typing.Final = "largest residual"
FIRST: typing.Final = "first"


@dataclasses.dataclass(frozen=True, eq=False)
class Phase:
    """Measurements in a row that were made for one scalarizer and one goal."""

    objective: Objective
    first: int
    """From 0."""
    end: int
    """One after the last."""


@dataclasses.dataclass(frozen=True, eq=False)
class Predicted:
    """Readings of a phase that the model had predicted; arrays of shape (n,)."""

    index: IntArray
    """Of the measurements, from 0."""
    residual: FloatArray
    """What was read less what was expected, in the optimized reading's unit; of an angle the shorter way round."""
    uncertainty: FloatArray
    """Standard deviation of what was expected and of the reading together."""


@dataclasses.dataclass(frozen=True)
class DoseShares:
    """What the beam did to the specimen, in seconds of exposure."""

    survey_s: float
    reference_s: float
    points_s: float
    """All patterns, those of crosses included."""
    electrons: float | None
    """Of all of these; None where the beam current is not known."""
    full_scan_s: float | None
    """Of a 4D-STEM scan of every survey pixel at the exposure of the run's patterns; None before there was one."""

    @property
    def total_s(self) -> float:
        return self.survey_s + self.reference_s + self.points_s

    @property
    def full_scan_electrons(self) -> float | None:
        """At the run's mean beam current."""
        if self.electrons is None or self.full_scan_s is None:
            return None
        return self.electrons / self.total_s * self.full_scan_s


def seeds(session: Session) -> BoolArray:
    """Which measurements were made at random places, shape (count,)."""
    chosen: BoolArray = session.columns["origin"] == Origin.SEED.encode()
    return chosen


def confirmations(session: Session) -> BoolArray:
    """Which measurements were made to confirm a surprising reading, shape (count,)."""
    made: BoolArray = session.columns["origin"] == Origin.CONFIRMATION.encode()
    return made


def phases(session: Session) -> tuple[Phase, ...]:
    """The measurements of a run by what they were made for; one without measurements when there are none."""
    # Of several changes before one measurement the last counts, and none after the last measurement.
    starts = [
        0,
        *sorted(
            {
                measured
                for measured, command in session.commands
                if isinstance(command, ChangeObjective) and 0 < measured < session.count
            }
        ),
    ]
    ends = [*starts[1:], session.count]
    return tuple(Phase(session.objective(first), first, end) for first, end in zip(starts, ends, strict=True))


def predicted(session: Session, phase: Phase) -> Predicted:
    """The readings of a phase that the model had an expectation of."""
    deviations = standardized_errors(session)
    index = numpy.flatnonzero(numpy.isfinite(deviations[: phase.end]))
    index = index[index >= phase.first]
    sigmas = session.readings[phase.objective.scalarizer.name][1]
    uncertainty = numpy.hypot(session.columns["uncertainty"][index], sigmas[index])
    return Predicted(index, deviations[index] * uncertainty, uncertainty)


def representative_patterns(session: Session) -> dict[int, tuple[str, ...]]:
    """Measurements, from 0, whose patterns tell most of the run, with what they are.

    The best, the median and the worst for the goal that was followed last, of those that others confirm, and the one
    that differed most from what was expected; the first, where every reading is undefined.
    """
    if session.count == 0:
        return {}
    objective = session.objective(session.count - 1)
    readings = objective.scalarizer.without_excess(*session.readings[objective.scalarizer.name])
    closeness = numpy.array([objective.utility(float(reading)) for reading in readings])
    confirmed = confirmed_readings(session, objective, session.count)
    order = confirmed[numpy.argsort(-closeness[confirmed], kind="stable")]
    found: dict[int, tuple[str, ...]] = {}
    if order.size:
        for role, index in ((BEST, order[0]), (MEDIAN, order[order.size // 2]), (WORST, order[-1])):
            found[int(index)] = (*found.get(int(index), ()), role)
    deviations = numpy.nan_to_num(numpy.abs(standardized_errors(session)))
    if deviations.any():
        index = int(deviations.argmax())
        found[index] = (*found.get(index, ()), LARGEST_RESIDUAL)
    return found or {0: (FIRST,)}


def shown_steps(session: Session, steps: Sequence[int], most: int = 4) -> list[int]:
    """After how many measurements maps were kept that stand for the steps that are asked for, or for the whole run.

    steps: each is met by the last maps that were kept up to it; empty for some that are spread over the run.

    Raises UserError, one sentence, for a step without maps.
    """
    kept = session.map_steps
    if not steps:
        spread = numpy.linspace(0, kept.size - 1, min(most, kept.size)).round()
        return [int(step) for step in kept[spread.astype(numpy.int64)]]
    if not kept.size:
        raise UserError(f"{session.file.name} has no maps, for its model had not learned yet: leave --steps out.")
    for step in steps:
        if not kept[0] <= step <= session.count:
            raise UserError(
                f"There are no maps after {step} measurements: choose steps from {kept[0]} to {session.count}."
            )
    return sorted({int(kept[kept <= step].max()) for step in steps})


def dose_shares(session: Session) -> DoseShares:
    """Where the run's dose went, and what a scan of every pixel would have taken."""
    total, before = session.dose(session.count), session.dose(0)
    exposures = (
        session.columns["exposure_s"]
        if session.count
        else numpy.array([frame.exposure_s for frame in session.reference_frames()])
    )
    repeated_s = float(session.repeated["exposure_s"].sum())
    return DoseShares(
        survey_s=session.survey_dose.exposure_s,
        reference_s=before.exposure_s - session.survey_dose.exposure_s + repeated_s,
        points_s=total.exposure_s - before.exposure_s - repeated_s,
        electrons=total.electrons,
        full_scan_s=float(numpy.median(exposures)) * session.survey.image.size if exposures.size else None,
    )
