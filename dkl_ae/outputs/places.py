"""Where something may be written: one rule for all commands."""

from __future__ import annotations

import os
import pathlib
import secrets
import stat
import typing
from collections.abc import Iterable

from dkl_ae.records import UserError

_LONGEST_NAME: typing.Final = 255
"""Bytes of a file's name, on the usual disks."""
_LONGEST_SHOWN: typing.Final = 100
"""Letters."""


def require_place(
    place: pathlib.Path, inputs: Iterable[pathlib.Path | None] = (), *, overwrite: bool = False, option: str = "--out"
) -> None:
    """Refuse a place for a file where it would take something away; called before the work that makes the file.

    Parameters
    ----------
    place : pathlib.Path
        Where the file is to be.
    inputs : iterable of pathlib.Path or None
        What is read: files, and folders that are read as one. None is skipped.
    overwrite : bool
        Whether the file may take the place of an earlier one.
    option : str
        What names another place, for the sentence.

    Raises
    ------
    UserError
        For a place that is an input by whatever name, or in an input; for what is there and is no regular file; for a
        file that is there and is not to be overwritten, or must not be; for a name that cannot be.
    """
    elsewhere = f"choose another place with {option}"
    there = _found(place, elsewhere)
    for source in inputs:
        if source is not None and _is_of(place, source):
            name = "" if source == place else f" ({source})"
            raise UserError(f"{place} is what is read{name}: {elsewhere}.")
    if there is None:
        return
    if not stat.S_ISREG(there.st_mode):
        what = "a folder" if stat.S_ISDIR(there.st_mode) else "no regular file"
        raise UserError(f"{place} is {what}: {elsewhere}.")
    if not overwrite:
        raise UserError(f"{place} is there already: {elsewhere}, or --overwrite it.")
    if not os.access(place, os.W_OK):
        raise UserError(f"{place} is there already and protected against writing: {elsewhere}.")


def _found(place: pathlib.Path, elsewhere: str) -> os.stat_result | None:
    """What is at a place; None for nothing."""
    try:
        return place.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{shortened(place)} cannot be written ({reason}): {elsewhere}.") from error


def shortened(place: pathlib.Path) -> str:
    """A path as it is told, whose name may be of any length."""
    if len(place.name) <= _LONGEST_SHOWN:
        return str(place)
    return str(place.with_name(f"{place.name[:20]}...")) + f" (a name of {len(place.name)} characters)"


def _is_of(place: pathlib.Path, source: pathlib.Path) -> bool:
    """Whether a place is a source by this or another name, or inside of one that is a folder."""
    places = (place, *place.absolute().parents) if os.path.isdir(source) else (place,)
    return any(_is_same(one, source) for one in places)


def _is_same(one: pathlib.Path, other: pathlib.Path) -> bool:
    if os.path.exists(one) and os.path.exists(other):
        return one.samefile(other)
    # The other may be written only later.
    return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))


def free_place(place: pathlib.Path) -> pathlib.Path:
    """This place, or where something is there, the next of its name with a number."""
    numbered = (place.with_name(f"{place.stem} {number}{place.suffix}") for number in range(2, 10**6))
    return place if not os.path.lexists(place) else next(free for free in numbered if not os.path.lexists(free))


def unfinished_beside(place: pathlib.Path) -> pathlib.Path:
    """A place where nothing is, for what is not finished yet and will be renamed."""
    ending = f".{secrets.token_hex(4)}.part"
    # Cut by bytes: that is what disks count, and a letter may have four.
    name = os.fsencode(place.name)[: _LONGEST_NAME - len(ending)].decode(errors="ignore")
    return place.with_name(f"{name}{ending}")
