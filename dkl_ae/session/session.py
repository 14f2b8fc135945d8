"""A saved session: everything that a run left, read from its file."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import h5py
import numpy

from dkl_ae.experiment import Command, Entry, Maps, Objective
from dkl_ae.instruments import Frame
from dkl_ae.model import Checkpoint
from dkl_ae.patterns import Reference
from dkl_ae.records import AnyArray, FloatArray, IntArray, Measurement, Reading, Survey
from dkl_ae.run import Dose, Outcome, RepeatedExposure
from dkl_ae.scalarizers import Scalarizer
from dkl_ae.session.disk.damage import reading
from dkl_ae.session.layout import MAPS, REPEATED, REPEATED_PATTERNS, dose_from, measurement_from
from dkl_ae.session.log import LogEntry, commands_of, in_order, unconfirmed_of
from dkl_ae.session.other_patterns import name_beside, name_beside_repeated
from dkl_ae.session.reading import cross_ends, latest_checkpoint, reference_exposures, undefined_reasons
from dkl_ae.session.repeated import repeated_exposures
from dkl_ae.settings import Plan


class Stored:
    """A dataset of a session's file; reading from it raises UserError where it is damaged."""

    def __init__(self, file: pathlib.Path, dataset: h5py.Dataset) -> None:
        self._file = file
        self._dataset = dataset

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self._dataset.shape
        return shape

    @property
    def dtype(self) -> numpy.dtype[Any]:
        dtype: numpy.dtype[Any] = self._dataset.dtype
        return dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, place: Any) -> AnyArray:
        with reading(self._file):
            part: AnyArray = self._dataset[place]
            return part

    def attribute(self, name: str) -> Any:
        with reading(self._file):
            return self._dataset.attrs[name]


