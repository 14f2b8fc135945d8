"""HDF5 files that a writer has left without closing, or that were cut off: all that they still hold is read."""

from __future__ import annotations

import io
import math
import pathlib
import typing

import h5py
import numpy

from dkl_ae.records import AnyArray, UserError
from dkl_ae.session.disk.superblock import SIZE, is_sound, repaired, stated_length

_MOST_COMPRESSED: typing.Final = 1032
"""How many times smaller deflate makes anything at most."""


def open_torn(file: pathlib.Path) -> tuple[h5py.File, int]:
    """The file, and how many bytes of it there are."""
    try:
        length = file.stat().st_size
        with file.open("rb") as stream:
            block = stream.read(SIZE)
    except OSError as error:
        raise UserError(f"The session {file} cannot be read ({error.strerror}): check its name.") from error
    try:
        stated = stated_length(block)
    except ValueError as error:
        raise UserError(f"{file} is no saved session ({error}): choose a file that a run has made.") from error
    if not is_sound(block):
        raise UserError(f"{file} is damaged at its beginning: restore it from a copy.")
    try:
        if repaired(block, length) == block:
            return h5py.File(file, "r"), length
        return h5py.File(RepairedFile(file, block, max(length, stated)), "r"), length
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{file} is damaged beyond reading: restore it from a copy.") from error


class RepairedFile(io.RawIOBase):
    """A file as it would be had its writer closed it: what is missing at its end reads as zeros."""

    def __init__(self, file: pathlib.Path, block: bytes, length: int) -> None:
        super().__init__()
        self._stream = file.open("rb")
        self._start = repaired(block, length)
        self._length = length
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, self._length)[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: typing.Any) -> int:
        view = memoryview(buffer).cast("B")
        count = max(min(len(view), self._length - self._position), 0)
        self._stream.seek(self._position)
        content = self._stream.read(count).ljust(count, b"\0")
        view[:count] = content
        if self._position < SIZE:
            start = self._start[self._position : self._position + count]
            view[: len(start)] = start
        self._position += count
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


class SurvivingRows:
    """Which rows of its datasets a file still holds."""

    def __init__(self, opened: h5py.File, length: int) -> None:
        self._opened = opened
        self._length = length
        self.is_cut = opened.id.get_filesize() > length
        self.doubtful: list[str] = []
        """Columns that are not what was written, by their checksum."""

    def written(self, name: str) -> int:
        """How many rows of a dataset there were."""
        return len(self._opened[name]) if name in self._opened else 0

    def rows(self, name: str, dtype: str = "f8") -> AnyArray:
        """What is left of a column."""
        if name not in self._opened:
            return numpy.empty(0, dtype)
        dataset = self._opened[name]
        count = self.images(name)
        try:
            rows: AnyArray = dataset[:count]
        except OSError:
            rows = _despite_checksum(dataset, count)
            self.doubtful.append(name)
        return rows

    def images(self, name: str) -> int:
        """How many rows of a dataset are there whole."""
        if name not in self._opened:
            return 0
        dataset = self._opened[name]
        self._require_possible(dataset)
        return self._before_cut(dataset) if self.is_cut else len(dataset)

    def _require_possible(self, dataset: typing.Any) -> None:
        """Raises ValueError for more rows than a file of this length can hold: nobody waits for them, or makes room."""
        row_bytes = dataset.dtype.itemsize * math.prod(dataset.shape[1:])
        # The last may be begun and not written.
        if (len(dataset) - 1) * row_bytes > _MOST_COMPRESSED * self._opened.id.get_filesize():
            raise ValueError(f"{dataset.name} cannot have {len(dataset)} rows")

    def _before_cut(self, dataset: typing.Any) -> int:
        first_lost = len(dataset)
        for start in range(0, len(dataset), dataset.chunks[0]):
            try:
                stored = dataset.id.get_chunk_info_by_coord((start, *([0] * (dataset.ndim - 1))))
            except (OSError, RuntimeError):
                return min(first_lost, start)
            if stored.byte_offset is None or stored.byte_offset + stored.size > self._length:
                return min(first_lost, start)
        return first_lost


def _despite_checksum(dataset: typing.Any, count: int) -> AnyArray:
    """Rows of a column of which a power cut may have left a chunk half written: one wrong number hides no other.

    Raises OSError where more than a checksum keeps them from being read.
    """
    if not dataset.fletcher32 or dataset.compression is not None:
        raise OSError(f"{dataset.name} cannot be read")
    rows, rows_in_chunk = numpy.empty(count, dataset.dtype), dataset.chunks[0]
    for start in range(0, count, rows_in_chunk):
        _, stored = dataset.id.read_direct_chunk((start,))
        chunk = numpy.frombuffer(stored, dataset.dtype, rows_in_chunk)
        rows[start : start + rows_in_chunk] = chunk[: count - start]
    return rows
