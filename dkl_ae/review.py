"""What a saved session tells of each step: who chose the place and why, what came of it, whether the model was to be
believed, and what a model that another scalarizer had driven would have said.

Steps are numbered from 1, seeds included; after step n there are n measurements.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import math

import numpy
import numpy.typing
import scipy.special

from dkl_ae.events import Dose, StepTimes
from dkl_ae.experiment import LARGEST, VALUE, Experiment, MakeSurrogate, Maps, Objective, Plan
from dkl_ae.measurement import Origin, Position, Proposal, Reading
from dkl_ae.models import deep_kernel_for
from dkl_ae.scalarizers import Scalarizer
from dkl_ae.session import Session
from dkl_ae.session.layout import times_from
from dkl_ae.survey import FloatArray, Patches


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of a run, explained."""

    number: int
    origin: Origin
    """Who chose the place."""
    driver: Scalarizer
    """What the run followed then."""
    expected: float | None
    """What the model expected to read, in the driver's unit; None where it was not asked."""
    uncertainty: float | None
    """Its standard deviation."""
    exploration: float | None
    """See `Proposal.exploration`."""
    reading: Reading
    """What was read."""
    surprise: float | None
    """See `surprises`; None where the model was not asked, or nothing could be read."""
    dose: Dose
    """After the step."""
    times: StepTimes | None
    """None where the run was broken off within the step."""
    model: str
    """What the model said of itself after the step; empty before it had learned."""


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """What a model says, or would have said, after a step."""

    plan: Plan
    """With the scalarizer and the goal that it follows."""
    measured: int
    """Measurements that the maps rest on."""
    maps: Maps
    upcoming: Proposal | None
    """Where it measures next; None after the last step."""
    model: str
    """What it says of itself."""


@dataclasses.dataclass(frozen=True, eq=False)
class Curves:
    """One scalarizer against the step, each of shape (measurements,); NaN where there is nothing."""

    readings: FloatArray
    expected: FloatArray
    """Before the exposure; NaN where the model was not asked, or something else drove it."""
    best: FloatArray
    """The reading closest to the goal so far: the learning curve."""


def step_of(session: Session, number: int) -> Step:
    """What happened in a step.

    Raises IndexError when the session has no such step.
    """
    if not 1 <= number <= session.count:
        raise IndexError(f"There is no step {number}: choose one of 1 to {session.count}.")
    index = number - 1
    measurement = session.measurement(index)
    proposal = measurement.proposal
    plan = session.followed(index)
    surprise = _surprise(session, index)
    complete = index < len(session.steps["model_s"])
    row = {name: column[index] for name, column in session.steps.items()} if complete else {}
    return Step(
        number=number,
        origin=proposal.origin,
        driver=plan.driver,
        expected=proposal.expected,
        uncertainty=proposal.uncertainty,
        exploration=proposal.exploration,
        reading=measurement.readings[plan.scalarizer],
        surprise=None if math.isnan(surprise) else surprise,
        dose=session.dose(number),
        times=times_from(row) if complete else None,
        model=bytes(row["explanation"]).decode(errors="ignore") if complete else "",
    )


def surprises(session: Session) -> FloatArray:
    """How many standard deviations each reading was above what the model expected, shape (measurements,).

    The deviation is that of what was expected and of the reading together; what counting noise adds to the reading is
    taken off, as the model was told. NaN where the model was not asked, or nothing could be read.
    """
    return numpy.array([_surprise(session, index) for index in range(session.count)])


def _surprise(session: Session, index: int) -> float:
    driver = session.followed(index).driver
    value, sigma = (column[index] for column in session.readings[driver.name])
    off = float(driver.without_excess(value, sigma) - session.columns["expected"][index])
    if driver.circular and math.isfinite(off):
        off = math.remainder(off, 2 * math.pi)
    return off / math.hypot(session.columns["uncertainty"][index], sigma)


