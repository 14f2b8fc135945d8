"""What the commands write to."""

from __future__ import annotations

import typing

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
