"""What a saved session tells of each step: who chose the place and why, what came of it, whether the model was to be
believed, and how its readings came closer to the goal.

Steps are numbered from 1, seeds included; after step n there are n measurements.
"""

from __future__ import annotations

import dataclasses
import math

import numpy
import numpy.typing
import scipy.special

from dkl_ae.experiment import Objective
from dkl_ae.model import ModelSummary
from dkl_ae.records import FloatArray, IntArray, Origin, Position, Reading
from dkl_ae.run import Dose, StepTimes
from dkl_ae.scalarizers import Scalarizer
from dkl_ae.session import Session, summary_from, times_from


@dataclasses.dataclass(frozen=True)
class StepRecord:
    """One step of a run, explained."""

    number: int
    origin: Origin
    """Who chose the place."""
    scalarizer: Scalarizer
    """What the run optimized then."""
    expected: float | None
    """What the model expected to read, in the scalarizer's unit; None where it was not asked."""
    uncertainty: float | None
    """Its standard deviation."""
    exploration: float | None
    """See `Proposal.exploration`."""
    reading: Reading
    """What was read."""
    standardized_error: float | None
    """See `standardized_errors`; None where the model was not asked, or nothing could be read."""
    dose: Dose
    """After the step."""
    times: StepTimes | None
    """None where the run was broken off within the step."""
    model: ModelSummary | None
    """What the model said of itself after the step; None before it had learned."""


@dataclasses.dataclass(frozen=True, eq=False)
class Curves:
    """One scalarizer against the step, each of shape (measurements,); NaN where there is nothing."""

    readings: FloatArray
    expected: FloatArray
    """Before the exposure; NaN where the model was not asked, or something else was optimized."""
    best: FloatArray
    """The reading closest to the goal so far, of those that others confirm: the learning curve."""


def step_record(session: Session, number: int) -> StepRecord:
    """What happened in a step.

    Raises IndexError when the session has no such step.
    """
    if not 1 <= number <= session.count:
        raise IndexError(f"There is no step {number}: choose one of 1 to {session.count}.")
    index = number - 1
    measurement = session.measurement(index)
    proposal = measurement.proposal
    scalarizer = session.objective(index).scalarizer
    standardized_error = _standardized_error(session, index)
    complete = index < len(session.steps["model_s"])
    row = {name: column[index] for name, column in session.steps.items()} if complete else {}
    return StepRecord(
        number=number,
        origin=proposal.origin,
        scalarizer=scalarizer,
        expected=proposal.expected,
        uncertainty=proposal.uncertainty,
        exploration=proposal.exploration,
        reading=measurement.readings[scalarizer.name],
        standardized_error=None if math.isnan(standardized_error) else standardized_error,
        dose=session.dose(number),
        times=times_from(row) if complete else None,
        model=summary_from(row) if complete else None,
    )


def standardized_errors(session: Session) -> FloatArray:
    """How many standard deviations each reading was above what the model expected, shape (measurements,).

    The deviation is that of what was expected and of the reading together; what counting noise adds to the reading is
    taken off, as the model was told. NaN where the model was not asked, or nothing could be read.
    """
    return numpy.array([_standardized_error(session, index) for index in range(session.count)])


def _standardized_error(session: Session, index: int) -> float:
    scalarizer = session.objective(index).scalarizer
    value, sigma = (column[index] for column in session.readings[scalarizer.name])
    off = float(scalarizer.without_excess(value, sigma) - session.columns["expected"][index])
    if scalarizer.circular and math.isfinite(off):
        off = math.remainder(off, 2 * math.pi)
    return off / math.hypot(session.columns["uncertainty"][index], sigma)


def empirical_coverage(standardized_errors: FloatArray, deviations: FloatArray) -> FloatArray:
    """How often readings were within so many standard deviations of what was expected, between 0 and 1; NaN when the
    model was never asked."""
    sizes = numpy.abs(standardized_errors[numpy.isfinite(standardized_errors)])
    if not sizes.size:
        return numpy.full(deviations.shape, numpy.nan)
    within: FloatArray = (sizes[:, numpy.newaxis] <= deviations).mean(axis=0)
    return within


def nominal_coverage(deviations: FloatArray) -> FloatArray:
    """The same of a model whose deviations are right."""
    nominal: FloatArray = scipy.special.erf(deviations / math.sqrt(2))
    return nominal


def curves(session: Session, objective: Objective) -> Curves:
    """The readings of an objective's scalarizer and how they came closer to its goal."""
    values, sigmas = session.readings[objective.scalarizer.name]
    optimized = [
        session.objective(index).scalarizer.name == objective.scalarizer.name for index in range(session.count)
    ]
    closeness = numpy.array(
        [objective.utility(float(value)) for value in objective.scalarizer.without_excess(values, sigmas)]
    )
    best = numpy.full(session.count, numpy.nan)
    for index in range(session.count):
        nearest = confirmed_readings(session, objective, index + 1)
        if nearest.size:
            best[index] = values[nearest[numpy.argmax(closeness[nearest])]]
    return Curves(values, numpy.where(optimized, session.columns["expected"], numpy.nan), best)


def confirmed_readings(session: Session, objective: Objective, number: int) -> IntArray:
    """Which of the first measurements, from 0, count when the best is named after so many: those that gave a number
    which others confirm, as far as the run knew; all that gave one, where none is confirmed."""
    values = session.readings[objective.scalarizer.name][0][:number]
    known = numpy.flatnonzero(numpy.isfinite(values))
    unconfirmed = session.unconfirmed(objective.scalarizer.name, number)
    confirmed = known[~numpy.isin(session.columns["candidate"][known], list(unconfirmed))]
    return confirmed if confirmed.size else known


def nearest_step(session: Session, place: Position, number: int) -> int:
    """Which of the first steps was measured nearest to a place."""
    height, width = session.survey.shape
    rows, columns = (session.columns[name][:number] + 0.5 for name in ("row", "column"))
    return int(numpy.argmin(numpy.hypot(rows - place.y * height, columns - place.x * width))) + 1
