"""One point of a run after the other: ask, expose, read, keep, tell."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import numpy

from dkl_ae.experiment import Experiment
from dkl_ae.instruments import Frame
from dkl_ae.records import Measurement, Proposal, Reading
from dkl_ae.run.events import PointMeasured, ReadingsRevised, ReferenceFound, StepCompleted, StepTimes
from dkl_ae.run.exposing import Exposing
from dkl_ae.run.pattern_reader import Cross, Reader, unread
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
        self.reader = Reader(found.reference, self._scalarizers)
        return self.reader

    def measure(self, experiment: Experiment) -> Measurement:
        """The next point; it is kept before the model sees its reading.

        Raises why nothing could be read, or not all could be exposed, once the pattern is kept.
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
        if broken := unreadable or cross.broken:
            raise broken
        learned = experiment.checkpoint
        self._tell(experiment, measurement)
        modelled = time.perf_counter()
        times = StepTimes(
            camera=exposed - asked,
            scalarizer=read - exposed,
            model=(modelled - recorded) + (asked - start),
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
                experiment.notices,
                experiment.checkpoint if experiment.checkpoint is not learned else None,
                experiment.unconfirmed,
            )
        )
        return measurement

    def _expose(self, experiment: Experiment, proposal: Proposal) -> Cross:
        arm_nm = experiment.plan.exposure.cross_arm_nm if experiment.objective.scalarizer.needs_cross else None
        return self._exposing.point(experiment.position(proposal), experiment.patches.survey, arm_nm)

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

    def _tell(self, experiment: Experiment, measurement: Measurement) -> None:
        assert self.reader is not None
        has_lattice = bool(numpy.isfinite(measurement.readings["bragg_spacing"].value))
        revised = self.reader.remember(measurement.proposal.candidate, has_lattice=has_lattice)
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
