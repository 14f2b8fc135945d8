"""New HDF5 files on a disk that may be full at any byte."""

from __future__ import annotations

import pathlib
import tempfile
from unittest import mock

import h5py
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.outputs import hdf5 as module
from dkl_ae.outputs import new_hdf5


class FullDisk:
    """A file that has room for so many bytes; what is beyond is written in part, and then refused."""

    def __init__(self, raw, room: int) -> None:
        self._raw, self._room = raw, room

    def __getattr__(self, name: str):
        return getattr(self._raw, name)

    def write(self, data) -> int:
        left = self._room - self._raw.tell()
        if left <= 0:
            raise OSError(28, "No space left on device")
        return self._raw.write(memoryview(data)[:left])


def write(file: pathlib.Path, parts: int) -> None:
    with new_hdf5(file) as (opened, require_written):
        for part in range(parts):
            group = opened.create_group(f"part {part}")
            group.attrs["label"] = "x" * 500
            stored = group.create_dataset("stack", (20, 64, 64), "f8", chunks=(1, 64, 64), compression="gzip")
            for place in range(20):
                stored[place] = numpy.random.default_rng(place).random((64, 64))
                require_written()


@given(room=st.integers(0, 700_000), parts=st.integers(1, 2))
def test_a_file_is_whole_or_the_failure_is_told(room, parts) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "file.h5")
        stream = module._Stream
        with mock.patch.object(module, "_Stream", lambda raw: stream(FullDisk(raw, room))):
            try:
                write(file, parts)
            except OSError as error:
                told = error.errno
            else:
                told = None
        if told is not None:
            assert told == 28
            return
        assert file.stat().st_size <= room
        with h5py.File(file) as opened:
            assert len(opened) == parts
            for group in opened.values():
                numpy.testing.assert_array_equal(group["stack"][7], numpy.random.default_rng(7).random((64, 64)))


def test_a_failure_of_what_is_written_is_told_as_it_is(tmp_path) -> None:
    with pytest.raises(KeyError, match="mine"), new_hdf5(tmp_path / "file.h5"):
        raise KeyError("mine")
