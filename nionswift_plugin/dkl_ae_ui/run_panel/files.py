"""The files that the panel asks for, and those that it saves."""

from __future__ import annotations

import pathlib
import typing
from collections.abc import Callable

from nion.swift import DocumentController

from dkl_ae.outputs import finished_file
from dkl_ae.records import UserError

MODEL_SUFFIX: typing.Final = ".dklmodel"
REFERENCE_SUFFIX: typing.Final = ".npz"
MODEL_FILES: typing.Final = f"Saved models (*{MODEL_SUFFIX});;All files (*.*)"
REFERENCE_FILES: typing.Final = f"References (*{REFERENCE_SUFFIX} *.npy);;All files (*.*)"
PYTHON_FILES: typing.Final = "Python files (*.py);;All files (*.*)"


def ask_to_save(window: DocumentController.DocumentController, title: str, files: str) -> pathlib.Path | None:
    """Where the user wants to save; None for nowhere."""
    chosen, _, _ = window.get_save_file_path(title, "", files)
    return pathlib.Path(chosen) if chosen else None


def save(what: str, write: Callable[[pathlib.Path], None], file: pathlib.Path, suffix: str, use: str) -> str:
    """Save something, under the usual suffix where the file has none; says in one sentence what came of it.

    use: what the file is for.
    """
    file = file if file.suffix else file.with_suffix(suffix)
    try:
        # The dialog has asked already.
        with finished_file(file, overwrite=True) as unfinished:
            write(unfinished)
    except OSError as error:
        return f"The {what} cannot be saved as {file} ({error.strerror}): choose another place."
    except UserError as error:
        return f"The {what} cannot be saved: {error}"
    return f"Saved {file.name}: {use}."
