"""Waiting for facts."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable

LOOK_AGAIN_S = 0.05


def wait_until(fact: Callable[[], bool], otherwise: str | pathlib.Path, timeout_s: float = 60.0) -> None:
    """Until something is so; if it is not in time, the test fails with a sentence, or with what a log says."""
    deadline = time.monotonic() + timeout_s
    while not fact():
        if time.monotonic() > deadline:
            raise AssertionError(otherwise if isinstance(otherwise, str) else f"not in time:\n{otherwise.read_text()}")
        time.sleep(LOOK_AGAIN_S)
