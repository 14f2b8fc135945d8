"""A small recorded specimen: a run on it meets the same patterns each time, whenever it was interrupted."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import numpy

from dkl_ae.instruments import Frame
from dkl_ae.instruments.column_instrument import ColumnInstrument
from dkl_ae.recordings import Recording
from dkl_ae.records import Position
from dkl_ae.simulation import ReplayColumn, VirtualColumn, graphene_with_silicon

SIDE = 24
EXPOSURE_S = 0.01


@functools.cache
def recording() -> Recording:
    """Graphene with silicon, a pattern at each of 24 x 24 places."""
    column = VirtualColumn(graphene_with_silicon(), seed=0)
    step = column.extent_nm[0] / SIDE
    places = (numpy.arange(SIDE) + 0.5) * step
    y, x = numpy.meshgrid(places, places, indexing="ij")
    survey = column.scan(column.channels[0], y, x, 3e4, 1e-5)
    patterns = numpy.stack([[column.expose(a, b, 2e5, 0.001) for b in places] for a in places]).astype(numpy.uint16)
    return Recording("a small specimen", patterns, survey, step, column.mrad_per_pixel)


def instrument() -> ColumnInstrument:
    """A microscope with that specimen."""
    return ColumnInstrument(ReplayColumn(recording()), exposure_s=EXPOSURE_S)


def instrument_that_tells(change: Callable[[int, Frame], Frame]) -> ColumnInstrument:
    """Likewise, but of what it exposed it tells something else.

    change: the number of a pattern, from 1, and its frame -> what is told of it.
    """
    microscope, numbers = instrument(), itertools.count(1)
    acquire = microscope.acquire_pattern

    def acquire_pattern(position: Position) -> Frame:
        return change(next(numbers), acquire(position))

    microscope.acquire_pattern = acquire_pattern  # type: ignore[method-assign]
    return microscope