@dataclasses.dataclass(frozen=True, eq=False)
class Session:
    """What a run left. Patterns and maps are read from the file when they are asked for.

    Whatever reads from the file raises UserError, one sentence, where it is damaged.

    Measurements are numbered from 0 here, as in the file; point 1 is the first of them.
    """

    file: pathlib.Path
    version: int
    """Version of the session format that the file was written in."""
    title: str
    """Of the run, as in its Swift project."""
    created: str
    """When the run began, ISO 8601, UTC."""
    software: Mapping[str, str]
    """Versions of what the run was made with, by name."""
    instrument: Mapping[str, Any]
    """What the run was driven on, as JSON takes it; resuming takes from it what to drive again."""
    plan: Plan
    """As the run began."""
    scalarizers: Mapping[str, Scalarizer]
    """Those that read the run's patterns, by name; one of the user's own reads no more."""
    survey: Survey
    survey_dose: Dose
    """After the survey."""
    reference: Reference | None
    """What the patterns are read against; None where the run ended before there was one."""
    reference_pattern: FloatArray | None
    """Mean of the reference exposures, shape (ky, kx), counts."""
    reference_dose: Dose | None
    """After the reference; None before there is one."""
    count: int
    """How many measurements there are."""
    columns: Mapping[str, AnyArray]
    """Of the measurements, by name, each of shape (count,): see `dkl_ae.session.MEASUREMENTS`."""
    readings: Mapping[str, tuple[FloatArray, FloatArray]]
    """Values and sigmas of each scalarizer, by name, each of shape (count,)."""
    common_sigmas: Mapping[str, FloatArray]
    """Standard deviations of the error that all readings of a scalarizer have in common, likewise; zeros where the file
    does not tell it."""
    repeated: Mapping[str, AnyArray]
    """Of the reference's exposures that were repeated, likewise: see `dkl_ae.session.repeated.REPEATED_COLUMNS`."""
    steps: Mapping[str, AnyArray]
    """See `dkl_ae.session.STEPS`; there may be one row less than there are measurements."""
    map_steps: IntArray
    """After how many measurements the maps were kept, shape (m,)."""
    log: tuple[LogEntry, ...]
    """What was changed, what was notable and what went wrong, in its order."""
    losses: tuple[str, ...]
    """What a damaged file does not hold any more, in one sentence."""
    opened: h5py.File = dataclasses.field(repr=False)
    """The file itself: patterns and maps are read from it."""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; patterns and maps cannot be read afterwards."""
        self.opened.close()

    @functools.cached_property
    def commands(self) -> tuple[tuple[int, Command], ...]:
        """What was changed during the run, each with the number of measurements so far."""
        with reading(self.file):
            return commands_of(self.log)

    @property
    def history(self) -> tuple[Entry, ...]:
        """Measurements and commands, in their order."""
        return in_order(self.measurements, self.commands)

    def plan_at(self, measured: int) -> Plan:
        """The plan after so many measurements, as the commands so far have made it."""
        plan = self.plan
        for before, command in self.commands:
            if before <= measured:
                plan = command.changed(plan)
        return plan

    def objective(self, measured: int) -> Objective:
        """What was optimized after so many measurements."""
        return Objective.of(self.plan_at(measured).objective, self.scalarizers)

    def unconfirmed(self, scalarizer: str, measured: int) -> frozenset[int]:
        """Candidates whose readings of a scalarizer nothing confirmed after so many measurements, as far as the run
        knew: when it followed that scalarizer last."""
        for step in range(min(measured, len(self.steps["model_s"])), 0, -1):
            if (step, scalarizer) in self._unconfirmed:
                return self._unconfirmed[step, scalarizer]
            if scalarizer in {self.objective(followed).scalarizer.name for followed in (step - 1, step)}:
                break
        return frozenset()

    @functools.cached_property
    def _unconfirmed(self) -> dict[tuple[int, str], frozenset[int]]:
        with reading(self.file):
            return unconfirmed_of(self.log, self.plan)

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended; None when it was killed, or goes on."""
        last = next((entry for entry in reversed(self.log) if entry.kind in {*Outcome, "resumed"}), None)
        return Outcome(last.kind) if last is not None and last.kind != "resumed" else None

    @functools.cached_property
    def measurements(self) -> tuple[Measurement, ...]:
        """All of them, in their order."""
        return tuple(self.measurement(index) for index in range(self.count))

    def measurement(self, index: int) -> Measurement:
        """One of them, from 0."""
        reasons = self._reasons.get(index, {})
        readings = {
            name: Reading(
                float(values[index]),
                float(sigmas[index]),
                self.scalarizers[name].unit,
                reasons.get(name, ""),
                float(self.common_sigmas[name][index]),
            )
            for name, (values, sigmas) in self.readings.items()
        }
        with reading(self.file):
            return measurement_from({name: column[index] for name, column in self.columns.items()}, readings)

    @functools.cached_property
    def _reasons(self) -> dict[int, dict[str, str]]:
        with reading(self.file):
            return undefined_reasons(self.log, self.readings, self.count)

    def dose(self, measured: int) -> Dose:
        """The ledger after so many measurements."""
        if measured == 0:
            return self.reference_dose or self.survey_dose
        (repeated,) = numpy.nonzero(self.repeated["measured"] == measured)
        columns, row = (self.repeated, repeated[-1]) if repeated.size else (self.columns, measured - 1)
        return dose_from(columns["total_exposure_s"][row], columns["total_electrons"][row])

    def pattern(self, index: int) -> AnyArray:
        """Pattern of a measurement, from 0: shape (ky, kx), counts, as the camera gave it."""
        beside = name_beside(index)
        return self.stored(beside)[()] if beside in self.opened else self.stored("patterns")[index]

    def stored(self, name: str) -> Stored:
        """A dataset, which is read piece by piece."""
        with reading(self.file):
            return Stored(self.file, self.opened[name])

    def ends(self, index: int) -> AnyArray:
        """Patterns at the ends of the cross around a measurement, shape (ends, ky, kx), counts; none without one."""
        with reading(self.file):
            return cross_ends(self.opened, index)

    def reference_frames(self) -> tuple[Frame, ...]:
        """The exposures of the reference; none for a reference from a file."""
        with reading(self.file):
            return reference_exposures(self.opened, self.reference)

    def repeated_exposures(self) -> tuple[RepeatedExposure, ...]:
        """The reference's exposures that were repeated, in their order."""
        if self.reference is None:
            return ()
        patterns = [self._repeated_pattern(row) for row in range(len(self.repeated["measured"]))]
        return repeated_exposures(self.repeated, patterns, self.reference)

    def _repeated_pattern(self, row: int) -> AnyArray:
        beside = name_beside_repeated(row + 1)
        return self.stored(beside)[()] if beside in self.opened else self.stored(REPEATED_PATTERNS)[row]

    @property
    def has_room_for_repeated(self) -> bool:
        """Whether more of these can be kept in the file."""
        return REPEATED in self.opened or "patterns" not in self.opened

    def input(self, name: str) -> bytes | None:
        """What was in a file that the plan names, by the plan's setting: see `dkl_ae.session.INPUTS`."""
        with reading(self.file):
            inputs = self.opened.get("inputs", {})
            return inputs[name][:].tobytes() if name in inputs else None

    def maps(self, measured: int) -> Maps | None:
        """The latest kept maps that rest on no more than so many measurements; None before the first."""
        kept = int(numpy.searchsorted(self.map_steps, measured, side="right"))
        if kept == 0:
            return None
        names = (name for name in MAPS if name in self.opened["maps"])
        maps = {name: self.stored(f"maps/{name}")[kept - 1].astype(numpy.float64) for name in names}
        everywhere = numpy.where(numpy.isnan(maps["prediction"]), numpy.nan, 1.0)
        return Maps(**{"reading_probability": everywhere, **maps})

    def checkpoint(self) -> Checkpoint | None:
        """What the present model had learned when it was trained last; None where that was not kept."""
        with reading(self.file):
            return latest_checkpoint(self.opened, self.count, [measured for measured, _ in self.commands])
