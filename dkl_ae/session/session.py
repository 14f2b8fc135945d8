"""A saved session: everything that a run left, read from its file, also when the run was killed or the file cut off.

Nothing in the file is executed: a scalarizer of the user's own is known by its name, unit and readings alone.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import pathlib
import types
import typing
from collections.abc import Mapping

import h5py
import numpy
import numpy.typing

from dkl_ae.experiment import Command, Entry, Maps, Objective
from dkl_ae.instruments import Frame
from dkl_ae.model import Checkpoint
from dkl_ae.patterns import Patterns, Reference, reference_from_dict
from dkl_ae.records import AnyArray, FloatArray, IntArray, Measurement, Position, Reading, Survey, Symmetry, UserError
from dkl_ae.run import Dose, Outcome
from dkl_ae.scalarizers import SCALARIZERS, Scalarizer, ScalarizerResult
from dkl_ae.session.disk.torn import SurvivingRows, open_torn
from dkl_ae.session.layout import FORMAT, MAPS, MEASUREMENTS, STEPS, VERSION, dose_from, measurement_from
from dkl_ae.session.log import LogEntry, commands_of, in_order, read_log
from dkl_ae.settings import SETTINGS, Plan, changed, from_json, present_keys


@dataclasses.dataclass(frozen=True, eq=False)
class Session:
    """What a run left. Patterns and maps are read from the file when they are asked for.

    Measurements are numbered from 0 here, as in the file; step 1 is the first of them.
    """

    file: pathlib.Path
    version: int
    title: str
    created: str
    """When the run began, ISO 8601, UTC."""
    software: Mapping[str, str]
    instrument: Mapping[str, typing.Any]
    plan: Plan
    """As the run began."""
    scalarizers: Mapping[str, Scalarizer]
    """Those that read the run's patterns, by name; one of the user's own reads no more."""
    survey: Survey
    survey_dose: Dose
    """After the survey."""
    reference: Reference | None
    reference_pattern: FloatArray | None
    """Mean of the reference exposures, shape (ky, kx), counts."""
    reference_dose: Dose | None
    count: int
    """How many measurements there are."""
    columns: Mapping[str, AnyArray]
    """Of the measurements, by name, each of shape (count,): see `dkl_ae.session.MEASUREMENTS`."""
    readings: Mapping[str, tuple[FloatArray, FloatArray]]
    """ScalarizerResult and sigmas of each scalarizer, by name, each of shape (count,)."""
    steps: Mapping[str, AnyArray]
    """See `dkl_ae.session.STEPS`; there may be one row less than there are measurements."""
    map_steps: IntArray
    """After how many measurements the maps were kept, shape (m,)."""
    log: tuple[LogEntry, ...]
    losses: tuple[str, ...]
    """What a damaged file does not hold any more, in one sentence."""
    opened: h5py.File = dataclasses.field(repr=False)

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

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended; None when it was killed, or goes on."""
        last = next((h for h in reversed(self.log) if h.kind in {*Outcome, "resumed"}), None)
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
                float(values[index]), float(sigmas[index]), self.scalarizers[name].unit, reasons.get(name, "")
            )
            for name, (values, sigmas) in self.readings.items()
        }
        return measurement_from({name: column[index] for name, column in self.columns.items()}, readings)

    @functools.cached_property
    def _reasons(self) -> dict[int, dict[str, str]]:
        found: dict[int, dict[str, str]] = {}
        for happened in self.log:
            if happened.kind == "trouble":
                for reason, names in json.loads(happened.text).items():
                    found.setdefault(happened.measured - 1, {}).update(dict.fromkeys(names, reason))
        # What was revised later is a number after all.
        return {
            index: {name: reason for name, reason in reasons.items() if numpy.isnan(self.readings[name][0][index])}
            for index, reasons in found.items()
            if index < self.count
        }

    def dose(self, measured: int) -> Dose:
        """The ledger after so many measurements."""
        if measured == 0:
            return self.reference_dose or self.survey_dose
        totals = (self.columns[name][measured - 1] for name in ("total_exposure_s", "total_electrons"))
        return dose_from(*totals)

    def pattern(self, index: int) -> AnyArray:
        """Pattern of a measurement, from 0: shape (ky, kx), counts."""
        pattern: AnyArray = self.opened["patterns"][index]
        return pattern

    def ends(self, index: int) -> AnyArray:
        """Patterns at the ends of the cross around a measurement, shape (ends, ky, kx), counts; none without one."""
        if "cross_ends" not in self.opened:
            return numpy.empty((0, 0, 0))
        group = self.opened["cross_ends"]
        found = numpy.flatnonzero(group["measurement"][:] == index)
        if not found.size:
            return numpy.empty((0, *group["patterns"].shape[2:]))
        ends: AnyArray = group["patterns"][found[0]][: int(group["count"][found[0]])]
        return ends

    def reference_frames(self) -> tuple[Frame, ...]:
        """The exposures of the reference; none for a reference from a file."""
        group = self.opened.get("reference", {})
        if "exposures" not in group or self.reference is None:
            return ()
        return tuple(
            Frame(
                pattern,
                self.reference.mrad_per_pixel,
                self.reference.counts_per_electron,
                Position(float(y), float(x)),
                float(exposure_s),
                float(time),
            )
            for pattern, y, x, exposure_s, time in zip(
                *(group[name][:] for name in ("exposures", "read_back_y", "read_back_x", "exposure_s", "time")),
                strict=True,
            )
        )

    def input(self, name: str) -> bytes | None:
        """What was in a file that the plan names, by the plan's setting: see `dkl_ae.session.INPUTS`."""
        inputs = self.opened.get("inputs", {})
        return inputs[name][:].tobytes() if name in inputs else None

    def maps(self, measured: int) -> Maps | None:
        """The latest kept maps that rest on no more than so many measurements; None before the first."""
        known = int(numpy.searchsorted(self.map_steps, measured, side="right"))
        if known == 0:
            return None
        return Maps(*(self.opened[f"maps/{name}"][known - 1].astype(numpy.float64) for name in MAPS))

    def checkpoint(self) -> Checkpoint | None:
        """What the model that was followed last had learned when it was trained last."""
        if "model" not in self.opened:
            return None
        group = self.opened["model"]
        since = self.commands[-1][0] if self.commands else 0
        # Version 1 does not tell how many commands there were before a checkpoint.
        names = ("measured", "start", "length", *(("commands",) if "commands" in group else ()))
        for measured, start, length, *commands in reversed(
            list(zip(*(group[name][:] for name in names), strict=False))
        ):
            is_present = commands[0] == len(self.commands) if commands else since <= measured
            if is_present and measured <= self.count and start + length <= len(group["archive"]):
                return _checkpoint(int(measured), bytes(group["archive"][start : start + length]))
        return None


