"""Whatever a damaged file makes of its reader: one sentence."""

from __future__ import annotations

import contextlib
import pathlib
import typing
import zipfile
import zlib
from collections.abc import Iterator

from dkl_ae.records import UserError

_SIGNS: typing.Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What HDF5, NumPy and JSON raise, and whoever believes what was read."""
_MAX_REASON: typing.Final = 200


@contextlib.contextmanager
def reading(file: pathlib.Path) -> Iterator[None]:
    """While a session file is read: raises UserError for what can only come of damage."""
    try:
        yield
    except UserError:
        raise
    except _SIGNS as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:_MAX_REASON]
        raise UserError(f"{file} is damaged ({reason}): restore it from a copy.") from error
