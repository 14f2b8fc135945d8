"""Which readings are measured once more before they lead: those that nothing confirms.

A reading is measured again right beside its place, where the patch is nearly the same: not at the place itself, which
was exposed already. What is read there confirms the reading or belies it, by what the model makes of both.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Collection, Sequence

from dkl_ae.experiment.chooser import Chooser
from dkl_ae.experiment.history import best_of
from dkl_ae.experiment.objective import Objective
from dkl_ae.records import Measurement, Origin, Patches

_PARTS_OF_PATCH: typing.Final = 4
"""A patch that is moved by one part of so many still shows nearly the same."""


def reach_nm(patches: Patches) -> float:
    """How far at most a confirmation is from the reading that it confirms."""
    return patches.size / _PARTS_OF_PATCH * patches.survey.pixel_size_nm


def to_confirm(
    measurements: Sequence[Measurement],
    objective: Objective,
    patches: Patches,
    *,
    unconfirmed: Collection[int],
    contradicted: Collection[int],
) -> list[Measurement]:
    """The measurements that are to be confirmed, the one nearest to the goal first.

    They are those that the model contradicts, and those that would lead if they were believed. Each is confirmed once,
    and a confirmation is not confirmed itself: a specimen that no model can tell would be measured twice everywhere.

    measurements: all of them, in their order.
    unconfirmed, contradicted: candidates; see `dkl_ae.model.Doubts`. What is contradicted is unconfirmed too.
    """
    leading = best_of([m for m in measurements if m.proposal.candidate not in unconfirmed], objective)
    to_beat = -math.inf if leading is None else _utility(leading, objective)
    waiting = [
        measurement
        for index, measurement in enumerate(measurements)
        if measurement.proposal.candidate in unconfirmed
        and measurement.proposal.origin is not Origin.CONFIRMATION
        and (measurement.proposal.candidate in contradicted or _utility(measurement, objective) > to_beat)
        and not _is_tried(measurement, measurements[index + 1 :], patches)
    ]
    return sorted(waiting, key=lambda measurement: -_utility(measurement, objective))


def places_beside(
    waiting: Sequence[Measurement], chooser: Chooser, patches: Patches, most: int
) -> dict[int, Measurement]:
    """Candidates right beside some measurements, each with the one that it is to confirm; none where it may not be
    measured."""
    found: dict[int, Measurement] = {}
    for measurement in waiting:
        if len(found) == most:
            break
        beside = chooser.beside(measurement.proposal.candidate, reach_nm(patches), list(found))
        if beside is not None:
            found[beside] = measurement
    return found


def confirmation_text(objective: Objective, measurement: Measurement) -> str:
    """What the operator is told."""
    reading = measurement.readings[objective.scalarizer.name]
    value = f"{reading.value:.4g} {reading.unit}".rstrip()
    place = f"pixel ({measurement.proposal.row}, {measurement.proposal.column})"
    return f"Nothing confirms the {objective.scalarizer.label} of {value} at {place}: it is measured once more beside."


def _utility(measurement: Measurement, objective: Objective) -> float:
    return objective.utility(objective.reading(measurement)[0])


def _is_tried(measurement: Measurement, later: Sequence[Measurement], patches: Patches) -> bool:
    """Whether a confirmation was measured within reach since."""
    distances, reach = patches.distances_nm(measurement.proposal.candidate), reach_nm(patches)
    return any(m.proposal.origin is Origin.CONFIRMATION and distances[m.proposal.candidate] <= reach for m in later)
