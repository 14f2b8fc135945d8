"""What other threads ask of a run: to hold, to go on, to stop, to change something."""

from __future__ import annotations

import threading

from dkl_ae.experiment import Command


class StopRequestedError(Exception):
    """The operator asked the run to stop."""


class Controls:
    """Set from any thread, obeyed in the run's."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._go = threading.Event()
        self._go.set()
        self._lock = threading.Lock()
        self._commands: list[Command] = []
        self._has_ended = False

    def pause(self) -> None:
        """A run that is stopping is not held."""
        if not self._stop.is_set():
            self._go.clear()

    def resume(self) -> None:
        self._go.set()

    def stop(self) -> None:
        self._stop.set()
        self._go.set()

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

    @property
    def is_held(self) -> bool:
        return not self._go.is_set() and not self._stop.is_set()

    def wait(self) -> None:
        """Until the run is to go on, or to stop."""
        self._go.wait()

    def require_going_on(self) -> None:
        """Raises StopRequestedError when the run is to stop."""
        if self._stop.is_set():
            raise StopRequestedError

    def give(self, command: Command) -> bool:
        """Ask for a change; whether the run will see it: one that has ended does not."""
        with self._lock:
            if not self._has_ended:
                self._commands.append(command)
            return not self._has_ended

    def take_commands(self) -> list[Command]:
        """What was asked for since the last time, in its order."""
        with self._lock:
            commands, self._commands = self._commands, []
            return commands

    def end(self) -> None:
        """The run takes no more commands but those that it was given."""
        with self._lock:
            self._has_ended = True
