"""What an experiment was told, in its order: measurements and commands."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy

from dkl_ae.experiment.commands import ChangeObjective, Entry
from dkl_ae.experiment.objective import Objective
from dkl_ae.model import Checkpoint, Readings
from dkl_ae.records import BoolArray, IntArray, Measurement, Origin, Reading
from dkl_ae.scalarizers import REASONS_OF_THE_RUN


def measurements_of(history: Sequence[Entry]) -> tuple[Measurement, ...]:
    return tuple(entry for entry in history if isinstance(entry, Measurement))


def best_of(history: Sequence[Entry], objective: Objective, unconfirmed: Collection[int] = ()) -> Measurement | None:
    """The measurement with the reading of the largest utility; None where no reading is a number.

    unconfirmed: candidates that do not count, but where there are no others.
    """
    readings = [(objective.reading(measurement)[0], measurement) for measurement in measurements_of(history)]
    known = [pair for pair in readings if math.isfinite(pair[0])]
    confirmed = [pair for pair in known if pair[1].proposal.candidate not in unconfirmed]
    return max(confirmed or known, key=lambda pair: objective.utility(pair[0]), default=(None, None))[1]


def revised_history(history: Sequence[Entry], revised: Mapping[int, Mapping[str, Reading]]) -> list[Entry]:
    """The same with readings, by candidate and by scalarizer, that later patterns have made known or changed."""
    return [
        entry.revised(revised.get(entry.proposal.candidate, {})) if isinstance(entry, Measurement) else entry
        for entry in history
    ]


def readings_of_history(history: Sequence[Entry], objective: Objective) -> Readings:
    """Those that are numbers, as the model is to see them."""
    measurements = measurements_of(history)
    values, sigmas = numpy.array([objective.reading(m) for m in measurements]).reshape(-1, 2).T
    candidates = numpy.array([m.proposal.candidate for m in measurements], numpy.int64)
    at_random = numpy.array([m.proposal.origin is Origin.SEED for m in measurements], numpy.bool_)
    return Readings(candidates, values, sigmas, at_random).known()


def common_sigma_of_history(history: Sequence[Entry], objective: Objective) -> float:
    """Standard deviation of the error that all readings have in common; of angles, which have each its own, the median.

    The model is not told it: what shifts all readings alike is no noise.
    """
    name = objective.scalarizer.name
    readings = (measurement.readings[name] for measurement in measurements_of(history))
    sigmas = [reading.common_sigma for reading in readings if math.isfinite(reading.value)]
    return float(numpy.median(sigmas)) if sigmas else 0.0


def outcomes_of_history(history: Sequence[Entry], objective: Objective) -> tuple[IntArray, BoolArray]:
    """The candidates that were measured, and whether each gave a number; both of shape (n,).

    Those are left out that tell nothing of their place: that gave none for what the run lacked, and whose pattern could
    not be read at all.
    """
    name = objective.scalarizer.name
    measurements = [
        m
        for m in measurements_of(history)
        if m.readings[name].reason not in REASONS_OF_THE_RUN
        and any(math.isfinite(reading.value) for reading in m.readings.values())
    ]
    candidates = numpy.array([m.proposal.candidate for m in measurements], numpy.int64)
    is_number = numpy.array([math.isfinite(objective.reading(m)[0]) for m in measurements], numpy.bool_)
    return candidates, is_number


def first_to_learn_from(history: Sequence[Entry], checkpoint: Checkpoint | None) -> int:
    """The first entry that the model must learn from when it starts from the checkpoint: whatever was learned before
    the last change of the objective is of no use after it."""
    first = max((i + 1 for i, entry in enumerate(history) if isinstance(entry, ChangeObjective)), default=0)
    if checkpoint is None:
        return first
    measured = 0
    for index, entry in enumerate(history):
        if measured == checkpoint.measured:
            return max(first, index)
        measured += isinstance(entry, Measurement)
    return len(history)
