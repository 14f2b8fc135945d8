"""The reference's exposures that a run repeated, as its session keeps them: in both directions."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable, Mapping, Sequence

import h5py
import numpy

from dkl_ae.patterns import Reference
from dkl_ae.records import AnyArray
from dkl_ae.run import ReferenceRepeated, RepeatedExposure
from dkl_ae.session.disk.torn import SurvivingRows
from dkl_ae.session.layout import REPEATED, REPEATED_PATTERNS, Column
from dkl_ae.session.log import put
from dkl_ae.session.other_patterns import can_hold
from dkl_ae.session.reading import stored_frame


@dataclasses.dataclass(frozen=True)
class _RepeatedColumn(Column):
    of: Callable[[ReferenceRepeated], typing.Any] = lambda event: math.nan


REPEATED_COLUMNS: typing.Final[Sequence[_RepeatedColumn]] = (
    _RepeatedColumn(
        "place", "", "Which of the reference's exposures it repeats, from 0.", "i8", lambda event: event.repeated.place
    ),
    _RepeatedColumn("measured", "", "Measurements before it.", "i8", lambda event: event.repeated.measured),
    _RepeatedColumn(
        "is_trusted",
        "",
        "1, or 0 where the probe may have been elsewhere: then nothing was learned from it.",
        "i8",
        lambda event: event.repeated.is_trusted,
    ),
    _RepeatedColumn(
        "read_back_y",
        "survey height",
        "Where the probe was.",
        of=lambda event: event.repeated.frame.position_read_back.y,
    ),
    _RepeatedColumn(
        "read_back_x",
        "survey width",
        "Where the probe was.",
        of=lambda event: event.repeated.frame.position_read_back.x,
    ),
    _RepeatedColumn("exposure_s", "s", "Exposure.", of=lambda event: event.repeated.frame.exposure_s),
    _RepeatedColumn(
        "time", "s", "End of the exposure, since 1970-01-01 UTC.", of=lambda event: event.repeated.frame.time
    ),
    _RepeatedColumn(
        "total_exposure_s", "s", "Beam on the specimen so far, this included.", of=lambda event: event.dose.exposure_s
    ),
    _RepeatedColumn(
        "total_electrons",
        "e",
        "Electrons on the specimen so far, likewise.",
        of=lambda event: math.nan if event.dose.electrons is None else event.dose.electrons,
    ),
)


def append_repeated(opened: h5py.File, event: ReferenceRepeated, row: int) -> None:
    """Write one behind so many rows."""
    patterns, pattern = opened[REPEATED_PATTERNS], event.repeated.frame.pattern
    # What it cannot hold stands beside it.
    put(patterns, row, pattern if can_hold(patterns, pattern) else 0)
    for column in REPEATED_COLUMNS:
        put(opened[f"{REPEATED}/{column.name}"], row, column.of(event))


def count_repeated(opened: h5py.File, measurements: int) -> int:
    """How many rows are there whole, after no more than so many measurements: one whose measurement was lost is written
    over."""
    if REPEATED not in opened:
        return 0
    rows = min(len(dataset) for dataset in opened[REPEATED].values())
    return int(numpy.searchsorted(opened[f"{REPEATED}/measured"][:rows], measurements, side="right"))


def repeated_columns(surviving: SurvivingRows, count: int) -> Mapping[str, AnyArray]:
    """What a file still holds of them, after no more than so many measurements."""
    columns = {column.name: surviving.rows(f"{REPEATED}/{column.name}", column.dtype) for column in REPEATED_COLUMNS}
    rows = min(surviving.images(REPEATED_PATTERNS), *map(len, columns.values()))
    rows = int(numpy.searchsorted(columns["measured"][:rows], count, side="right"))
    return {name: column[:rows] for name, column in columns.items()}


def repeated_exposures(
    columns: Mapping[str, AnyArray], patterns: Sequence[AnyArray], reference: Reference
) -> tuple[RepeatedExposure, ...]:
    """patterns: of each row."""
    return tuple(
        RepeatedExposure(
            row + 1,
            int(columns["place"][row]),
            int(columns["measured"][row]),
            stored_frame(pattern, {name: column[row] for name, column in columns.items()}, reference),
            is_trusted=bool(columns["is_trusted"][row]),
        )
        for row, pattern in enumerate(patterns)
    )
