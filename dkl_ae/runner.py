"""The loop of an automated experiment: it owns time, the beam and the order in which things become safe.

A run blanks the beam, acquires the survey and the reference, and then asks, measures and tells. Each pattern is
handed to the recorder before the model sees its reading. However the run ends, the beam is blanked and the
microscope's settings are put back.
"""

from __future__ import annotations

import dataclasses
import enum
import logging
import pathlib
import threading
import time
import typing
from collections.abc import Callable

import numpy
import numpy.typing
import scipy.ndimage

from dkl_ae.experiment import Experiment, MakeSurrogate, Maps, Plan
from dkl_ae.instrument import Frame, Instrument, InstrumentError
from dkl_ae.measurement import ELEMENTARY_CHARGE_C, Measurement, Position, Proposal
from dkl_ae.scalarizers import Reference, find_reference, scalarize
from dkl_ae.surrogate import Surrogate
from dkl_ae.survey import IntArray, Patches, Survey
from dkl_ae.symmetry import Symmetry

if typing.TYPE_CHECKING:
    from dkl_ae.deep_kernel import DeepKernel
    from dkl_ae.knowledge import Pretrained

logger = logging.getLogger(__name__)

FAILED_READINGS_IN_A_ROW = 3
"""After this many patterns without a reading the run stops: the beam is off or the camera is out, and every
further step would move the probe over the specimen for nothing."""


class Outcome(enum.StrEnum):
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True)
class StepTimes:
    """Seconds that one step spent in each part."""

    camera: float
    """Moving the blanked probe, unblanking, exposing, reading out, blanking."""
    scalarizer: float
    model: float
    """Fitting, predicting and scoring every candidate."""
    recorder: float
    """Handing the pattern and the maps to the recorder."""


@dataclasses.dataclass(frozen=True)
class Dose:
    """The dose ledger: everything exposed so far, the survey and the reference included."""

    exposure_s: float = 0.0
    electrons: float | None = None
    """Beam current times exposure over the elementary charge; None when the current is unknown."""

    def add(self, exposure_s: float, current_a: float | None) -> Dose:
        electrons = None
        if current_a is not None:
            electrons = (self.electrons or 0.0) + exposure_s * current_a / ELEMENTARY_CHARGE_C
        return Dose(self.exposure_s + exposure_s, electrons)


@dataclasses.dataclass(frozen=True, eq=False)
class SurveyAcquired:
    plan: Plan
    survey: Survey
    dose: Dose


@dataclasses.dataclass(frozen=True, eq=False)
class ReferenceFound:
    reference: Reference
    pattern: numpy.typing.NDArray[numpy.float64]
    """Mean of the reference exposures, shape (ky, kx), counts."""
    dose: Dose


@dataclasses.dataclass(frozen=True, eq=False)
class PointMeasured:
    """Sent before the model sees the reading; the pattern must be safe when the recorder returns."""

    step: int
    """1 for the first point, seeds included."""
    measurement: Measurement
    frame: Frame
    dose: Dose


@dataclasses.dataclass(frozen=True, eq=False)
class StepCompleted:
    step: int
    maps: Maps | None
    next: Proposal | None
    """None after the last step."""
    best: Measurement | None
    dose: Dose
    times: StepTimes
    explanation: str
    """Which part of the model speaks; empty before it has learned."""
    notices: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class RunPaused:
    paused: bool
    """False when the run goes on again."""


@dataclasses.dataclass(frozen=True)
class RunEnded:
    outcome: Outcome
    message: str
    """One sentence for the operator."""


Event = SurveyAcquired | ReferenceFound | PointMeasured | StepCompleted | RunPaused | RunEnded


class StopRequestedError(Exception):
    """The operator asked the run to stop."""


