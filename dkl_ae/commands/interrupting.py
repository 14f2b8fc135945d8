"""Ctrl-C while the program is being loaded, which takes longer than to find out that one did not mean it."""

from __future__ import annotations

import contextlib
import os
import signal
import typing
from collections.abc import Iterator

INTERRUPTED: typing.Final = 128 + int(signal.SIGINT)
"""The exit status after Ctrl-C, as shells have it."""
_STANDARD_ERROR: typing.Final = 2


@contextlib.contextmanager
def nothing_done_yet() -> Iterator[None]:
    """Ctrl-C ends the process at once, in one sentence.

    An exception would not do: many a library, while it is loaded, takes no notice of it, or makes another of it.
    """
    try:
        before = signal.signal(signal.SIGINT, _end)
    except ValueError:
        # Not in the main thread, which alone is interrupted.
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(*given: object) -> None:
    os.write(_STANDARD_ERROR, b"Interrupted: nothing was done.\n")
    os._exit(INTERRUPTED)
