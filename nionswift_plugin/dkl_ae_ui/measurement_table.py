"""The measurements of a run as a table of numbers, one row a measurement."""

from __future__ import annotations

import math

import numpy
import numpy.typing

from dkl_ae.measurement import Measurement, Origin
from dkl_ae.scalarizers import SCALARIZERS

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
MEASUREMENT_COLUMNS = (
    *_POSITION_COLUMNS,
    *(
        column
        for scalarizer in SCALARIZERS.values()
        for column in (
            f"{scalarizer.name} ({scalarizer.unit})",
            f"{scalarizer.name} sigma ({scalarizer.unit})",
        )
    ),
)


def measurement_row(step: int, measurement: Measurement) -> numpy.typing.NDArray[numpy.float64]:
    """One row of the measurements, in the order of MEASUREMENT_COLUMNS."""
    proposal = measurement.proposal
    row = [
        step,
        proposal.row,
        proposal.column,
        proposal.origin is Origin.MODEL,
        math.nan if proposal.score is None else proposal.score,
        measurement.position_asked.y,
        measurement.position_asked.x,
        measurement.position_read_back.y,
        measurement.position_read_back.x,
        measurement.electrons,
        measurement.exposure_s,
        measurement.time,
    ]
    for name in SCALARIZERS:
        row += [measurement.readings[name].value, measurement.readings[name].sigma]
    return numpy.array(row, numpy.float64)
