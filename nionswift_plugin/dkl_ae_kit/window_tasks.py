"""Small tasks worked off on the window's thread, a tick at a time, so that the window never stalls."""

from __future__ import annotations

import collections
import contextlib
import logging
import threading
import time
from collections.abc import Callable

from nion.swift import DocumentController

from dkl_ae.records import UserError

logger = logging.getLogger(__name__)

Task = Callable[[], None]

_TICK_S = 0.01
"""How long to work at a stretch before the window goes on."""


class WindowTasks:
    """A queue of tasks for the window's thread. `add` may be called from any thread, the others from the window's.

    on_failure: told of a task that failed; the others are done all the same.
    """

    def __init__(self, window: DocumentController.DocumentController, on_failure: Callable[[Exception], None]) -> None:
        self.longest_stretch_s = 0.0
        self.busy_s = 0.0
        self._window = window
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._tasks: collections.deque[Task] = collections.deque()
        self._awake = False

    def add(self, task: Task) -> None:
        """Do this after everything that is queued; never waits."""
        with self._lock:
            self._tasks.append(task)
            asleep, self._awake = not self._awake, True
        if asleep:
            self._wake()

    def split(self, *tasks: Task) -> None:
        """Called by a task: do these next, each one a task, before anything else that is queued."""
        with self._lock:
            self._tasks.extendleft(reversed(tasks))

    def finish(self) -> None:
        """Do everything that is left, at once."""
        while (task := self._next()) is not None:
            self._attempt(task)

    def _wake(self) -> None:
        # A window that is closing takes no more tasks; finish() then does those that are left.
        with contextlib.suppress(AttributeError):
            self._window.queue_task(self._work)

    def _next(self) -> Task | None:
        with self._lock:
            if self._tasks:
                return self._tasks.popleft()
            self._awake = False
            return None

    def _work(self) -> None:
        start = time.perf_counter()
        over = False
        while not over and (task := self._next()) is not None:
            self._attempt(task)
            over = time.perf_counter() - start > _TICK_S
        stretch = time.perf_counter() - start
        self.busy_s += stretch
        self.longest_stretch_s = max(self.longest_stretch_s, stretch)
        if over:
            self._wake()

    def _attempt(self, task: Task) -> None:
        try:
            task()
        except Exception as error:
            if not isinstance(error, UserError):
                logger.exception("A task on the window's thread failed.")
            self._on_failure(error)
