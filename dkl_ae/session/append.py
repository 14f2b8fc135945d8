"""Appends to a session file that has its first pattern: HDF5's single writer for multiple readers."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import pathlib
import shutil
import typing
from collections.abc import Sequence

import h5py
import numpy
import numpy.typing

from dkl_ae.experiment import Maps
from dkl_ae.model import Checkpoint, ModelSummary
from dkl_ae.outputs import synchronise
from dkl_ae.records import AnyArray, Measurement
from dkl_ae.run import (
    CommandApplied,
    Event,
    PointMeasured,
    ReadingsRevised,
    ReferenceRepeated,
    RunResumed,
    StepCompleted,
    StepTimes,
)
from dkl_ae.session import version_1
from dkl_ae.session.disk.space import reserve_space
from dkl_ae.session.disk.superblock import SIZE, repaired, stated_length
from dkl_ae.session.disk.torn import SurvivingRows
from dkl_ae.session.layout import FORMAT_OF_1_10, MAPS, MEASUREMENTS, READING_COLUMNS, STEPS, kept_steps
from dkl_ae.session.log import append_log, commands_of, put, reach
from dkl_ae.session.other_patterns import can_hold, need_room
from dkl_ae.session.reading import log_of
from dkl_ae.session.repeated import append_repeated, count_repeated
from dkl_ae.settings import Plan

CACHED_BYTES: typing.Final = 8192
"""Of each dataset: HDF5 looks at everything cached whenever it flushes, and a few rows are all that is written to."""

MIN_FREE_BYTES: typing.Final = 32 * 2**20
"""With less space on the disk nothing is written."""


@dataclasses.dataclass
class RowCounts:
    """How many rows are on the disk."""

    measurements: int = 0
    steps: int = 0
    ends: int = 0
    repeated: int = 0
    maps: int = 0
    checkpoints: int = 0
    archive: int = 0
    events: int = 0
    commands: int = 0


class SessionAppender:
    """The file while it is appended to."""

    def __init__(self, file: pathlib.Path, plan: Plan, rows: RowCounts | None = None) -> None:
        self._path = file
        with contextlib.ExitStack() as closing:
            self._descriptor = os.open(file, os.O_RDWR | getattr(os, "O_BINARY", 0))
            closing.callback(os.close, self._descriptor)
            reserve_space(self._descriptor, os.fstat(self._descriptor).st_size)
            opened = self._opened = closing.enter_context(
                h5py.File(file, "r+", libver=FORMAT_OF_1_10, rdcc_nbytes=CACHED_BYTES)
            )
            self._measurements = [opened[f"measurements/{column.name}"] for column in MEASUREMENTS]
            self._readings = {
                name: {column: group[column] for column in READING_COLUMNS if column in group}
                for name, group in opened["readings"].items()
            }
            self._version = int(opened.attrs["version"])
            step_columns = version_1.STEPS if self._version == 1 else STEPS
            self._step_columns = [column for column in step_columns if column.name in opened["steps"]]
            self._maps = [name for name in MAPS if name in opened["maps"]]
            self._steps = [opened[f"steps/{column.name}"] for column in self._step_columns]
            self._kept = kept_steps(plan, opened["survey/image"].shape)
            self._patterns = opened["patterns"]
            self._longest = max(map(len, self._columns()))
            self.rows = rows or self._count_rows()
            opened.swmr_mode = True
            closing.pop_all()

    def close(self) -> None:
        try:
            with contextlib.suppress(OSError, RuntimeError):
                self._opened.close()
                os.lseek(self._descriptor, 0, os.SEEK_SET)
                os.ftruncate(self._descriptor, stated_length(os.read(self._descriptor, SIZE)))
        finally:
            os.close(self._descriptor)

    def is_in_place(self) -> bool:
        """Whether the file still has its name."""
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))
        except OSError:
            return False

    def needs_room(self, events: Sequence[Event]) -> bool:
        """Whether some pattern of these events is not like those that the file can hold."""
        return need_room(self._opened, events)

    def require_space(self, events: Sequence[Event]) -> None:
        """Raises OSError when the file is gone, or there is no space on the disk for events."""
        if not os.path.samestat(os.stat(self._path), os.fstat(self._descriptor)):
            raise OSError("another file has taken its place")
        if shutil.disk_usage(self._path.parent).free < MIN_FREE_BYTES:
            raise OSError("no space left on the disk")
        reserve_space(self._descriptor, self._opened.id.get_filesize(), events)

    def append(self, events: Sequence[Event]) -> None:
        """Write events behind the rows that are on the disk; they are there when this returns."""
        rows = dataclasses.replace(self.rows)
        for event in events:
            match event:
                case PointMeasured():
                    self._append_point(event, rows)
                case StepCompleted():
                    self._append_step(event, rows)
                case ReferenceRepeated():
                    append_repeated(self._opened, event, rows.repeated)
                    rows.repeated += 1
                case ReadingsRevised(measurements=measurements):
                    self._revise(measurements)
                case CommandApplied(checkpoint=checkpoint, after_run=False):
                    rows.commands += 1
                    if checkpoint is not None:
                        self._append_checkpoint(checkpoint, rows)
                case RunResumed():
                    self._complete(event, rows)
            rows.events = append_log(self._opened, event, rows.measurements, rows.events)
        self._opened.flush()
        os.fsync(self._descriptor)
        self.rows = rows

    def copy_to(self, copy: pathlib.Path) -> None:
        """What the disk holds of the file, even when its name is gone."""
        with copy.open("wb") as target:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            while piece := os.read(self._descriptor, 1 << 20):
                target.write(piece)
        synchronise(copy)

    def _columns(self) -> list[h5py.Dataset]:
        return [*self._measurements, *(column for columns in self._readings.values() for column in columns.values())]

    def _count_rows(self) -> RowCounts:
        opened = self._opened
        starts, lengths = opened["model/start"], opened["model/length"]
        checkpoints = min(len(starts), len(lengths), len(opened["model/measured"]))
        measurements = min(len(self._patterns), *map(len, self._columns()))
        return RowCounts(
            measurements=measurements,
            steps=min(map(len, self._steps)),
            ends=min(len(opened["cross_ends/patterns"]), len(opened["cross_ends/measurement"])),
            repeated=count_repeated(opened, measurements),
            maps=min(len(opened["maps/step"]), *(len(opened[f"maps/{name}"]) for name in self._maps)),
            checkpoints=checkpoints,
            archive=int(starts[checkpoints - 1] + lengths[checkpoints - 1]) if checkpoints else 0,
            events=min(len(dataset) for dataset in opened["events"].values()),
            commands=len(commands_of(log_of(SurvivingRows(opened, opened.id.get_filesize()), self._version))),
        )

    def _append_point(self, event: PointMeasured, rows: RowCounts) -> None:
        index = event.number - 1
        # What it cannot hold stands beside it.
        is_alike = can_hold(self._patterns, event.frame.pattern)
        put(self._patterns, index, event.frame.pattern if is_alike else 0)
        if event.ends:
            ends = numpy.zeros(self._opened["cross_ends/patterns"].shape[1:], self._patterns.dtype)
            for end, frame in enumerate(event.ends):
                ends[end] = frame.pattern if can_hold(self._patterns, frame.pattern) else 0
            put(self._opened["cross_ends/patterns"], rows.ends, ends)
            put(self._opened["cross_ends/measurement"], rows.ends, index)
            put(self._opened["cross_ends/count"], rows.ends, len(event.ends))
            rows.ends += 1
        row = _Row(index, self._longest)
        self._longest = max(self._longest, index + 1)
        for column, dataset in zip(MEASUREMENTS, self._measurements, strict=True):
            row.write(dataset, numpy.array([column.of(event.measurement, event.dose)], column.dtype))
        for name, columns in self._readings.items():
            reading = event.measurement.readings[name]
            for name_of_column, stored in columns.items():
                row.write(stored, numpy.array([getattr(reading, name_of_column)]))
        rows.measurements = index + 1

    def _revise(self, measurements: Sequence[Measurement]) -> None:
        for name, columns in self._readings.items():
            readings = [measurement.readings[name] for measurement in measurements]
            for column, stored in columns.items():
                stored[: len(readings)] = [getattr(reading, column) for reading in readings]

    def _complete(self, event: RunResumed, rows: RowCounts) -> None:
        """What the run had no time to keep when it was killed."""
        measurements = event.interrupted.measurements
        measured = len(measurements)
        self._revise(measurements)
        if event.maps is not None and (not rows.maps or self._opened["maps/step"][rows.maps - 1] < measured):
            self._append_maps(measured, event.maps, rows)
        if rows.steps < measured:
            self._append_step_row(measured, None, event.explanation, rows)
        earlier = event.interrupted.checkpoint
        if event.checkpoint is not None and (earlier is None or event.checkpoint.measured > earlier.measured):
            self._append_checkpoint(event.checkpoint, rows)

    def _append_step(self, event: StepCompleted, rows: RowCounts) -> None:
        self._append_step_row(event.number, event.times, event.explanation, rows)
        if event.maps is not None:
            self._append_maps(event.number, event.maps, rows)
        if event.checkpoint is not None:
            self._append_checkpoint(event.checkpoint, rows)

    def _append_step_row(
        self, number: int, times: StepTimes | None, summary: ModelSummary | None, rows: RowCounts
    ) -> None:
        row = _Row(number - 1, max(map(len, self._steps)))
        for column, dataset in zip(self._step_columns, self._steps, strict=True):
            row.write(dataset, numpy.array([column.of(times, summary)], column.dtype))
        rows.steps = number

    def _append_maps(self, step: int, maps: Maps, rows: RowCounts) -> None:
        if step in self._kept:
            for name in self._maps:
                put(self._opened[f"maps/{name}"], rows.maps, getattr(maps, name).astype(numpy.float32))
            put(self._opened["maps/step"], rows.maps, step)
            rows.maps += 1

    def _append_checkpoint(self, checkpoint: Checkpoint, rows: RowCounts) -> None:
        content = numpy.frombuffer(_archive(checkpoint), numpy.uint8)
        archive = self._opened["model/archive"]
        reach(archive, rows.archive + len(content))
        archive[rows.archive : rows.archive + len(content)] = content
        columns = {
            "start": rows.archive,
            "length": len(content),
            "measured": checkpoint.measured,
            "commands": rows.commands,
        }
        for name, value in columns.items():
            # A file of version 1 does not tell the number of commands.
            if f"model/{name}" in self._opened:
                put(self._opened[f"model/{name}"], rows.checkpoints, value)
        rows.archive += len(content)
        rows.checkpoints += 1


def _archive(checkpoint: Checkpoint) -> bytes:
    """A checkpoint as a NumPy archive (.npz): the trainings, and each part's parameters under part/name."""
    stream = io.BytesIO()
    arrays: dict[str, AnyArray] = {
        f"{part}/{name}": value
        for part, parameters in enumerate(checkpoint.parameters)
        for name, value in parameters.items()
    }
    arrays["trainings"] = numpy.array(checkpoint.trainings)
    numpy.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


class _Row:
    """One row of every column of a group, which are equally long: to find its place for each anew takes longer than to
    write it."""

    def __init__(self, index: int, length: int) -> None:
        self._extent = (max(index + 1, length),)
        self._one = h5py.h5s.create_simple((1,))
        self._place = h5py.h5s.create_simple(self._extent, (h5py.h5s.UNLIMITED,))
        self._place.select_hyperslab((index,), (1,))

    def write(self, dataset: h5py.Dataset, value: AnyArray) -> None:
        """value: of shape (1,) and the dataset's type."""
        dataset.id.set_extent(self._extent)
        dataset.id.write(self._one, self._place, value)


def clear_writer_mark(file: pathlib.Path) -> None:
    """Take away the mark of a writer that was killed, so that the file can be opened; raises ValueError for what is no
    HDF5 file."""
    with file.open("r+b") as stream:
        block = stream.read(SIZE)
        length = stream.seek(0, os.SEEK_END)
        whole = repaired(block, length)
        if whole != block:
            stream.seek(0)
            stream.write(whole)
            stream.flush()
            os.fsync(stream.fileno())
