"""NumPy files of one array."""

from __future__ import annotations

import pathlib
import typing
import zipfile

import numpy
import numpy.typing

from dkl_ae.records import UserError


def load_array(file: pathlib.Path) -> numpy.typing.NDArray[typing.Any]:
    """Raises UserError, one sentence, for what is not a NumPy file of one array (.npy)."""
    try:
        # NumPy leaves a file open that it opened itself and cannot read.
        with file.open("rb") as stream:
            loaded = numpy.load(stream, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{file} cannot be read as a NumPy file: choose a .npy file.") from error
    if not isinstance(loaded, numpy.ndarray):
        raise UserError(f"{file} holds several arrays: choose a .npy file.")
    return loaded