class Runner:
    """Carries out one run in the thread that calls `run`.

    `pause`, `resume` and `stop` may be called from any thread at any time.

    record: receives every event, in the running thread; it must keep what it is given before it returns.
    """

    def __init__(
        self,
        instrument: Instrument,
        plan: Plan,
        record: Callable[[Event], None],
        make_surrogate: MakeSurrogate | None = None,
    ) -> None:
        self._instrument = instrument
        self._plan = plan
        self._record = record
        self._make_surrogate = make_surrogate or self._deep_kernel
        self._stop = threading.Event()
        self._go = threading.Event()
        self._go.set()
        self._dose = Dose()
        self._models: list[DeepKernel] = []
        self._earlier: Pretrained | None = None
        self._survey: Survey | None = None

    def pause(self) -> None:
        """Hold after the step under way, the beam blanked; a run that is stopping is not held."""
        if not self._stop.is_set():
            self._go.clear()

    def resume(self) -> None:
        self._go.set()

    def stop(self) -> None:
        """End the run now, breaking off an exposure under way; what was measured is kept."""
        self._stop.set()
        self._go.set()
        self._instrument.abort()

    def run(self) -> RunEnded:
        """Carry out the plan; never raises, and always ends with a RunEnded event, which it also returns."""
        try:
            self._run()
            ended = RunEnded(Outcome.FINISHED, f"Finished: {self._plan.points} points measured.")
        except (StopRequestedError, InstrumentError, ValueError) as error:
            ended = self._ended_early(str(error))
        except Exception as error:
            logger.exception("The run failed unexpectedly.")
            ended = self._ended_early(
                f"The run failed unexpectedly ({type(error).__name__}: {error}): "
                "everything measured so far is saved; see the log for details.",
            )
        ended = self._make_safe(ended)
        self._record(ended)
        return ended

    def _ended_early(self, message: str) -> RunEnded:
        # Breaking off an exposure makes the camera fail: that is the stop, not a failure.
        if self._stop.is_set():
            return RunEnded(Outcome.STOPPED, "Stopped: everything measured so far is saved.")
        return RunEnded(Outcome.FAILED, message)

    def _make_safe(self, ended: RunEnded) -> RunEnded:
        for action, trouble in (
            (self._instrument.blank, "The beam could not be blanked: blank it by hand now"),
            (
                self._instrument.restore,
                "The scan could not be put back as it was: check its settings",
            ),
        ):
            try:
                action()
            except Exception as error:
                logger.exception(trouble)
                ended = RunEnded(Outcome.FAILED, f"{trouble} ({error}). {ended.message}")
        return ended

    def pretrained(self) -> Pretrained | None:
        """What the run's model has learned, for others to start from, once the run has ended; None when it has not
        learned."""
        from dkl_ae.knowledge import Pretrained

        if self._survey is None or not self._models or not all(model.explanation for model in self._models):
            return None
        return Pretrained(
            scalarizer=self._plan.scalarizer,
            patch_size=self._plan.patch_size,
            pixel_size_nm=self._survey.pixel_size_nm,
            parts=tuple(model.knowledge() for model in self._models),
        )

    def _run(self) -> None:
        if self._plan.pretrained:
            self._earlier = self._load(pathlib.Path(self._plan.pretrained))
        self._instrument.prepare()
        survey = self._survey = self._acquire_survey()
        if self._earlier is not None:
            self._earlier.require_pixel_size(survey.pixel_size_nm)
        patches = Patches(survey, self._plan.patch_size)
        experiment = Experiment(self._plan, patches, self._make_surrogate)
        reference = self._acquire_reference(patches)
        failed_in_a_row = 0
        for step in range(1, self._plan.points + 1):
            self._wait_while_paused()
            start = time.perf_counter()
            proposal = experiment.ask()
            asked = time.perf_counter()
            frame = self._expose(experiment.position(proposal))
            exposed = time.perf_counter()
            measurement = _measurement(experiment, proposal, frame, reference)
            read = time.perf_counter()
            self._record(PointMeasured(step, measurement, frame, self._dose))
            recorded = time.perf_counter()
            experiment.tell(measurement)
            told = time.perf_counter()
            times = StepTimes(
                camera=exposed - asked,
                scalarizer=read - exposed,
                model=(told - recorded) + (asked - start),
                recorder=recorded - read,
            )
            self._record(
                StepCompleted(
                    step,
                    experiment.maps,
                    None if experiment.finished else experiment.ask(),
                    experiment.best,
                    self._dose,
                    times,
                    experiment.explanation,
                    experiment.notices,
                )
            )
            value = measurement.readings[self._plan.scalarizer].value
            failed_in_a_row = 0 if numpy.isfinite(value) else failed_in_a_row + 1
            if failed_in_a_row == FAILED_READINGS_IN_A_ROW:
                raise InstrumentError(
                    f"The last {failed_in_a_row} patterns held {measurement.electrons:.0f} electrons where "
                    f"about {reference.counts / reference.counts_per_electron:.0f} were expected: the beam is "
                    "off or blocked; check the beam and the camera, then start again."
                )

    def _acquire_survey(self) -> Survey:
        self._wait_while_paused()
        survey = self._instrument.acquire_survey()
        self._count_dose(self._instrument.survey_exposure_s)
        self._record(SurveyAcquired(self._plan, survey, self._dose))
        return survey

    def _acquire_reference(self, patches: Patches) -> Reference:
        frames = []
        for row, column in darkest_places(patches.survey, self._plan.reference_frames):
            self._wait_while_paused()
            frames.append(self._expose(patches.survey.position(int(row), int(column))))
        pattern = numpy.stack([frame.pattern for frame in frames]).mean(axis=0, dtype=numpy.float64)
        reference = find_reference(pattern, frames[0].mrad_per_pixel, frames[0].counts_per_electron)
        self._record(ReferenceFound(reference, pattern, self._dose))
        return reference

    def _expose(self, position: Position) -> Frame:
        frame = self._instrument.acquire_pattern(position)
        self._count_dose(frame.exposure_s)
        return frame

    def _count_dose(self, exposure_s: float) -> None:
        self._dose = self._dose.add(exposure_s, self._instrument.beam_current_a)

    def _wait_while_paused(self) -> None:
        if not self._go.is_set() and not self._stop.is_set():
            self._record(RunPaused(True))
            self._go.wait()
            if not self._stop.is_set():
                self._record(RunPaused(False))
        if self._stop.is_set():
            raise StopRequestedError

    def _deep_kernel(self, features: numpy.typing.NDArray[numpy.float32], seed: int, symmetry: Symmetry) -> Surrogate:
        # torch takes seconds to import: the panel must not wait for it.
        from dkl_ae.deep_kernel import DeepKernel

        model = DeepKernel(
            features,
            patch_size=self._plan.patch_size,
            seed=seed,
            symmetry=symmetry,
            embedding=self._plan.embedding,
            earlier=self._earlier.parts[len(self._models)] if self._earlier else None,
            device=self._plan.device,
        )
        self._models.append(model)
        return model

    def _load(self, file: pathlib.Path) -> Pretrained:
        from dkl_ae.knowledge import Pretrained

        earlier = Pretrained.load(file)
        earlier.require_scalarizer(self._plan.scalarizer, self._plan.patch_size)
        return earlier


def darkest_places(survey: Survey, count: int) -> IntArray:
    """Row and column of the `count` darkest places of a survey, shape (count, 2): vacuum where there is any.

    In a lattice without vacuum they are the hollow sites, where symmetry makes the field vanish. The survey is
    averaged over 3 x 3 pixels first, so that a place is dark rather than one pixel noisy.
    """
    smooth = scipy.ndimage.uniform_filter(survey.image, 3, mode="nearest")
    order = numpy.argsort(smooth, axis=None, kind="stable")[:count]
    return numpy.stack(numpy.unravel_index(order, survey.shape), axis=1)


def _measurement(experiment: Experiment, proposal: Proposal, frame: Frame, reference: Reference) -> Measurement:
    return Measurement(
        proposal=proposal,
        position_asked=experiment.position(proposal),
        position_read_back=frame.position_read_back,
        readings=scalarize(frame.pattern, reference),
        electrons=float(numpy.sum(frame.pattern, dtype=numpy.float64)) / frame.counts_per_electron,
        exposure_s=frame.exposure_s,
        time=frame.time,
    )