def open_session(file: pathlib.Path) -> Session:
    """Open a session file; one that is being written, or whose writer was killed, too. The file is not changed.

    Of a file that was cut off, all that it still holds is there, and `Session.losses` says what is not.

    Raises UserError, one sentence, for what is no session.
    """
    opened, length = open_torn(file)
    try:
        attributes = dict(opened.attrs)
        if attributes.get("format") != FORMAT:
            raise UserError(f"{file} is no saved session: choose a file that a run has made.")
        version = int(attributes["version"])
        if version > VERSION:
            raise UserError(f"{file} was saved by a newer version of dkl-ae (format {version}): update dkl-ae.")
        return _session(file, opened, attributes, length)
    except UserError:
        opened.close()
        raise
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        opened.close()
        raise UserError(f"{file} is damaged ({error}): restore it from a copy.") from error


def _session(file: pathlib.Path, opened: h5py.File, attributes: Mapping[str, typing.Any], length: int) -> Session:
    scalarizers = _scalarizers(opened)
    instrument = json.loads(attributes["instrument"])
    reference, reference_pattern, reference_dose = _reference(opened)
    held = SurvivingRows(opened, length)
    columns = {column.name: held.rows(f"measurements/{column.name}", column.dtype) for column in MEASUREMENTS}
    readings = {
        name: (held.rows(f"readings/{name}/value"), held.rows(f"readings/{name}/sigma")) for name in scalarizers
    }
    whole = min(
        held.images("patterns"),
        *(len(column) for column in columns.values()),
        *(len(part) for pair in readings.values() for part in pair),
    )
    written = max(held.written(f"measurements/{name}") for name in columns)
    steps = {column.name: held.rows(f"steps/{column.name}", column.dtype) for column in STEPS}
    complete = min(*map(len, steps.values()), whole)
    map_count = min(held.images(f"maps/{name}") for name in MAPS)
    map_steps = held.rows("maps/step", "i8")[:map_count]
    return Session(
        file=file,
        version=int(attributes["version"]),
        title=str(attributes["title"]),
        created=str(attributes["created"]),
        software=json.loads(attributes["software"]),
        instrument=instrument,
        plan=_plan(attributes["plan"], instrument),
        scalarizers=types.MappingProxyType(scalarizers or dict(SCALARIZERS)),
        survey=_survey(opened["survey/image"]),
        survey_dose=_dose(opened["survey"]),
        reference=reference,
        reference_pattern=reference_pattern,
        reference_dose=reference_dose,
        count=whole,
        columns=types.MappingProxyType({name: column[:whole] for name, column in columns.items()}),
        readings=types.MappingProxyType({name: (v[:whole], s[:whole]) for name, (v, s) in readings.items()}),
        steps=types.MappingProxyType({name: column[:complete] for name, column in steps.items()}),
        map_steps=map_steps,
        log=read_log(held),
        losses=(f"{file.name} is cut off: {whole} of {written} measurements are left of it.",) if held.is_cut else (),
        opened=opened,
    )