def share_within(surprises: FloatArray, deviations: FloatArray) -> FloatArray:
    """How often readings were within so many standard deviations of what was expected, between 0 and 1; NaN when the
    model was never asked."""
    sizes = numpy.abs(surprises[numpy.isfinite(surprises)])
    if not sizes.size:
        return numpy.full(deviations.shape, numpy.nan)
    within: FloatArray = (sizes[:, numpy.newaxis] <= deviations).mean(axis=0)
    return within


def share_promised(deviations: FloatArray) -> FloatArray:
    """The same of a model whose deviations are right."""
    promised: FloatArray = scipy.special.erf(deviations / math.sqrt(2))
    return promised


def curves(session: Session, plan: Plan) -> Curves:
    """The readings of a plan's scalarizer and how they came closer to its goal."""
    values, sigmas = session.readings[plan.scalarizer]
    drove = [session.followed(index).scalarizer == plan.scalarizer for index in range(session.count)]
    closeness = numpy.array(
        [Objective.of(plan).closeness(float(told)) for told in plan.driver.without_excess(values, sigmas)]
    )
    best = numpy.full(session.count, numpy.nan)
    latest = -math.inf
    for index in range(session.count):
        is_better = closeness[index] > latest
        latest = closeness[index] if is_better else latest
        best[index] = values[index] if is_better else best[index - 1]
    return Curves(values, numpy.where(drove, session.columns["expected"], numpy.nan), best)


def view_then(session: Session, number: int) -> View | None:
    """What the model said after a step: the latest maps that were kept up to then; None before the first."""
    maps = session.maps(number)
    if maps is None:
        return None
    measured = int(session.map_steps[session.map_steps <= number][-1])
    # What was changed after the maps were made does not count for them.
    plan = session.followed(measured - 1)
    return View(plan, measured, maps, next_place(session, number), step_of(session, measured).model)


def view_by(session: Session, number: int, scalarizer: str, make_surrogate: MakeSurrogate | None = None) -> View | None:
    """What a model would have said after a step if this scalarizer had driven it: it learns from the readings of the
    first measurements. None when none of them is a number.

    Needs nothing but the session: no file of scalarizers, and no saved model that the run had started from.
    """
    if not numpy.isfinite(session.readings[scalarizer][0][:number]).any():
        return None
    plan = plan_by(session, number, scalarizer)
    experiment = Experiment(
        plan, Patches(session.survey, plan.patch_size), make_surrogate or functools.partial(deep_kernel_for, plan)
    )
    experiment.learn_from(session.measurements[:number])
    assert experiment.maps is not None
    upcoming = None
    # Finished, or nothing left that is far enough from what was measured.
    with contextlib.suppress(ValueError):
        upcoming = experiment.ask()
    return View(plan, number, experiment.maps, upcoming, experiment.explanation)


def plan_by(session: Session, number: int, scalarizer: str) -> Plan:
    """The plan followed after a step, as it were with another driver and without what it had started from.

    A value that was sought has another unit: the largest reading takes its place.
    """
    followed = session.followed(number)
    changes = {"scalarizer": scalarizer, "pretrained": "", "device": "auto"}
    if scalarizer != followed.scalarizer and followed.goal == VALUE:
        changes["goal"] = LARGEST
    settings = dataclasses.asdict(followed) | changes
    if not followed.seed_points:
        # A plan that starts from nothing must have one.
        settings |= {"seed_points": 1, "steps": followed.steps - 1}
    return Plan.from_json(json.dumps(settings), followed.scalarizers)


def next_place(session: Session, number: int) -> Proposal | None:
    """Where the run went after a step; None where it ended there."""
    return session.measurement(number).proposal if number < session.count else None


def nearest_step(session: Session, place: Position, number: int) -> int:
    """Which of the first steps was measured nearest to a place."""
    height, width = session.survey.shape
    rows, columns = (session.columns[name][:number] + 0.5 for name in ("row", "column"))
    return int(numpy.argmin(numpy.hypot(rows - place.y * height, columns - place.x * width))) + 1
