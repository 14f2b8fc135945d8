"""Reads what single groups of a session file hold.

Nothing in the file is executed: a scalarizer of the user's own is known by its name, unit and readings alone.
"""

from __future__ import annotations

import io
import json
import typing
from collections.abc import Mapping, Sequence

import h5py
import numpy

from dkl_ae.instruments import Frame
from dkl_ae.model import Checkpoint
from dkl_ae.patterns import Patterns, Reference, reference_from_dict
from dkl_ae.records import AnyArray, FloatArray, Position, Survey, Symmetry, UserError
from dkl_ae.run import Dose
from dkl_ae.scalarizers import SCALARIZERS, Scalarizer, ScalarizerResult
from dkl_ae.session import version_1
from dkl_ae.session.disk.torn import SurvivingRows
from dkl_ae.session.layout import dose_from
from dkl_ae.session.log import LogEntry, read_log


def survey_of(image: h5py.Dataset) -> Survey:
    return Survey(image[:].astype(numpy.float64), float(image.attrs["pixel_size_nm"]))


def dose_of(group: h5py.Group) -> Dose:
    """The ledger after what a group holds."""
    return dose_from(group.attrs["total_exposure_s"], group.attrs["total_electrons"])


def reference_of(opened: h5py.File) -> tuple[Reference | None, FloatArray | None, Dose | None]:
    """The reference, the mean of its exposures, and the ledger after them; None each before there is one."""
    if "reference" not in opened:
        return None, None, None
    group = opened["reference"]
    arrays = {name: group[name][()] for name in ("pattern", "dark", "bad_pixels") if name in group}
    reference = reference_from_dict(json.loads(group.attrs["reference"]), arrays)
    return reference, group["mean_exposure"][:], dose_of(group)


def reference_exposures(opened: h5py.File, reference: Reference | None) -> tuple[Frame, ...]:
    """The exposures of the reference; none for a reference from a file."""
    group = opened.get("reference", {})
    if "exposures" not in group or reference is None:
        return ()
    names = ("read_back_y", "read_back_x", "exposure_s", "time")
    rows = zip(*(group[name][:] for name in names), strict=True)
    return tuple(
        stored_frame(pattern, dict(zip(names, row, strict=True)), reference)
        for pattern, row in zip(group["exposures"][:], rows, strict=True)
    )


def stored_frame(pattern: AnyArray, row: Mapping[str, typing.Any], reference: Reference) -> Frame:
    """An exposure of the reference, first or repeated, from its row of each column."""
    return Frame(
        pattern,
        reference.mrad_per_pixel,
        reference.counts_per_electron,
        Position(float(row["read_back_y"]), float(row["read_back_x"])),
        float(row["exposure_s"]),
        float(row["time"]),
    )


def scalarizers_of(opened: h5py.File) -> dict[str, Scalarizer]:
    """Those that read the run's patterns: this version's own by their names, any other by what the file says of it."""
    return {
        name: SCALARIZERS.get(name)
        or Scalarizer(
            name,
            str(group.attrs["label"]),
            str(group["value"].attrs["units"]),
            str(group.attrs["description"]),
            _cannot_read,
            Symmetry(group.attrs["symmetry"]),
            circular=bool(group.attrs["circular"]),
        )
        for name, group in opened.get("readings", {}).items()
    }


def _cannot_read(patterns: Patterns) -> ScalarizerResult:
    raise UserError("A saved session holds readings, not what read them: choose the scalarizer's own file.")


def log_of(rows: SurvivingRows, version: int) -> tuple[LogEntry, ...]:
    """Every line of the log, as this version writes it."""
    entries = read_log(rows)
    return tuple(map(version_1.log_entry, entries)) if version == 1 else entries


def undefined_reasons(
    log: Sequence[LogEntry], readings: Mapping[str, tuple[FloatArray, FloatArray]], count: int
) -> dict[int, dict[str, str]]:
    """Why readings are undefined, by the index of the measurement and the scalarizer."""
    reasons: dict[int, dict[str, str]] = {}
    for entry in log:
        if entry.kind == "trouble":
            for reason, names in json.loads(entry.text).items():
                reasons.setdefault(entry.measured - 1, {}).update(dict.fromkeys(names, reason))
    # What was revised later is a number after all.
    return {
        index: {name: reason for name, reason in of_one.items() if numpy.isnan(readings[name][0][index])}
        for index, of_one in reasons.items()
        if index < count
    }


def cross_ends(opened: h5py.File, index: int) -> AnyArray:
    """Patterns at the ends of the cross around a measurement, shape (ends, ky, kx), counts; none without one."""
    if "cross_ends" not in opened:
        return numpy.empty((0, 0, 0))
    group = opened["cross_ends"]
    rows = numpy.flatnonzero(group["measurement"][:] == index)
    if not rows.size:
        return numpy.empty((0, *group["patterns"].shape[2:]))
    ends: AnyArray = group["patterns"][rows[0]][: int(group["count"][rows[0]])]
    return ends


def latest_checkpoint(opened: h5py.File, count: int, commands: Sequence[int]) -> Checkpoint | None:
    """What the present model had learned when it was trained last; None where that was not kept.

    count: measurements that there are.
    commands: the number of measurements before each command.
    """
    if "model" not in opened:
        return None
    group = opened["model"]
    measured, starts, lengths = (group[name][:] for name in ("measured", "start", "length"))
    # Version 1 kept none with a command: one of as many measurements is of the model before it.
    before = group["commands"][:] if "commands" in group else numpy.searchsorted(commands, measured)
    rows = list(zip(measured, starts, lengths, before, strict=False))
    for trained_on, start, length, commands_before in reversed(rows):
        is_present = commands_before == len(commands) and trained_on <= count
        if is_present and start + length <= len(group["archive"]):
            return _checkpoint(int(trained_on), bytes(group["archive"][start : start + length]))
    return None


def _checkpoint(measured: int, content: bytes) -> Checkpoint:
    with numpy.load(io.BytesIO(content), allow_pickle=False) as archive:
        trainings = tuple(int(number) for number in archive["trainings"])
        parameters: tuple[dict[str, FloatArray], ...] = tuple({} for _ in trainings)
        for key in archive.files:
            part, _, name = key.partition("/")
            if name:
                parameters[int(part)][name] = archive[key]
    return Checkpoint(measured, trainings, parameters)
