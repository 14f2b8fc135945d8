"""A run that is shown on the terminal: what dkl-ae replay and dkl-ae resume have in common."""

from __future__ import annotations

import collections
import concurrent.futures
import logging
import math
import threading
import typing
from collections.abc import Mapping

import numpy

from dkl_ae.analysis import confirmed_readings, dose_shares
from dkl_ae.commands.terminal import Terminal
from dkl_ae.instruments import Instrument
from dkl_ae.patterns import zero_notice
from dkl_ae.run import (
    Event,
    InterruptedRun,
    Outcome,
    PointMeasured,
    ReferenceFound,
    Runner,
    RunPaused,
    StepCompleted,
    SurveyAcquired,
    begun,
    folded,
    outlook_text,
    position_text,
    progress_text,
    reading_text,
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
    if session.notice:
        terminal.say(session.notice)
    size = instrument.survey_size if interrupted is None else None
    if size is not None and (outlook := outlook_text(plan, size)):
        terminal.say(f"Model: {outlook}.")
    shown = _Shown(plan, scalarizers, terminal)
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
    has_numbers = True
    if session.is_kept:
        with open_session(session.file) as saved:
            has_numbers = saved.count == 0 or bool(_best_places(saved))
            terminal.say("\n".join(_told(saved)))
        if ended.outcome is not Outcome.FINISHED:
            terminal.say(f'To go on: dkl-ae resume "{session.file}"')
    elif session.file.exists():
        terminal.say(f"{session.file} stays as it was.")
    return 0 if ended.outcome is Outcome.FINISHED and has_numbers else 1


class _Shown:
    """Shows a run's events as they come."""

    def __init__(self, plan: Plan, scalarizers: Mapping[str, Scalarizer], terminal: Terminal) -> None:
        self.go_on: typing.Callable[[], None] = lambda: None
        """Ends a pause."""
        self._status = begun(plan, scalarizers)
        self._terminal = terminal
        self._notices: set[str] = set()
        self._trouble = ""
        """Why the session file could not be written, until it is written again."""

    def __call__(self, event: Event) -> None:
        was_paused, self._status = self._status.paused, folded(self._status, event)
        if isinstance(event, RunPaused):
            self._show_trouble()
            return
        # A run that is stopped while it waits tells its last events without having kept them.
        if self._trouble and not was_paused:
            self._terminal.say("The session file is written again: the run goes on.")
            self._trouble = ""
        match event:
            case PointMeasured():
                self._terminal.show_progress(int(100 * self._status.fraction), progress_text(self._status))
            case ReferenceFound(reference=reference):
                if notice := zero_notice(reference):
                    self._terminal.say(f"\n{notice}")
            case SurveyAcquired(notices=notices) | StepCompleted(notices=notices):
                for notice in sorted(set(notices) - self._notices):
                    self._terminal.say(f"\n{notice}")
                self._notices.update(notices)

    def _show_trouble(self) -> None:
        """The run pauses by itself only, while its session cannot be written."""
        if not self._status.paused:
            return
        reason = self._status.pause_reason
        if reason != self._trouble:
            self._terminal.say(f"\n{reason} It is tried again every {RETRY_S:g} s; Ctrl-C stops the run.")
            self._trouble = reason
        again = threading.Timer(RETRY_S, self.go_on)
        again.daemon = True
        again.start()


def _told(session: Session) -> list[str]:
    """What came of a run, in lines."""
    about_points = [*_best_places(session), *_points_without_number(session)] if session.count else []
    return [*about_points, _dose(session), f"Saved the session {session.file}"]


def _points_without_number(session: Session) -> list[str]:
    """How many points gave no number of what was sought, and why."""
    scalarizer = session.objective(session.count).scalarizer
    readings = [measurement.readings[scalarizer.name] for measurement in session.measurements]
    reasons = collections.Counter(reading.reason for reading in readings if math.isnan(reading.value))
    if not reasons:
        return []
    of_all = f"{reasons.total()} of {session.count} points gave no number of {scalarizer.label}"
    told = [(reason, count) for reason, count in reasons.most_common() if reason]
    return [f"{of_all} ({told[0][1]} times: {told[0][0].rstrip('.')})." if told else f"{of_all}."]


def _best_places(session: Session) -> list[str]:
    objective = session.objective(session.count)
    scalarizer = objective.scalarizer
    values, sigmas = session.readings[scalarizer.name]
    utility = numpy.array([objective.utility(float(value)) for value in scalarizer.without_excess(values, sigmas)])
    confirmed = confirmed_readings(session, objective, session.count)
    best = confirmed[numpy.argsort(-utility[confirmed], kind="stable")][:_BEST]
    lines = [f"Best positions for {objective.text()}, from the survey's centre:"] if best.size else []
    for index in best:
        measurement = session.measurement(int(index))
        position = position_text(session.survey, measurement.position_read_back)
        lines.append(f"  {position}: {reading_text(measurement.readings[scalarizer.name])} (point {index + 1})")
    left_out = numpy.count_nonzero(numpy.isfinite(utility)) - confirmed.size
    return [*lines, f"Not among them: {left_out} that no other reading confirms."] if left_out else lines


def _dose(session: Session) -> str:
    dose = dose_shares(session)
    electrons = f" ({dose.electrons:.3g} electrons)" if dose.electrons is not None else ""
    dose_text = f"Dose: {dose.total_s:.3g} s of beam{electrons}, survey and reference included"
    if dose.full_scan_s is None:
        return f"{dose_text}."
    height, width = session.survey.shape
    return (
        f"{dose_text}; a scan of all {height} x {width} places takes {dose.full_scan_s:.3g} s, "
        f"{dose.full_scan_s / dose.total_s:.3g} times as much."
    )
