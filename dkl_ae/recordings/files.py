"""Files of many formats as arrays, of which nothing is read before it is asked for."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import logging
import math
import os
import pathlib
import shutil
import struct
import tempfile
import textwrap
import typing
import zipfile
from collections.abc import Callable, Iterator, Mapping

import numpy

from dkl_ae.recordings.arrays import StoredArray
from dkl_ae.recordings.frames import read_blockfile, read_empad, read_merlin
from dkl_ae.recordings.hdf5 import axes_of_swift, read_hdf5, read_zarr
from dkl_ae.recordings.signals import read_signals, read_velox
from dkl_ae.records import UserError

_Reader = Callable[[pathlib.Path, contextlib.ExitStack], list[StoredArray]]

_MOST_METADATA_BYTES: typing.Final = 2**26
"""Of a Swift file; its data are not among them."""
_LONGEST_REASON: typing.Final = 100
"""Characters."""


def read_arrays(file: pathlib.Path, closing: contextlib.ExitStack) -> list[StoredArray]:
    """All arrays of two to four axes in a file; what it is is told by its suffix.

    closing: what closes the file, once the arrays are not needed any more.

    Raises UserError, one sentence, for a file that is not there, is of no known format, or is damaged.
    """
    # Path.exists raises an exception for a name that is too long.
    if not os.path.exists(file):
        raise UserError(f"There is no file {file}: check its name.")
    suffix = file.suffix.lower()
    known = _FORMATS.get(suffix) or _of_rosettasciio(suffix)
    if known is None:
        raise UserError(f"{file} is of no format that is known: choose a {', '.join(_FORMATS)} file.")
    try:
        with _quiet_readers():
            return known.read(file, closing)
    except ModuleNotFoundError as error:
        raise UserError(f"{file} needs the package {error.name} to be read: run pip install {error.name}.") from error
    except Exception as error:
        # Readers fail in as many ways as there are formats: with errors of files, numbers, texts, indices, memory.
        raise UserError(
            f"{file} cannot be read as {known.name} ({reason_of(error)}): check that it is whole, or choose another."
        ) from error


def reason_of(error: Exception) -> str:
    """What a reader says of its failure, as a part of a sentence."""
    sentence = str(error).split(". ")[0].rstrip(".")
    return textwrap.shorten(sentence, _LONGEST_REASON, placeholder="...") or type(error).__name__


@contextlib.contextmanager
def _quiet_readers() -> Iterator[None]:
    """RosettaSciIO says on the terminal what a file does not tell; here that is asked for, where it is needed."""
    logger = logging.getLogger("rsciio")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _read_numpy(file: pathlib.Path, closing: contextlib.ExitStack) -> list[StoredArray]:
    return [StoredArray(file.stem, numpy.load(file, mmap_mode="r", allow_pickle=False))]


def _read_swift_archive(file: pathlib.Path, closing: contextlib.ExitStack) -> list[StoredArray]:
    """A zip archive, in which Swift compresses nothing; others may have packed it again."""
    with zipfile.ZipFile(file) as archive:
        if archive.getinfo("metadata.json").file_size > _MOST_METADATA_BYTES:
            raise ValueError("its metadata are far too long")
        properties = json.loads(archive.read("metadata.json"))
        entry = archive.getinfo("data.npy")
        if entry.compress_type == zipfile.ZIP_STORED:
            data = _mapped(file, entry.header_offset)
        else:
            folder = closing.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            _require_room(archive, entry, folder)
            data = numpy.load(archive.extract(entry, folder), mmap_mode="r", allow_pickle=False)
    return [StoredArray(properties.get("title") or file.stem, data, axes_of_swift(properties))]


def _require_room(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: str) -> None:
    """Raises ValueError when a NumPy file of an archive unpacks to anything else than its header says, or to more than
    the folder's disk has room for: a few kilobytes may unpack to petabytes."""
    with archive.open(entry) as packed:
        shape, _, dtype = _numpy_header(packed)
        told = packed.tell() + math.prod(shape) * dtype.itemsize
    if entry.file_size != told:
        raise ValueError(f"its data unpack to {entry.file_size} bytes where their header tells of {told}")
    free = shutil.disk_usage(folder).free
    if told > free:
        raise ValueError(f"its data unpack to {told / 1e9:.3g} GB but {folder} has room for {free / 1e9:.3g} GB")


def _numpy_header(raw: typing.IO[bytes]) -> tuple[tuple[int, ...], bool, numpy.dtype[typing.Any]]:
    """Shape, whether it is in Fortran's order, and type of a NumPy file that is read up to its data."""
    version = numpy.lib.format.read_magic(raw)
    read_header = (
        numpy.lib.format.read_array_header_1_0 if version == (1, 0) else numpy.lib.format.read_array_header_2_0
    )
    header: tuple[tuple[int, ...], bool, numpy.dtype[typing.Any]] = read_header(raw)
    return header


def _mapped(file: pathlib.Path, header_offset: int) -> typing.Any:
    """A memory map of the NumPy file that is stored, as it is, at an entry of a zip archive."""
    with file.open("rb") as raw:
        raw.seek(header_offset + 26)
        name_length, extra_length = struct.unpack("<HH", raw.read(4))
        raw.seek(name_length + extra_length, 1)
        shape, is_fortran, dtype = _numpy_header(raw)
        return numpy.memmap(raw, dtype, "r", raw.tell(), shape, "F" if is_fortran else "C")


def _read_hdf5(file: pathlib.Path, closing: contextlib.ExitStack) -> list[StoredArray]:
    arrays = read_hdf5(file, closing)
    is_velox = any(array.data.name.startswith("/Data/Image/") for array in arrays)
    return read_velox(file, closing) if is_velox else arrays


@dataclasses.dataclass(frozen=True)
class _Format:
    name: str
    read: _Reader


def _of_rosettasciio(suffix: str) -> _Format | None:
    """Any other format that RosettaSciIO reads."""
    import rsciio

    plugins = {extension: plugin for plugin in rsciio.IO_PLUGINS for extension in plugin["file_extensions"]}
    plugin = plugins.get(suffix.removeprefix("."))
    return plugin and _Format(plugin["name"], functools.partial(read_signals, plugin["api"]))


_HDF5 = _Format("HDF5", _read_hdf5)
_DIGITALMICROGRAPH = _Format("DigitalMicrograph", functools.partial(read_signals, "rsciio.digitalmicrograph"))
_SWIFT = _Format("Swift", _read_swift_archive)
_EMPAD = _Format("EMPAD", read_empad)
_FORMATS: typing.Final[Mapping[str, _Format]] = {
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    ".hspy": _HDF5,
    ".emd": _HDF5,
    ".zspy": _Format("Zarr", read_zarr),
    ".dm3": _DIGITALMICROGRAPH,
    ".dm4": _DIGITALMICROGRAPH,
    ".mib": _Format("Merlin", read_merlin),
    ".raw": _EMPAD,
    ".xml": _EMPAD,
    ".blo": _Format("blockfile", read_blockfile),
    ".ndata": _SWIFT,
    ".ndata1": _SWIFT,
    ".npy": _Format("NumPy", _read_numpy),
}
