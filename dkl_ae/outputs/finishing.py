"""Writes beside its place what is then renamed: it is there whole, or not at all; what was there stays until then."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator, Sequence

from dkl_ae.outputs.places import require_place, unfinished_beside
from dkl_ae.records import UserError


@contextlib.contextmanager
def finished_file(
    place: pathlib.Path, inputs: Iterable[pathlib.Path | None] = (), *, overwrite: bool = False, option: str = "--out"
) -> Iterator[pathlib.Path]:
    """Write a file elsewhere, and put it in its place when all has gone well.

    To be entered before the work: what would be refused is refused then, and a place that cannot be written is found.

    Parameters
    ----------
    place, inputs, overwrite, option
        As `require_place` takes them. The folder is made if need be.

    Yields
    ------
    pathlib.Path
        An empty file, to be written.

    Raises
    ------
    UserError
        As `require_place` does, also when something was put there meanwhile.
    OSError
        When it cannot be written; nothing is left then.
    """
    inputs = tuple(inputs)
    require_place(place, inputs, overwrite=overwrite, option=option)
    real = pathlib.Path(os.path.realpath(place))
    unfinished = unfinished_beside(real)
    with _made(real.parent):
        try:
            unfinished.open("xb").close()
            yield unfinished
            synchronise(unfinished)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        with _kept(unfinished):
            require_place(place, inputs, overwrite=overwrite, option=option)
            unfinished.replace(real)


@contextlib.contextmanager
def finished_folder(
    folder: pathlib.Path,
    known: Sequence[str] = (),
    inputs: Iterable[pathlib.Path | None] = (),
    *,
    overwrite: bool = False,
    option: str = "--out",
) -> Iterator[pathlib.Path]:
    """Write files elsewhere, and put them into their folder when all has gone well.

    Parameters
    ----------
    folder : pathlib.Path
        Is made if need be; what else is in it stays.
    known : sequence of str
        Names of some of the files, which are asked for before the work.
    inputs, overwrite, option
        As `require_place` takes them, for every file.

    Yields
    ------
    pathlib.Path
        An empty folder.

    Raises
    ------
    UserError
        As `require_place` does for any of the files, and for what is there and is no folder.
    OSError
        When the files cannot be written; nothing is left then.
    """
    inputs = tuple(inputs)
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise UserError(f"{folder} is there already and no folder: choose another place with {option}.")

    def require_places(names: Iterable[str]) -> None:
        for name in names:
            require_place(folder / name, inputs, overwrite=overwrite, option=option)

    if os.path.isdir(folder):
        require_places(known)
    else:
        require_place(folder, inputs, option=option)
    real = pathlib.Path(os.path.realpath(folder))
    unfinished = unfinished_beside(real / "unfinished" if real.is_dir() else real)
    with _made(unfinished.parent):
        try:
            unfinished.mkdir()
            yield unfinished
            names = sorted(file.name for file in unfinished.iterdir())
            for name in names:
                synchronise(unfinished / name)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        with _kept(unfinished):
            require_places(names)
            if not real.exists():
                unfinished.replace(real)
                return
            for name in names:
                (unfinished / name).replace(os.path.realpath(real / name))
            unfinished.rmdir()


@contextlib.contextmanager
def _made(folder: pathlib.Path) -> Iterator[None]:
    """A folder is there; what had to be made for it is taken away again where nothing came of it."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for made in missing:
            with contextlib.suppress(OSError):
                made.rmdir()
        raise


@contextlib.contextmanager
def _kept(unfinished: pathlib.Path) -> Iterator[None]:
    """What is finished may have taken hours: where its place was lost meanwhile it stays, and that is told."""
    try:
        yield
    except (UserError, OSError) as error:
        raise UserError(f"{str(error).rstrip('.')}; what was made is in {unfinished}.") from error


def synchronise(file: pathlib.Path) -> None:
    """Have the system write a file to the disk, and tell now what it could not."""
    descriptor = os.open(file, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