def _plan(text: str, instrument: Mapping[str, typing.Any]) -> Plan:
    """Version 1 kept the exposure and the devices beside the plan, as texts."""
    plan = from_json(text)
    texts = present_keys(instrument.get("settings", {}))
    kept = {
        key: SETTINGS[key].read(value)
        for key, value in texts.items()
        if key in SETTINGS and SETTINGS[key].group in ("devices", "exposure") and key not in json.loads(text)
    }
    return changed(plan, **kept)


def _survey(image: h5py.Dataset) -> Survey:
    return Survey(image[:].astype(numpy.float64), float(image.attrs["pixel_size_nm"]))


def _dose(group: h5py.Group) -> Dose:
    return dose_from(group.attrs["total_exposure_s"], group.attrs["total_electrons"])


def _reference(opened: h5py.File) -> tuple[Reference | None, FloatArray | None, Dose | None]:
    if "reference" not in opened:
        return None, None, None
    group = opened["reference"]
    arrays = {name: group[name][()] for name in ("pattern", "dark", "bad_pixels") if name in group}
    reference = reference_from_dict(json.loads(group.attrs["reference"]), arrays)
    return reference, group["mean_exposure"][:], _dose(group)


def _scalarizers(opened: h5py.File) -> dict[str, Scalarizer]:
    """Those that read the run's patterns: this version's own by their names, any other as it was reference_as_dict."""
    found = {}
    for name, group in opened.get("readings", {}).items():
        found[name] = SCALARIZERS.get(name) or Scalarizer(
            name,
            str(group.attrs["label"]),
            str(group["value"].attrs["units"]),
            str(group.attrs["description"]),
            _not_here,
            Symmetry(group.attrs["symmetry"]),
            circular=bool(group.attrs["circular"]),
        )
    return found


def _not_here(patterns: Patterns) -> ScalarizerResult:
    raise UserError("A saved session holds readings, not what read them: choose the scalarizer's own file.")


def _checkpoint(measured: int, content: bytes) -> Checkpoint:
    with numpy.load(io.BytesIO(content), allow_pickle=False) as archive:
        trainings = tuple(int(number) for number in archive["trainings"])
        parameters: tuple[dict[str, FloatArray], ...] = tuple({} for _ in trainings)
        for key in archive.files:
            part, _, name = key.partition("/")
            if name:
                parameters[int(part)][name] = archive[key]
    return Checkpoint(measured, trainings, parameters)
