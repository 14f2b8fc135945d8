"""The measurements of a run as a table of numbers, one row a measurement."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy
import numpy.typing

from dkl_ae.records import Measurement, Origin
from dkl_ae.scalarizers import Scalarizer

_POSITION_COLUMNS = (
    "step",
    "row",
    "column",
    "chosen by the model",
    "acquisition score",
    "y asked",
    "x asked",
    "y read back",
    "x read back",
    "electrons",
    "exposure (s)",
    "time (s)",
)


def measurement_columns(scalarizers: Iterable[Scalarizer]) -> tuple[str, ...]:
    """What stands in each column: where, how, and every reading with its errors."""
    readings = (
        column
        for scalarizer in scalarizers
        for column in (
            _with_unit(scalarizer.name, scalarizer.unit),
            _with_unit(f"{scalarizer.name} sigma", scalarizer.unit),
            _with_unit(f"{scalarizer.name} common sigma", scalarizer.unit),
        )
    )
    return (*_POSITION_COLUMNS, *readings)


def measurement_row(step: int, measurement: Measurement) -> numpy.typing.NDArray[numpy.float64]:
    """One row of the measurements, in the order of `measurement_columns`."""
    proposal = measurement.proposal
    row = [
        step,
        proposal.row,
        proposal.column,
        proposal.origin is not Origin.SEED,
        math.nan if proposal.score is None else proposal.score,
        measurement.position_asked.y,
        measurement.position_asked.x,
        measurement.position_read_back.y,
        measurement.position_read_back.x,
        measurement.electrons,
        measurement.exposure_s,
        measurement.time,
    ]
    for reading in measurement.readings.values():
        row += [reading.value, reading.sigma, reading.common_sigma]
    return numpy.array(row, numpy.float64)


def _with_unit(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name
