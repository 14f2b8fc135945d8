"""Parts of a scan, small enough to be worked on in memory."""

from __future__ import annotations

import dataclasses
import math

import numpy
import numpy.typing

from dkl_ae.records import BoolArray, IntArray

_CHUNK_PIXELS = 2**21
"""Detector pixels that a thread works on at a time: 16 MiB of them, and several times that while it does."""


@dataclasses.dataclass(frozen=True)
class Chunk:
    """A part of the scan."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    """First and one after the last."""

    @property
    def slices(self) -> tuple[slice, slice]:
        """What to index a map with."""
        return slice(*self.rows), slice(*self.columns)

    def pixels(self, chosen: BoolArray | None = None) -> IntArray:
        """Row and column of every pixel, or of those that are chosen of the scan, shape (H, W); shape (n, 2)."""
        rows, columns = (stop - start for start, stop in (self.rows, self.columns))
        inside = numpy.ones((rows, columns), numpy.bool_) if chosen is None else chosen[self.slices]
        pixels: IntArray = numpy.argwhere(inside) + numpy.array([self.rows[0], self.columns[0]])
        return pixels


def chunks_of(scan_shape: tuple[int, int], detector_shape: tuple[int, int]) -> list[Chunk]:
    """Parts of whole rows, or parts of a row where one row is too much."""
    height, width = scan_shape
    patterns = max(1, _CHUNK_PIXELS // math.prod(detector_shape))
    rows, columns = max(1, patterns // width), min(patterns, width)
    return [
        Chunk((row, min(row + rows, height)), (column, min(column + columns, width)))
        for row in range(0, height, rows)
        for column in range(0, width, columns)
    ]
