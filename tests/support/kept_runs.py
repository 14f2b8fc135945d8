"""Runs on a small recorded specimen that are kept in a session file, however they end."""

from __future__ import annotations

import pathlib
import typing
from collections.abc import Callable
from typing import Any

import pytest
from numcodecs.jenkins import jenkins_lookup3

from dkl_ae.experiment import ChangeObjective
from dkl_ae.run import Event, PointMeasured, ReferenceFound, Runner, StepCompleted
from dkl_ae.scalarizers import scalarizers_of
from dkl_ae.session import About, SessionWriter
from dkl_ae.settings import SMALLEST, Plan, make_plan
from tests.support.recorded_specimen import instrument

QUICK_PLAN = make_plan(patch_size=5, seed_points=6, model_points=9, random_seed=3, compute_device="cpu")
SWITCHED_AFTER = 10
"""Of its fifteen points."""


class KilledError(BaseException):
    """The program is gone."""


class MortalWriter(SessionWriter):
    """Of a program that may be killed: what the run does afterwards, it does not."""

    is_dead = False

    def kill(self) -> typing.NoReturn:
        self.is_dead = True
        raise KilledError

    def keep(self, event: Event) -> None:
        if not self.is_dead:
            super().keep(event)

    def close(self) -> None:
        if not self.is_dead:
            super().close()


def kept_run(
    file: pathlib.Path,
    plan: Plan = QUICK_PLAN,
    make_surrogate: Callable[..., Any] | None = None,
    *,
    title: str = "",
    switched_after: int | None = None,
    killed_after: int | None = None,
    stopped_at_reference: bool = False,
) -> list[Event]:
    """A run into a session file; what it told.

    switched_after: from this step on it seeks a small annular bright field.
    killed_after: once it has told of so many points, its process is as good as killed, its file not closed.
    """
    events: list[Event] = []

    def show(event: Event) -> None:
        events.append(event)
        if isinstance(event, StepCompleted) and event.number == switched_after:
            runner.give(ChangeObjective("abf", SMALLEST, 0.0))
        if isinstance(event, PointMeasured) and event.number == killed_after:
            writer.kill()
        if stopped_at_reference and isinstance(event, ReferenceFound):
            runner.stop()

    scalarizers = scalarizers_of(plan.objective)
    writer = MortalWriter(file, plan, scalarizers, About(title, {"kind": "test"}))
    runner = Runner(instrument(), plan, show, make_surrogate, scalarizers=scalarizers, recorder=writer)
    if killed_after is None:
        runner.run()
    else:
        with pytest.raises(KilledError):
            runner.run()
        leave_open(writer, file)
    return events


def leave_open(writer: SessionWriter, file: pathlib.Path) -> None:
    """What the system does for a process that is gone: its lock is free, and its file marked as HDF5 does while it is
    written."""
    writer._lock.release()
    if writer._appender is None:
        # Before the first pattern the file is made anew and closed each time.
        return
    writer._appender.close()
    content = bytearray(file.read_bytes())
    content[11] = 5
    content[28:36] = (17).to_bytes(8, "little")
    content[44:48] = jenkins_lookup3(bytes(content[:44])).to_bytes(4, "little")
    file.write_bytes(content)
