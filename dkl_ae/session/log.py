"""A session's log: what happened, as rows of text, in both directions."""

from __future__ import annotations

import dataclasses
import json
import time
import typing
from collections.abc import Sequence

import h5py
import numpy

from dkl_ae.experiment import Command, Entry, command_from_json, command_to_json
from dkl_ae.patterns import zero_notice
from dkl_ae.records import Measurement, software_versions
from dkl_ae.run import (
    CommandApplied,
    Event,
    PointMeasured,
    ReferenceFound,
    RunEnded,
    RunPaused,
    RunResumed,
    StepCompleted,
    SurveyAcquired,
)
from dkl_ae.session.disk.torn import SurvivingRows
from dkl_ae.session.layout import TEXT
from dkl_ae.settings import Plan

COMMAND: typing.Final = "command"
"""A command was applied; its text is the command as JSON."""
CONTINUED: typing.Final = "continued"
UNCONFIRMED: typing.Final = "unconfirmed"
"""Readings that nothing confirms, after a step or a command; its text is their candidates as JSON. None without any."""


@dataclasses.dataclass(frozen=True)
class LogEntry:
    """One line of a session's log."""

    time: float
    """Seconds since the epoch."""
    measured: int
    """Measurements so far."""
    kind: str
    """command, notice, trouble, unconfirmed, paused, continued, resumed, or an outcome: finished, stopped, failed."""
    text: str


def read_log(rows: SurvivingRows) -> tuple[LogEntry, ...]:
    """Every line, as it stands in the file."""
    names = ("time", "measured", "kind", "text")
    lines: list[tuple[float, int, str, bytes]] = []
    for time_s, measured, kind, text in zip(*(rows.rows(f"events/{name}") for name in names), strict=False):
        if kind or not lines:
            lines.append((float(time_s), int(measured), kind.decode(), bytes(text)))
        else:
            lines[-1] = (*lines[-1][:3], lines[-1][3] + bytes(text))
    return tuple(LogEntry(*line[:3], line[3].decode()) for line in lines)


def commands_of(log: Sequence[LogEntry]) -> tuple[tuple[int, Command], ...]:
    """Each command with the number of measurements before it."""
    return tuple((entry.measured, command_from_json(entry.text)) for entry in log if entry.kind == COMMAND)


def unconfirmed_of(log: Sequence[LogEntry], plan: Plan) -> dict[tuple[int, str], frozenset[int]]:
    """Candidates whose readings nothing confirmed, by the number of measurements so far and by the scalarizer that was
    followed; none where all were confirmed.

    plan: as the run began.
    """
    found: dict[tuple[int, str], frozenset[int]] = {}
    for entry in log:
        if entry.kind == COMMAND:
            plan = command_from_json(entry.text).changed(plan)
        elif entry.kind == UNCONFIRMED:
            found[entry.measured, plan.objective.scalarizer] = frozenset(map(int, json.loads(entry.text)))
    return found


def in_order(measurements: Sequence[Measurement], commands: Sequence[tuple[int, Command]]) -> tuple[Entry, ...]:
    """The history of an experiment: measurements, and each command after those that came before it."""
    history: list[Entry] = []
    waiting = list(commands)
    for number, measurement in enumerate(measurements):
        while waiting and waiting[0][0] <= number:
            history.append(waiting.pop(0)[1])
        history.append(measurement)
    return (*history, *(command for _, command in waiting))


def append_log(opened: h5py.File, event: Event, measured: int, rows: int) -> int:
    """Write what an event says behind so many rows; returns how many there are then."""
    size = numpy.dtype(TEXT).itemsize
    for kind, text in log_rows(event):
        content = text.encode()
        pieces = [content[start : start + size] for start in range(0, len(content), size)] or [b""]
        for number, piece in enumerate(pieces):
            row = {"time": time.time(), "measured": measured, "kind": b"" if number else kind.encode(), "text": piece}
            for name, value in row.items():
                put(opened[f"events/{name}"], rows, value)
            rows += 1
    return rows


def log_rows(event: Event) -> list[tuple[str, str]]:
    """Kind and text of each row."""
    rows: list[tuple[str, str]] = []
    match event:
        case SurveyAcquired(notices=notices):
            rows = [("notice", notice) for notice in notices]
        case PointMeasured(measurement=measurement):
            reasons: dict[str, list[str]] = {}
            for name, reading in measurement.readings.items():
                if reading.reason:
                    reasons.setdefault(reading.reason, []).append(name)
            rows = [("trouble", json.dumps(reasons))] if reasons else []
        case ReferenceFound(reference=reference):
            rows = [("notice", notice)] if (notice := zero_notice(reference)) else []
        case StepCompleted(notices=notices, unconfirmed=unconfirmed):
            rows = [*(("notice", notice) for notice in notices), *_unconfirmed_rows(unconfirmed)]
        case CommandApplied(command=command, unconfirmed=unconfirmed):
            rows = [(COMMAND, command_to_json(command)), *_unconfirmed_rows(unconfirmed)]
        case RunPaused(paused=paused, reason=reason):
            rows = [("paused" if paused else CONTINUED, reason)]
        case RunResumed(unconfirmed=unconfirmed):
            rows = [("resumed", json.dumps(software_versions())), *_unconfirmed_rows(unconfirmed)]
        case RunEnded(outcome=outcome, message=message):
            rows = [(str(outcome), message)]
    return rows


def _unconfirmed_rows(candidates: Sequence[int]) -> list[tuple[str, str]]:
    return [(UNCONFIRMED, json.dumps(list(candidates)))] if candidates else []


def put(dataset: h5py.Dataset, index: int, value: typing.Any) -> None:
    """Write one row, making room for it."""
    reach(dataset, index + 1)
    dataset[index] = value


def reach(dataset: h5py.Dataset, length: int) -> None:
    """Make a dataset at least so long."""
    if len(dataset) < length:
        dataset.resize(length, axis=0)
