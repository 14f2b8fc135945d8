"""What other threads ask of a run: to hold, to go on, to stop, to change something."""

from __future__ import annotations

import threading

from dkl_ae.experiment import Command


class StopRequestedError(Exception):
    """The operator asked the run to stop."""


class Controls:
    """Set from any thread, obeyed in the run's."""

    def __init__(self) -> None:
        # Of a reentrant lock: who handles Ctrl-C in the thread that holds it may ask for a stop.
        self._changed = threading.Condition(threading.RLock())
        self._is_stopping = False
        self._is_held = False
        self._commands: list[Command] = []
        self._has_ended = False

    def pause(self) -> None:
        """A run that is stopping is not held."""
        with self._changed:
            self._is_held = not self._is_stopping

    def resume(self) -> None:
        with self._changed:
            self._is_held = False
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._is_stopping = True
            self._is_held = False
            self._changed.notify_all()

    @property
    def is_stopping(self) -> bool:
        return self._is_stopping

    @property
    def is_held(self) -> bool:
        return self._is_held

    def wait(self) -> None:
        """Until the run is to go on, or to stop."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_held)

    def require_going_on(self) -> None:
        """Raises StopRequestedError when the run is to stop."""
        if self._is_stopping:
            raise StopRequestedError

    def give(self, command: Command) -> bool:
        """Ask for a change; whether the run will see it: one that has ended does not."""
        with self._changed:
            if not self._has_ended:
                self._commands.append(command)
            return not self._has_ended

    def take_commands(self) -> list[Command]:
        """What was asked for since the last time, in its order."""
        with self._changed:
            commands, self._commands = self._commands, []
            return commands

    def end(self) -> list[Command]:
        """The run takes no more commands; returns those that it was given and has not taken."""
        with self._changed:
            self._has_ended = True
            return self.take_commands()
