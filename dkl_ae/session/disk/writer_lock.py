"""One program at a time writes a session: it holds a lock of the operating system, which a kill releases by itself.

The lock is on a file beside the session, and not on the session itself: HDF5 locks that in its own way, and on Windows
nobody could read what is locked.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import socket
import typing
import weakref

from filelock import lock_descriptor

from dkl_ae.run import NotKeptError

_SUFFIX: typing.Final = ".lock"
_NOTE: typing.Final = 1
"""Where it is said who holds the lock: on Windows nobody else can read the first byte, which is what is locked."""
_MAX_NOTE_BYTES: typing.Final = 1000


class WriterLock:
    """The right to write a session, from when this is made until it is released, or the program ends in any way.

    Parameters
    ----------
    file : pathlib.Path
        The session, which need not be there; its folder is.

    Raises
    ------
    NotKeptError
        When another program writes the session.
    OSError
        When the folder cannot be written to.
    """

    def __init__(self, file: pathlib.Path) -> None:
        self._file = file
        # However the session is named, by a link or from another folder, it has one lock.
        real = file.resolve()
        self._path = real.with_name(f"{real.name}{_SUFFIX}")
        self._let_go: weakref.finalize[..., typing.Any] | None = None
        self._descriptor = -1
        self.notice = ""
        """What to tell a person when the folder cannot lock files; else empty."""
        self.hold()

    def hold(self) -> None:
        """Take the lock again, where its file was removed; see the class for what it raises."""
        if self.notice or (self._let_go is not None and _is_in_place(self._path, self._descriptor)):
            return
        self.release()
        descriptor = self._taken()
        if descriptor is not None:
            self._descriptor = descriptor
            self._let_go = weakref.finalize(self, _leave, self._path, descriptor)
            _held.add(self)

    def release(self) -> None:
        if self._let_go is not None:
            self._let_go()
            self._let_go = None

    def forget(self) -> None:
        """In the child of a fork: the lock stays its parent's, and does not outlive it."""
        if self._let_go is not None:
            self._let_go.detach()
            self._let_go = None
            os.close(self._descriptor)

    def _taken(self) -> int | None:
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            with contextlib.ExitStack() as closing:
                closing.callback(os.close, descriptor)
                try:
                    is_free = lock_descriptor(descriptor, blocking=False)
                except OSError:
                    self._path.unlink()
                    self.notice = (
                        f"{self._path.parent} cannot lock files, so nothing keeps another program from "
                        f"{self._file.name}: go on with it nowhere else meanwhile."
                    )
                    return None
                if not is_free:
                    raise NotKeptError(
                        f"{self._file} is written by {_holder(descriptor)}: stop the run there, or wait for its end."
                    )
                # Who held it before may have removed the file after it was opened here.
                if _is_in_place(self._path, descriptor):
                    _write_note(descriptor)
                    closing.pop_all()
                    return descriptor


_held: typing.Final[weakref.WeakSet[WriterLock]] = weakref.WeakSet()


def _forget_all() -> None:
    for lock in list(_held):
        lock.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _is_in_place(path: pathlib.Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _leave(path: pathlib.Path, descriptor: int) -> None:
    is_left = False
    with contextlib.suppress(OSError):
        try:
            if _is_in_place(path, descriptor):
                path.unlink()
        except PermissionError:
            is_left = True
    os.close(descriptor)
    if is_left:
        # Windows removes no file that is open; if another program has it by now, it stays.
        with contextlib.suppress(OSError):
            path.unlink()


def _write_note(descriptor: int) -> None:
    note = json.dumps({"process": os.getpid(), "host": socket.gethostname()}).encode()
    os.lseek(descriptor, _NOTE, os.SEEK_SET)
    os.write(descriptor, note)
    os.ftruncate(descriptor, _NOTE + len(note))


def _holder(descriptor: int) -> str:
    os.lseek(descriptor, _NOTE, os.SEEK_SET)
    try:
        note = json.loads(os.read(descriptor, _MAX_NOTE_BYTES))
        return f"process {int(note['process'])} on {note['host']}"
    except (OSError, ValueError, TypeError, KeyError):
        return "another program"
