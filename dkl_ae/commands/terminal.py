"""What the commands write to, and what they say when they cannot be carried out."""

from __future__ import annotations

import argparse
import functools
import logging
import pathlib
import sys
import typing
from collections.abc import Callable

from dkl_ae.commands.interrupting import INTERRUPTED
from dkl_ae.records import UserError, sentence_of

logger = logging.getLogger(__name__)

_BAR_WIDTH = 40


class Terminal:
    """Writes to the terminal that was there at the start: Swift puts its own in the place of sys.stdout."""

    def __init__(self, stream: typing.TextIO) -> None:
        self._stream = stream
        self._last = ""

    def say(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def show_progress(self, percent: int, text: str) -> None:
        """Redraw one line on a terminal; elsewhere write a line for each change."""
        done = _BAR_WIDTH * percent // 100
        line = f"[{'#' * done}{'.' * (_BAR_WIDTH - done)}] {percent:3d} % {text[:60]}"
        if line == self._last:
            return
        self._last = line
        if self._stream.isatty():
            self._stream.write(f"\r{line:<110}")
            self._stream.flush()
        else:
            self.say(line)


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="take the place of an earlier file")


def named_file(name: str) -> pathlib.Path:
    """The type of an argument that names a file or a folder; an empty name would be taken for the present folder."""
    if not name:
        raise argparse.ArgumentTypeError("it is empty: name a file")
    return pathlib.Path(name)


Run = Callable[[argparse.Namespace, Terminal], int]
"""Carries out a command; returns its exit status."""
CannotWrite = Callable[[argparse.Namespace, OSError], str]
"""The sentence for a file or a folder that cannot be used."""


def guarded(
    interrupted: str, cannot_write: CannotWrite | None = None, missing: tuple[str, str] | None = None
) -> Callable[[Run], Run]:
    """A command that tells in one sentence why it could not be carried out; the log has the traceback of what is a
    failure of the program.

    interrupted: the sentence after Ctrl-C.
    missing: how the names of packages begin that may not be installed, and the sentence for such a {name}.
    """

    def decorate(run: Run) -> Run:
        @functools.wraps(run)
        def guarded_run(options: argparse.Namespace, terminal: Terminal) -> int:
            try:
                return run(options, terminal)
            except KeyboardInterrupt:
                sentence, status = interrupted, INTERRUPTED
            except Exception as error:
                sentence, status = _sentence(error, options), 1
            sys.stderr.write(f"{sentence}\n")
            return status

        def _sentence(error: Exception, options: argparse.Namespace) -> str:
            if isinstance(error, OSError) and cannot_write is not None:
                return cannot_write(options, error)
            if isinstance(error, ModuleNotFoundError) and missing is not None:
                start, sentence = missing
                if (error.name or "").startswith(start):
                    return sentence.format(name=error.name)
            if not isinstance(error, UserError):
                logger.error("The command failed.", exc_info=error)
            return sentence_of(error)

        return guarded_run

    return decorate
