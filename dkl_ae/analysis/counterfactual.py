"""What the model said after a step, and what it would have said, had the run optimized another scalarizer."""

from __future__ import annotations

import contextlib
import dataclasses
import functools

import numpy
import numpy.typing

from dkl_ae.analysis.steps import step_record
from dkl_ae.experiment import Experiment, Maps, Objective, deep_kernel_for, patches_for
from dkl_ae.model import MakeSurrogate, ModelSummary
from dkl_ae.records import Proposal, UserError
from dkl_ae.session import Session
from dkl_ae.settings import LARGEST, VALUE, Plan, Value, changed


@dataclasses.dataclass(frozen=True, eq=False)
class ModelView:
    """What a model says, or would have said, after a step."""

    objective: Objective
    """What it optimizes."""
    measured: int
    """Measurements that the maps rest on."""
    maps: Maps
    upcoming: Proposal | None
    """Where it measures next; None after the last step."""
    model: ModelSummary | None
    """What it says of itself."""


def recorded_view(session: Session, number: int) -> ModelView | None:
    """What the model said after a step: the latest maps that were kept up to then; None before the first."""
    maps = session.maps(number)
    if maps is None:
        return None
    measured = int(session.map_steps[session.map_steps <= number][-1])
    # What was changed after the maps were made does not count for them.
    objective = session.objective(measured - 1)
    return ModelView(objective, measured, maps, next_place(session, number), step_record(session, measured).model)


def counterfactual_view(
    session: Session, number: int, scalarizer: str, make_surrogate: MakeSurrogate | None = None
) -> ModelView | None:
    """What a model would have said after a step if the run had optimized this scalarizer: it learns from the readings
    of the first measurements. None when all of them are undefined.

    Needs nothing but the session: no file of scalarizers, and no saved model that the run had started from.
    """
    if not numpy.isfinite(session.readings[scalarizer][0][:number]).any():
        return None
    plan = counterfactual_plan(session, number, scalarizer)
    experiment = Experiment(
        plan,
        session.scalarizers,
        patches_for(plan, session.survey),
        make_surrogate or functools.partial(deep_kernel_for, plan),
    )
    experiment.fit_to(session.measurements[:number])
    assert experiment.maps is not None
    upcoming = None
    # Finished, or nothing left that is far enough from what was measured.
    with contextlib.suppress(UserError):
        upcoming = experiment.ask()
    return ModelView(experiment.objective, number, experiment.maps, upcoming, experiment.explanation)


def counterfactual_plan(session: Session, number: int, scalarizer: str) -> Plan:
    """The plan as it was after a step, as it were for another scalarizer and without what it had started from.

    A value that was looked for has another unit: the largest reading takes its place.
    """
    plan = session.plan_at(number)
    changes: dict[str, Value] = {"scalarizer": scalarizer, "pretrained": "", "compute_device": "auto"}
    if scalarizer != plan.objective.scalarizer and plan.objective.goal == VALUE:
        changes["goal"] = LARGEST
    if not plan.search.seed_points:
        # A plan that starts from nothing must have one.
        changes |= {"seed_points": 1, "model_points": plan.search.model_points - 1}
    return changed(plan, **changes)


def next_place(session: Session, number: int) -> Proposal | None:
    """Where the run went after a step; None where it ended there."""
    return session.measurement(number).proposal if number < session.count else None
