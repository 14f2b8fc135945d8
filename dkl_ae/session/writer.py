"""Keeps a run's events in its session file as they come.

Until the first pattern has come, the file is created anew and put in its place whole. From then on it is only appended
to: killed at any instant, it holds all that was kept before. When a write fails, HDF5 has lost track of the file; what
the disk holds is then copied, and the writer goes on with the copy.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import time
from collections.abc import Callable, Mapping, Sequence

import h5py

from dkl_ae.outputs import synchronise, unfinished_beside
from dkl_ae.records import brief
from dkl_ae.run import Event, InterruptedRun, NotKeptError, PointMeasured, ReferenceFound, SurveyAcquired
from dkl_ae.scalarizers import Scalarizer
from dkl_ae.session.append import SessionAppender, clear_writer_mark
from dkl_ae.session.create import create_session
from dkl_ae.session.disk.writer_lock import WriterLock
from dkl_ae.session.layout import About
from dkl_ae.session.other_patterns import make_room
from dkl_ae.settings import Plan


class SessionWriter:
    """Keeps one run in a file. Used from the run's thread alone.

    Parameters
    ----------
    file : pathlib.Path
        Is created. One that is there already stays until the first pattern takes its place.
    plan : Plan
        As the run begins.
    scalarizers : mapping of str to Scalarizer
        Those that read the patterns, by name.
    about : About or None
        A title, and the instrument.
    lock : WriterLock or None
        That of the file, where it is held already.

    Raises
    ------
    NotKeptError
        When another program writes the file, or its folder cannot be written to.
    """

    def __init__(
        self,
        file: pathlib.Path,
        plan: Plan,
        scalarizers: Mapping[str, Scalarizer],
        about: About | None = None,
        lock: WriterLock | None = None,
    ) -> None:
        self.file = file
        self._plan = plan
        self._scalarizers = scalarizers
        self._about = about or About()
        self._created = time.time()
        self._survey: SurveyAcquired | None = None
        self._reference: ReferenceFound | None = None
        self._waiting: list[Event] = []
        """What is not on the disk yet, or has no place there before there are patterns."""
        self._appender: SessionAppender | None = None
        self._broken = False
        self._takes_a_place = file.exists()
        self._is_closed = False
        self._lock = lock or _locked_in_new_folder(file)

    @property
    def is_kept(self) -> bool:
        """Whether the file holds this run."""
        return not self._takes_a_place and self.file.exists()

    @property
    def notice(self) -> str:
        """What to tell a person of how the file is kept; else empty."""
        return self._lock.notice

    @classmethod
    def append_to(
        cls,
        file: pathlib.Path,
        interrupted: InterruptedRun,
        scalarizers: Mapping[str, Scalarizer],
        about: About,
        lock: WriterLock,
    ) -> SessionWriter:
        """Go on with a session; the others are what it holds.

        lock: of the file, held since before it was read.

        Raises NotKeptError when the file cannot be written.
        """
        writer = cls(file, interrupted.plan, scalarizers, about, lock)
        writer._survey, writer._reference = interrupted.survey, interrupted.reference
        writer._takes_a_place = False
        try:
            clear_writer_mark(file)
            if _has_patterns(file):
                writer._appender = SessionAppender(file, interrupted.plan)
        except (OSError, RuntimeError, ValueError) as error:
            raise NotKeptError(
                f"The session file {file} cannot be written ({_reason(error)}): close it everywhere else, then resume."
            ) from error
        return writer

    def keep(self, event: Event) -> None:
        """Put an event on the disk, and all that could not be kept before.

        Raises NotKeptError when it cannot be written now; it is then kept with the next, or by `keep_waiting`.
        """
        match event:
            case SurveyAcquired():
                self._survey = event
            case ReferenceFound():
                self._reference = event
                self._waiting.append(event)
            case _:
                self._waiting.append(event)
        self.keep_waiting()

    def keep_waiting(self) -> None:
        """Put what waits on the disk; raises NotKeptError when it cannot be written."""
        try:
            if self._broken:
                self._go_on_with_a_copy()
            if self._appender is None:
                self._create()
            if self._appender is not None and self._appender.needs_room(self._waiting):
                self._go_on_with_a_copy(make_room)
            if self._appender is not None and self._waiting:
                self._broken = not self._appender.is_in_place()
                self._lock.hold()
                self._appender.require_space(self._waiting)
                # Until it has written everything, HDF5 may have lost track.
                self._broken = True
                self._appender.append(self._waiting)
                self._broken = False
                self._waiting.clear()
        except (OSError, RuntimeError) as error:
            raise NotKeptError(
                f"The session file {self.file} cannot be written ({_reason(error)}): fix this."
            ) from error

    def close(self) -> None:
        """Keep what waits, and let go of the file; raises NotKeptError when something could not be kept.

        Closing again does nothing: what could not be kept then would be put into a new file, in the place of this one.
        """
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if self._waiting and self._survey is not None:
                self.keep_waiting()
        finally:
            if self._appender is not None:
                self._appender.close()
                self._appender = None
            self._lock.release()

    def _create(self) -> None:
        """Create the file with all that is known; with the first pattern it gets datasets for those to come."""
        if self._survey is None:
            return
        first = next((event for event in self._waiting if isinstance(event, PointMeasured)), None)
        if self._takes_a_place and first is None:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._lock.hold()
        new_file = unfinished_beside(self.file)
        try:
            create_session(
                new_file,
                self._plan,
                self._scalarizers,
                self._about,
                self._created,
                self._survey,
                self._reference,
                first,
                [] if first is not None else self._waiting,
            )
            synchronise(new_file)
            new_file.replace(self.file)
        except OSError:
            new_file.unlink(missing_ok=True)
            raise
        self._takes_a_place = False
        if first is not None:
            self._appender = SessionAppender(self.file, self._plan)

    def _go_on_with_a_copy(self, change: Callable[[pathlib.Path, Sequence[Event]], None] | None = None) -> None:
        """change: what to do to the copy for the events that wait, before it takes the file's place."""
        assert self._appender is not None
        copy = unfinished_beside(self.file)
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._lock.hold()
            self._appender.copy_to(copy)
            clear_writer_mark(copy)
            if change is not None:
                change(copy, self._waiting)
                synchronise(copy)
            copy.replace(self.file)
        except PermissionError:
            # Windows does not replace a file that is open.
            self.file = self.file.with_name(f"{self.file.stem} continued{self.file.suffix}")
            self._lock.release()
            self._lock = WriterLock(self.file)
            copy.replace(self.file)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        old, self._appender = self._appender, SessionAppender(self.file, self._plan, self._appender.rows)
        # A broken one stays open: on closing HDF5 would try again to write what it could not.
        if not self._broken:
            old.close()
        self._broken = False


def locked(file: pathlib.Path) -> WriterLock:
    """The right to write a session file.

    Raises NotKeptError when another program writes it, or it cannot be written.
    """
    try:
        return WriterLock(file)
    except OSError as error:
        raise NotKeptError(
            f"The session file {file} cannot be written ({_reason(error)}): choose another place for it."
        ) from error


def _locked_in_new_folder(file: pathlib.Path) -> WriterLock:
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
    return locked(file)


def _has_patterns(file: pathlib.Path) -> bool:
    with h5py.File(file, "r") as opened:
        return "patterns" in opened


def _reason(error: Exception) -> str:
    """What went wrong, in the system's own words where HDF5 wraps them."""
    number = re.search(r"errno = (\d+)", str(error))
    if number:
        return os.strerror(int(number[1])).lower()
    return getattr(error, "strerror", None) or brief(error)
