"""What must be so after every run, whatever went wrong in it."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import typing
from collections.abc import Iterator, Sequence

import h5py
import numpy

from dkl_ae.records import UserError
from dkl_ae.run import Event, NotKeptError, Outcome, PointMeasured, RunEnded, Runner, SurveyAcquired
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.session import About, Session, SessionWriter, open_session
from dkl_ae.session.resume import _interrupted_run
from dkl_ae.session.writer import locked
from tests.support.counting_instrument import CountingInstrument
from tests.support.surrogates import TrainedNeighbour

SCALARIZED: typing.Final = ("com_magnitude", "abf", "bragg_spacing", "charge_density", "principal_component")
LACKING: typing.Final = "What the session file lacks is in the memory of this program alone."
LONGEST_SENTENCE: typing.Final = 1500


@dataclasses.dataclass(frozen=True, eq=False)
class Ended:
    """A run that is over."""

    events: Sequence[Event]
    """All that it told."""
    left_with: Sequence[BaseException]
    """What went on to its caller, if anything."""
    raised: BaseException | None
    """What was put in."""
    is_blanked: bool
    is_restored: bool

    @property
    def end(self) -> RunEnded:
        return next(event for event in self.events if isinstance(event, RunEnded))

    @property
    def points(self) -> list[PointMeasured]:
        return [event for event in self.events if isinstance(event, PointMeasured)]


def first_trouble(ended: Ended, file: pathlib.Path) -> str:
    """What is not as it must be, in words; empty where all is."""
    for troubles in (_of_exit(ended), _of_end(ended), _of_session(ended, file), _of_resuming(ended, file)):
        for trouble in troubles:
            return trouble
    return ""


def _of_exit(ended: Ended) -> Iterator[str]:
    if not ended.left_with and ended.raised is not None and not isinstance(ended.raised, Exception):
        yield "what was to end the program was swallowed"
    for error in ended.left_with:
        if isinstance(error, Exception) or error is not ended.raised:
            yield f"it left with {error!r}"


def _of_end(ended: Ended) -> Iterator[str]:
    count = sum(isinstance(event, RunEnded) for event in ended.events)
    if count != 1:
        yield f"its end was told {count} times"
    message = ended.end.message
    if not message or message.splitlines() != [message] or len(message) > LONGEST_SENTENCE or message[-1] != ".":
        yield f"its end is told as {message[:300]!r}"
    if not ended.is_blanked:
        yield "the beam is on"
    if not ended.is_restored and "could not be put back" not in message:
        yield "the microscope is not as it was"


def _of_session(ended: Ended, file: pathlib.Path) -> Iterator[str]:
    if not any(isinstance(event, SurveyAcquired) for event in ended.events):
        return
    if not file.exists():
        if ended.points or LACKING not in ended.end.message:
            yield "there is no session"
        return
    if file.with_name(f"{file.name}.new").exists():
        yield "a part of a file is left"
    with open_session(file) as session:
        if session.count < len(ended.points):
            yield f"{session.count} of {len(ended.points)} points are kept"
        for index, point in enumerate(ended.points):
            yield from _of_point(session, index, point)
        seconds = numpy.array([session.dose(number).exposure_s for number in range(session.count + 1)])
        if not (numpy.isfinite(seconds).all() and (numpy.diff(seconds) >= 0).all()):
            yield f"the ledger says {seconds}"
        if session.outcome is not ended.end.outcome and LACKING not in ended.end.message:
            yield f"the session says {session.outcome} and the run {ended.end.outcome}"


def _of_point(session: Session, index: int, point: PointMeasured) -> Iterator[str]:
    kept, given = session.pattern(index), point.frame.pattern
    if kept.shape != given.shape or not numpy.array_equal(kept, given, equal_nan=given.dtype.kind == "f"):
        yield f"the pattern of point {index + 1} is not kept"
    told = point.measurement.readings
    for name, reading in session.measurements[index].readings.items():
        if math.isnan(reading.value) and math.isnan(told[name].value) and reading.reason != told[name].reason:
            yield f"the session does not say why {name} of point {index + 1} is undefined: {told[name].reason}"
        if math.isnan(reading.value) and not reading.reason:
            yield f"{name} of point {index + 1} is undefined without a reason"


def _of_resuming(ended: Ended, file: pathlib.Path) -> Iterator[str]:
    """A run that ended early goes on, once nothing fails any more, or says in a sentence why it cannot."""
    if ended.end.outcome is Outcome.FINISHED or not file.exists():
        return
    scalarizers = {name: SCALARIZERS[name] for name in SCALARIZED}
    try:
        lock = locked(file)
    except NotKeptError:
        # Closing it was what failed: it is locked as long as the program lives.
        return
    try:
        with open_session(file) as session:
            interrupted = _interrupted_run(session, scalarizers)
            about = About(session.title, session.instrument)
        writer = SessionWriter.append_to(file, interrupted, scalarizers, about, lock)
    except UserError:
        lock.release()
        return
    runner = Runner(
        CountingInstrument(),
        interrupted.plan,
        lambda event: None,
        TrainedNeighbour,
        scalarizers=scalarizers,
        recorder=writer,
        interrupted=interrupted,
    )
    again = runner.run()
    if "The program failed" in again.message:
        yield f"taken up again: {again.message}"
    with h5py.File(file) as opened:
        if again.outcome is Outcome.FINISHED and len(opened["patterns"]) != interrupted.plan.search.points:
            yield "taken up again, not all was measured"
