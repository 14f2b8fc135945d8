"""A compressed Swift file unpacks to what its header says and there is room for, or not at all."""

from __future__ import annotations

import io
import pathlib
import shutil
import tempfile
import zipfile
from unittest import mock

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.recordings import open_recording
from dkl_ae.records import UserError


def packed(file: pathlib.Path, shape: tuple[int, ...], count: int, metadata: bytes = b"{}") -> pathlib.Path:
    """A file that tells of an array of a shape, and unpacks to so many bytes of zeros."""
    header = io.BytesIO()
    numpy.lib.format.write_array_header_2_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", metadata)
        archive.writestr("data.npy", header.getvalue() + bytes(count))
    return file


def opened(file: pathlib.Path) -> None:
    open_recording(file, nm_per_pixel=0.1, mrad_per_pixel=1.0, require_survey=False).close()


@given(side=st.integers(1, 6), more=st.integers(-100, 10**6))
def test_what_does_not_unpack_to_what_it_tells_is_refused_before(side, more) -> None:
    count = side**2 * 100
    with tempfile.TemporaryDirectory() as folder:
        file = packed(pathlib.Path(folder, "set.ndata"), (side, side, 10, 10), count + more)
        with mock.patch.object(
            zipfile.ZipFile, "extract", autospec=True, side_effect=zipfile.ZipFile.extract
        ) as extract:
            if more == 0:
                opened(file)
            else:
                with pytest.raises(UserError, match=r"its data unpack to \d+ bytes where their header tells of"):
                    opened(file)
        assert extract.called == (more == 0)


def test_what_there_is_no_room_for_is_refused_before(tmp_path, monkeypatch) -> None:
    file = packed(tmp_path / "set.ndata", (3, 3, 10, 10), 900)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: mock.Mock(free=901))
    with pytest.raises(UserError, match="has room for"):
        opened(file)


def test_metadata_do_not_fill_the_memory(tmp_path) -> None:
    file = packed(tmp_path / "set.ndata", (3, 3, 10, 10), 900, bytes(2**26 + 1))
    with pytest.raises(UserError, match="its metadata are far too long"):
        opened(file)
