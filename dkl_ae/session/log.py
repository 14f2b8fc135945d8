"""What events say in words, and the rows that hold it."""

from __future__ import annotations

import json
import time
import typing

import h5py
import numpy

from dkl_ae.records import software_versions
from dkl_ae.run import DriverChanged, Event, PointMeasured, RunEnded, RunPaused, RunResumed, StepCompleted
from dkl_ae.session.layout import TEXT


def append_told(opened: h5py.File, event: Event, measured: int, rows: int) -> int:
    """Write what an event says behind so many rows; returns how many there are then."""
    size = numpy.dtype(TEXT).itemsize
    for kind, text in _told(event):
        content = text.encode()
        pieces = [content[start : start + size] for start in range(0, len(content), size)] or [b""]
        for number, piece in enumerate(pieces):
            row = {"time": time.time(), "measured": measured, "kind": b"" if number else kind.encode(), "text": piece}
            for name, value in row.items():
                put(opened[f"events/{name}"], rows, value)
            rows += 1
    return rows


def _told(event: Event) -> list[tuple[str, str]]:
    """Kind and text of each row."""
    told: list[tuple[str, str]] = []
    match event:
        case PointMeasured(measurement=measurement):
            reasons: dict[str, list[str]] = {}
            for name, reading in measurement.readings.items():
                if reading.reason:
                    reasons.setdefault(reading.reason, []).append(name)
            told = [("trouble", json.dumps(reasons))] if reasons else []
        case StepCompleted(notices=notices):
            told = [("notice", notice) for notice in notices]
        case DriverChanged(plan=plan):
            followed = {"scalarizer": plan.scalarizer, "goal": plan.goal, "goal_value": plan.goal_value}
            told = [("driver", json.dumps(followed))]
        case RunPaused(paused=paused, reason=reason):
            told = [("paused" if paused else "went on", reason)]
        case RunResumed():
            told = [("resumed", json.dumps(software_versions()))]
        case RunEnded(outcome=outcome, message=message):
            told = [(str(outcome), message)]
    return told


def put(dataset: h5py.Dataset, index: int, value: typing.Any) -> None:
    """Write one row, making room for it."""
    reach(dataset, index + 1)
    dataset[index] = value


def reach(dataset: h5py.Dataset, length: int) -> None:
    """Make a dataset at least so long."""
    if len(dataset) < length:
        dataset.resize(length, axis=0)
