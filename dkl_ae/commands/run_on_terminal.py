"""A run that is shown on the terminal: what dkl-ae replay and dkl-ae resume have in common."""

from __future__ import annotations

import concurrent.futures
import logging
import math
import threading
import typing
from collections.abc import Mapping

import numpy

from dkl_ae.analysis import dose_shares
from dkl_ae.commands.terminal import Terminal
from dkl_ae.instruments import Instrument
from dkl_ae.run import (
    Event,
    InterruptedRun,
    Outcome,
    PointMeasured,
    Runner,
    RunPaused,
    RunResumed,
    StepCompleted,
    SurveyAcquired,
)
from dkl_ae.scalarizers import Scalarizer
from dkl_ae.session import Session, SessionWriter, open_session
from dkl_ae.settings import Plan

RETRY_S: typing.Final = 3.0
"""So often a session file that could not be written is tried again."""
_BEST: typing.Final = 5
_LOOK_S: typing.Final = 0.2
"""Windows tells of Ctrl-C only between two waits."""


def carry_out(
    instrument: Instrument,
    plan: Plan,
    scalarizers: Mapping[str, Scalarizer],
    session: SessionWriter,
    terminal: Terminal,
    interrupted: InterruptedRun | None = None,
) -> int:
    """Carry out a run, or go on with one that was interrupted, until it ends or Ctrl-C stops it; returns the exit
    status."""
    # Warnings are of what the terminal shows anyway.
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    shown = _Shown(plan, terminal)
    runner = Runner(instrument, plan, shown, scalarizers=scalarizers, recorder=session, interrupted=interrupted)
    shown.go_on = runner.resume
    # Ctrl-C interrupts the main thread, and would break a run in it off at any place.
    with concurrent.futures.ThreadPoolExecutor(1, "run") as thread:
        run = thread.submit(runner.run)
        while not run.done():
            try:
                concurrent.futures.wait([run], _LOOK_S)
            except KeyboardInterrupt:
                runner.stop()
    ended = run.result()
    terminal.say(f"\n{ended.message}")
    if shown.is_kept or interrupted is not None:
        with open_session(session.file) as saved:
            terminal.say("\n".join(_told(saved)))
        if ended.outcome is not Outcome.FINISHED:
            terminal.say(f'To go on: dkl-ae resume "{session.file}"')
    return 0 if ended.outcome is Outcome.FINISHED else 1


class _Shown:
    """Shows a run's events as they come."""

    def __init__(self, plan: Plan, terminal: Terminal) -> None:
        self.is_kept = False
        """Whether there is anything in the session's file."""
        self.go_on: typing.Callable[[], None] = lambda: None
        """Ends a pause."""
        self._plan = plan
        self._terminal = terminal
        self._notices: set[str] = set()
        self._trouble = ""
        """Why the session file could not be written, until it is written again."""
        self._waits = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunPaused):
            self._show_trouble(event)
            return
        # A run that is stopped while it waits tells its last events without having kept them.
        if self._trouble and not self._waits:
            self._terminal.say("The session file is written again: the run goes on.")
            self._trouble = ""
        match event:
            case SurveyAcquired():
                self.is_kept = not self._waits
            case RunResumed(plan=plan):
                self._plan = plan
            case PointMeasured():
                self._show_reading(event)
            case StepCompleted(notices=notices):
                for notice in sorted(set(notices) - self._notices):
                    self._terminal.say(f"\n{notice}")
                self._notices.update(notices)

    def _show_trouble(self, event: RunPaused) -> None:
        """The run pauses by itself only, while its session cannot be written."""
        self._waits = event.paused
        if not event.paused:
            return
        if event.reason != self._trouble:
            self._terminal.say(f"\n{event.reason} It is tried again every {RETRY_S:g} s; Ctrl-C stops the run.")
            self._trouble = event.reason
        again = threading.Timer(RETRY_S, self.go_on)
        again.daemon = True
        again.start()

    def _show_reading(self, event: PointMeasured) -> None:
        reading = event.measurement.readings[self._plan.objective.scalarizer]
        number = f"{reading.value:.4g} {reading.unit}" if math.isfinite(reading.value) else "undefined"
        points = self._plan.search.points
        self._terminal.show_progress(
            100 * event.number // points, f"{event.number} of {points}: {self._plan.objective.scalarizer} {number}"
        )


def _told(session: Session) -> list[str]:
    """What came of a run, in lines."""
    return [*(_best_places(session) if session.count else ()), _dose(session), f"Saved the session {session.file}"]


def _best_places(session: Session) -> list[str]:
    objective = session.objective(session.count)
    scalarizer = objective.scalarizer
    values, sigmas = session.readings[scalarizer.name]
    utility = numpy.array([objective.utility(float(value)) for value in scalarizer.without_excess(values, sigmas)])
    # What is undefined comes last.
    best = numpy.argsort(-utility, kind="stable")[: min(_BEST, numpy.count_nonzero(numpy.isfinite(utility)))]
    lines = [f"Best positions for {objective.text()}:"]
    for index in best:
        y, x = (
            session.columns[f"read_back_{axis}"][index] * side * session.survey.pixel_size_nm
            for axis, side in zip("yx", session.survey.shape, strict=True)
        )
        reading = f"{values[index]:.4g} ± {sigmas[index]:.2g} {scalarizer.unit}".rstrip()
        lines.append(f"  y {y:.3f} nm, x {x:.3f} nm: {reading} (step {index + 1})")
    return lines


def _dose(session: Session) -> str:
    dose = dose_shares(session)
    electrons = f" ({dose.electrons:.3g} electrons)" if dose.electrons is not None else ""
    told = f"Dose: {dose.total_s:.3g} s of beam{electrons}, survey and reference included"
    if dose.full_scan_s is None:
        return f"{told}."
    height, width = session.survey.shape
    return (
        f"{told}; a scan of all {height} x {width} places takes {dose.full_scan_s:.3g} s, "
        f"{dose.full_scan_s / dose.total_s:.3g} times as much."
    )
