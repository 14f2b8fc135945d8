"""New HDF5 files on a disk that may be full.

HDF5 crashes on closing a file that it could not write. It is therefore never told: what it writes then goes nowhere but
into memory, and the failure is raised as soon as HDF5 does not look.
"""

from __future__ import annotations

import contextlib
import io
import pathlib
import typing
from collections.abc import Callable, Iterator

if typing.TYPE_CHECKING:
    import h5py


@contextlib.contextmanager
def new_hdf5(file: pathlib.Path) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """A new HDF5 file, in the place of what is there, whose groups are in the order in which they are made.

    Yields
    ------
    h5py.File
        To be written.
    callable
        Raises OSError when what was written so far could not be; to be called between parts of something large.

    Raises
    ------
    OSError
        When it could not be written.
    """
    # Loading it takes long.
    import h5py

    with file.open("w+b", buffering=0) as raw:
        stream = _Stream(raw)
        try:
            with h5py.File(stream, "w", track_order=True) as opened:
                yield opened, stream.require_written
        except Exception:
            # It may follow from what could not be written.
            stream.require_written()
            raise
        stream.require_written()


class _Stream(io.RawIOBase):
    """A file as HDF5 sees it, whose disk is never full."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw
        self._place = 0
        self._failure: OSError | None = None
        self._unwritten: list[tuple[int, bytes]] = []

    def require_written(self) -> None:
        if self._failure is not None:
            raise OSError(self._failure.errno, self._failure.strerror)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET:
            self._place = offset
        else:
            self._place = self._raw.seek(0, io.SEEK_END) + offset if whence == io.SEEK_END else self._place + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: typing.Any) -> int:
        """What is on the disk, and over it what could not be written."""
        found = memoryview(buffer).cast("B")
        start, end = self._place, self._place + len(found)
        found[:] = bytes(len(found))
        self._raw.seek(start)
        count = self._raw.readinto(found) or 0
        for place, part in self._unwritten:
            first, last = max(place, start), min(place + len(part), end)
            if first < last:
                found[first - start : last - start] = part[first - place : last - place]
                count = max(count, last - start)
        self._place += count
        return count

    def write(self, data: typing.Any) -> int:
        content = memoryview(data).cast("B")
        written = 0
        if self._failure is None:
            try:
                self._raw.seek(self._place)
                while written < len(content):
                    written += self._raw.write(content[written:]) or 0
            except OSError as error:
                self._failure = error
        if self._failure is not None:
            self._unwritten.append((self._place + written, bytes(content[written:])))
        self._place += len(content)
        return len(content)

    def truncate(self, size: int | None = None) -> int:
        size = self._place if size is None else size
        if self._failure is None:
            try:
                self._raw.truncate(size)
            except OSError as error:
                self._failure = error
        return size

    def flush(self) -> None:
        """Nothing waits here."""
