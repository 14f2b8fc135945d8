"""One point of a run after the other: ask, expose, read, keep, tell."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping

import numpy

from dkl_ae.experiment import Experiment, revised_history
from dkl_ae.instruments import Frame
from dkl_ae.records import Measurement, MendableError, Proposal, Reading, Survey, UserError
from dkl_ae.run.events import (
    InterruptedRun,
    PointMeasured,
    ReadingsRevised,
    ReferenceFound,
    ReferenceRepeated,
    StepCompleted,
    StepTimes,
)
from dkl_ae.run.exposing import Exposing
from dkl_ae.run.followed_zero import RepeatedExposure
from dkl_ae.run.pattern_reader import Cross, Reader, Revised, merged, unread
from dkl_ae.run.recording import Recording
from dkl_ae.run.stages import load_reference_for
from dkl_ae.scalarizers import Scalarizer
from dkl_ae.settings import Plan


class Points:
    """Measures the points of one run.

    plan: as the run began.
    scalarizers: those that read the patterns, by name.
    """

    def __init__(
        self, plan: Plan, scalarizers: Mapping[str, Scalarizer], exposing: Exposing, recording: Recording
    ) -> None:
        self._plan = plan
        self._scalarizers = scalarizers
        self._exposing = exposing
        self._recording = recording
        self.reader: Reader | None = None
        """None before there is a reference."""

    def refer_to(self, found: ReferenceFound) -> Reader:
        """Read the patterns from now on against a reference, which is kept."""
        self._recording.record(found)
        self.reader = Reader(found.reference, self._scalarizers, found.frames)
        return self.reader

    def measure(self, experiment: Experiment) -> Measurement:
        """The next point; it is kept before the model sees its reading.

        Raises why nothing could be read, or not all could be exposed, once the pattern is kept; but waits for what the
        operator can mend, and goes on: what was exposed then is measured, without a reading.
        """
        start = time.perf_counter()
        proposal = experiment.ask()
        asked = time.perf_counter()
        cross = self._expose(experiment, proposal)
        exposed = time.perf_counter()
        readings, unreadable = self._read(cross, experiment.plan.exposure.cross_arm_nm)
        measurement = _measurement(experiment, proposal, cross.centre, readings)
        number = len(experiment.measurements) + 1
        read = time.perf_counter()
        self._recording.record(PointMeasured(number, measurement, cross.centre, cross.ends, self._exposing.dose))
        recorded = time.perf_counter()
        broken = unreadable or cross.broken
        if broken is not None and not isinstance(broken, MendableError):
            raise broken
        revised, zero_notices, trouble = self._revised(experiment, measurement)
        repeated = time.perf_counter()
        learned = experiment.checkpoint
        self._tell(experiment, measurement, revised)
        modelled = time.perf_counter()
        times = StepTimes(
            camera=(exposed - asked) + (repeated - recorded),
            scalarizer=read - exposed,
            model=(modelled - repeated) + (asked - start),
            recorder=recorded - read,
        )
        self._recording.record(
            StepCompleted(
                number,
                experiment.maps,
                None if experiment.finished else experiment.ask(),
                experiment.best,
                self._exposing.dose,
                times,
                experiment.explanation,
                (*experiment.notices, *zero_notices),
                experiment.checkpoint if experiment.checkpoint is not learned else None,
                experiment.unconfirmed,
            )
        )
        if trouble is not None:
            raise trouble
        if broken is not None:
            self._recording.hold(broken)
        return measurement

    def _expose(self, experiment: Experiment, proposal: Proposal) -> Cross:
        arm_nm = experiment.plan.exposure.cross_arm_nm if experiment.objective.scalarizer.needs_cross else None
        while True:
            try:
                return self._exposing.point(experiment.position(proposal), experiment.patches.survey, arm_nm)
            except MendableError as error:
                self._recording.hold(error)

    def _read(self, cross: Cross, arm_nm: float) -> tuple[Mapping[str, Reading], BaseException | None]:
        """Every reading; and why nothing could be read, which must not lose the pattern."""
        try:
            if cross.untrusted is not None:
                raise cross.untrusted
            # A reference of a file waits for the camera's calibration, which comes with the first pattern.
            reader = self.reader or self.refer_to(load_reference_for(self._plan, cross.centre, self._exposing))
            return reader.read(cross, arm_nm), None
        except BaseException as error:
            return unread(self._scalarizers.values(), error), error

    def _revised(
        self, experiment: Experiment, measurement: Measurement
    ) -> tuple[Revised, tuple[str, ...], BaseException | None]:
        """What is known, or known better, of readings so far by one more measurement; what the operator should know of
        it; and why the run must end with this point, which is told before."""
        if self.reader is None or _is_unread(measurement):
            return {}, (), None
        remembered = self.reader.remember(measurement)
        number = len(experiment.measurements) + 1
        try:
            by_zero, notices = self._follow_zero(experiment.plan, experiment.patches.survey, number, measurement.time)
        except BaseException as error:
            return remembered, (), error
        return merged(remembered, by_zero), notices, None

    def catch_up(self, interrupted: InterruptedRun, survey: Survey) -> InterruptedRun:
        """The run, and what it had no time to do after its last point."""
        measured = interrupted.measurements
        if self.reader is None or not measured or _is_unread(measured[-1]):
            return interrupted
        revised, _ = self._follow_zero(interrupted.plan, survey, len(measured), measured[-1].time)
        return dataclasses.replace(interrupted, history=tuple(revised_history(interrupted.history, revised)))

    def _follow_zero(self, plan: Plan, survey: Survey, number: int, time_s: float) -> tuple[Revised, tuple[str, ...]]:
        """Repeat an exposure of the reference, where its zero is not known well enough any more: before anything is
        learned from the latest point, so that the experiment is what its history says.

        number, time_s: of that point. Returns what is known better by the exposure, and what the operator should know.
        """
        assert self.reader is not None
        zero = self.reader.zero
        place = zero.due(number, time_s, plan.reference.repeated_percent / 100)
        if place is None:
            return {}, ()
        self._recording.wait_while_paused()
        try:
            exposed = self._exposing.point(zero.position(place), survey, None)
        except MendableError as error:
            self._recording.hold(error)
            return {}, ()
        trouble = exposed.untrusted or self._of_another_camera(exposed.centre)
        repeated = RepeatedExposure(zero.next_number, place, number, exposed.centre, is_trusted=trouble is None)
        self._recording.record(ReferenceRepeated(repeated, self._exposing.dose))
        revised, notice = self.reader.follow(repeated)
        if isinstance(trouble, MendableError):
            self._recording.hold(trouble)
        elif trouble is not None:
            raise trouble
        return revised, (notice,) if notice else ()

    def _of_another_camera(self, frame: Frame) -> UserError | None:
        assert self.reader is not None
        try:
            self.reader.require_same_camera(frame)
        except UserError as error:
            return error
        return None

    def _tell(self, experiment: Experiment, measurement: Measurement, revised: Revised) -> None:
        experiment.tell(measurement, revised)
        if revised:
            self._recording.record(ReadingsRevised(experiment.measurements))


def _measurement(
    experiment: Experiment, proposal: Proposal, frame: Frame, readings: Mapping[str, Reading]
) -> Measurement:
    has_gain = frame.counts_per_electron > 0
    counts = float(numpy.sum(frame.pattern, dtype=numpy.float64))
    return Measurement(
        proposal=proposal,
        position_asked=experiment.position(proposal),
        position_read_back=frame.position_read_back,
        readings=readings,
        electrons=counts / frame.counts_per_electron if has_gain else math.nan,
        exposure_s=frame.exposure_s,
        time=frame.time,
    )


def _is_unread(measurement: Measurement) -> bool:
    return all(math.isnan(reading.value) for reading in measurement.readings.values())
