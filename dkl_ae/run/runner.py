"""The loop of an automated experiment: it owns time, the beam and the order in which things become safe.

A run blanks the beam, acquires the survey and the reference, and then asks, measures and tells. Each pattern is in the
session file before the next is exposed, and before the model sees its reading; while it cannot be written, the run
waits. However the run ends, the beam is blanked and the microscope's settings are put back.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import pathlib
import threading
import time
import typing
from collections.abc import Callable, Mapping

import numpy
import numpy.typing

from dkl_ae.experiment import Experiment, MakeSurrogate, Plan, deep_kernel_for
from dkl_ae.instruments import Frame, Instrument
from dkl_ae.model import Surrogate
from dkl_ae.patterns import Reference, load_reference
from dkl_ae.records import (
    InstrumentError,
    Measurement,
    Patches,
    Position,
    Proposal,
    Reading,
    Survey,
    Symmetry,
    UserError,
)
from dkl_ae.run.events import (
    Dose,
    DriverChanged,
    Event,
    LeftRun,
    Outcome,
    PointMeasured,
    ReadingsRevised,
    ReferenceFound,
    RunEnded,
    RunPaused,
    RunResumed,
    StepCompleted,
    StepTimes,
    SurveyAcquired,
)
from dkl_ae.run.pattern_reader import Cross, Reader
from dkl_ae.run.reference_exposures import geometry_of, reference_from, reference_pixels
from dkl_ae.run.run_recorder import NotKeptError, RunRecorder
from dkl_ae.scalarizers import ENDS
from dkl_ae.settings import FILE

if typing.TYPE_CHECKING:
    from dkl_ae.model.saved_model import SavedModel

logger = logging.getLogger(__name__)

FAILED_READINGS_IN_A_ROW = 3
"""After this many patterns without a reading the run stops: the beam is off or the camera is out, and every
further step would move the probe over the specimen for nothing."""


class StopRequestedError(Exception):
    """The operator asked the run to stop."""


class Runner:
    """Carries out one run in the thread that calls `run`.

    `pause`, `resume` and `stop` may be called from any thread at any time.

    show: receives every event, in the running thread.
    session: keeps every event before it is shown; closed when the run ends. None to keep nothing.
    left: where an earlier run was left, to go on from there; the plan is then its own.
    """

    def __init__(
        self,
        instrument: Instrument,
        plan: Plan,
        show: Callable[[Event], None],
        make_surrogate: MakeSurrogate | None = None,
        *,
        session: RunRecorder | None = None,
        left: LeftRun | None = None,
    ) -> None:
        self._instrument = instrument
        self._plan = plan
        self._show = show
        self._session = session
        self._left = left
        self._make_surrogate = make_surrogate or self._deep_kernel
        self._stop = threading.Event()
        self._go = threading.Event()
        self._go.set()
        self._dose = Dose()
        self._saved_model: SavedModel | None = None
        self._survey: Survey | None = None
        self._experiment: Experiment | None = None
        self._to_follow: Plan | None = None
        self._reader: Reader | None = None
        self._ended = False
        self._switching = threading.Lock()

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

    def drive_by(self, scalarizer: str, goal: str, goal_value: float) -> None:
        """Follow another scalarizer, or another goal, from the next step on; in a run that has ended, see what the
        model would have said, in the calling thread.

        A new model learns from the readings that were logged. A DriverChanged event tells when it has.

        Raises UserError, one sentence, for a scalarizer or a goal that there is not, or when nothing was measured.
        """
        plan = self._plan.driven_by(scalarizer, goal, goal_value)
        if self._survey is None:
            raise UserError("The run has no survey yet: switch when it has begun to measure.")
        _require_room_for_cross(plan, self._survey)
        with self._switching:
            if not self._ended:
                self._to_follow = plan
                return
        if self._experiment is None or not self._experiment.measurements:
            raise UserError("The run has measured nothing that another scalarizer could read: start a run.")
        self._follow(self._experiment, plan, after_run=True)

    def run(self) -> RunEnded:
        """Carry out the plan; never raises, and always ends with a RunEnded event, which it also returns."""
        try:
            self._run()
            ended = RunEnded(Outcome.FINISHED, f"Finished: {self._plan.points} points measured.")
        except (StopRequestedError, UserError) as error:
            ended = self._ended_early(str(error))
        except Exception as error:
            logger.exception("The run failed unexpectedly.")
            ended = self._ended_early(
                f"The run failed unexpectedly ({type(error).__name__}: {error}): "
                "everything measured so far is saved; see the log for details.",
            )
        ended = self._make_safe(ended)
        with self._switching:
            self._ended = True
        ended = self._end(ended)
        if self._experiment is not None and self._experiment.measurements:
            try:
                self._follow_if_asked(self._experiment, after_run=True)
            except Exception:
                logger.exception("The run that has ended cannot be seen by another scalarizer.")
        return ended

    def _record(self, event: Event) -> None:
        """Keep an event, and show it; waits while it cannot be kept, unless the run is to stop."""
        if self._session is not None:
            keep: Callable[[], None] = functools.partial(self._session.keep, event)
            while True:
                try:
                    keep()
                    break
                except NotKeptError as error:
                    logger.warning("%s", error)
                    if self._stop.is_set():
                        break
                    self._go.clear()
                    self._hold(self._show, str(error))
                    keep = self._session.keep_waiting
        self._show(event)

    def _hold(self, tell: Callable[[Event], None], reason: str = "") -> None:
        """Wait until the run is to go on, or to stop."""
        tell(RunPaused(True, reason))
        self._go.wait()
        if not self._stop.is_set():
            tell(RunPaused(False))

    def _end(self, ended: RunEnded) -> RunEnded:
        """Keep and show how the run ended."""
        if self._session is not None:
            try:
                with contextlib.suppress(NotKeptError):
                    self._session.keep(ended)
                self._session.close()
            except Exception as error:
                logger.exception("The session file could not be completed.")
                ended = RunEnded(Outcome.FAILED, f"{error} What it lacks is in the memory of this program alone.")
            self._session = None
        self._show(ended)
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

    @property
    def reference(self) -> Reference | None:
        """What the run's patterns are read against, with the lattice that was met; None before there is one."""
        return self._reader.reference if self._reader is not None else None

    def pretrained(self) -> SavedModel | None:
        """What the run's model has learned, for others to start from, once the run has ended; None when it has not
        learned."""
        from dkl_ae.model.deep_kernel import DeepKernel
        from dkl_ae.model.saved_model import SavedModel

        if self._survey is None or self._experiment is None:
            return None
        learned = [
            surrogate.state()
            for surrogate in self._experiment.surrogates
            if isinstance(surrogate, DeepKernel) and surrogate.variance_fractions() is not None
        ]
        if len(learned) < len(self._experiment.surrogates):
            return None
        return SavedModel(
            scalarizer=self._plan.scalarizer,
            patch_size=self._plan.patch_size,
            pixel_size_nm=self._survey.pixel_size_nm,
            components=tuple(learned),
        )

    def _run(self) -> None:
        if self._plan.pretrained:
            self._saved_model = self._load(pathlib.Path(self._plan.pretrained))
        if self._plan.reference == FILE:
            # The camera's calibration is not known yet, but whether the file can be read is, at no dose.
            load_reference(pathlib.Path(self._plan.reference_file), (1.0, 1.0), 1.0)
        self._instrument.prepare()
        survey = self._survey = self._acquire_survey()
        if self._saved_model is not None:
            self._saved_model.require_pixel_size(survey.pixel_size_nm)
        _require_room_for_cross(self._plan, survey)
        patches = Patches(survey, self._plan.patch_size)
        experiment = self._experiment = Experiment(self._plan, patches, self._make_surrogate)
        if self._left is None or self._left.reference is None:
            reference = self._acquire_reference(survey)
            if reference is not None:
                self._reader = Reader(reference, experiment.plan.scalarizers)
        if self._left is not None:
            self._take_up(experiment, self._left)
        failed_in_a_row = 0
        for step in range(len(experiment.measurements) + 1, self._plan.points + 1):
            self._wait_while_paused()
            self._follow_if_asked(experiment)
            start = time.perf_counter()
            proposal = experiment.ask()
            asked = time.perf_counter()
            cross = self._expose_point(experiment.position(proposal))
            exposed = time.perf_counter()
            if self._reader is None:
                self._reader = Reader(self._load_reference(cross.centre), experiment.plan.scalarizers)
            readings, unreadable = self._reader.read(cross, experiment.plan.cross_arm_nm)
            measurement = _measurement(experiment, proposal, cross.centre, readings)
            read = time.perf_counter()
            self._record(PointMeasured(step, measurement, cross.centre, cross.ends, self._dose))
            recorded = time.perf_counter()
            if broken := unreadable or cross.broken:
                raise broken
            has_lattice = math.isfinite(readings["bragg_spacing"].value)
            revised = self._reader.remember(proposal.candidate, has_lattice=has_lattice)
            learned = experiment.checkpoint
            experiment.tell(measurement, revised)
            if revised:
                self._record(ReadingsRevised(experiment.measurements))
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
                    experiment.checkpoint if experiment.checkpoint is not learned else None,
                )
            )
            failed_in_a_row = 0 if _reached_camera(measurement) else failed_in_a_row + 1
            if failed_in_a_row == FAILED_READINGS_IN_A_ROW:
                reason = measurement.readings[self._plan.scalarizer].reason
                raise InstrumentError(f"The last {failed_in_a_row} patterns cannot be read: {reason}")
        self._follow_if_asked(experiment)

    def _take_up(self, experiment: Experiment, left: LeftRun) -> None:
        self._reader = left.reader or self._reader
        self._dose = left.dose if left.measurements else self._dose
        experiment.recall(left.measurements, left.checkpoint, left.followed, left.followed_since)
        if left.followed is not None:
            self._plan, self._saved_model = left.followed, None
        self._record(RunResumed(self._plan, left, experiment.maps, experiment.checkpoint, self._dose))

    def _acquire_survey(self) -> Survey:
        self._wait_while_paused()
        if self._left is not None:
            self._instrument.adopt_survey(self._left.survey.survey)
            self._dose = (self._left.reference or self._left.survey).dose
            return self._left.survey.survey
        survey = self._instrument.acquire_survey()
        self._count_dose(self._instrument.survey_exposure_s)
        self._record(SurveyAcquired(self._plan, survey, self._dose))
        return survey

    def _acquire_reference(self, survey: Survey) -> Reference | None:
        """None where it waits for the first pattern, from which the camera's calibration is known."""
        if self._plan.reference == FILE:
            return None
        frames = []
        for row, column in reference_pixels(survey, self._plan):
            self._wait_while_paused()
            frames.append(self._expose(survey.position(int(row), int(column))))
        reference = reference_from(frames, self._plan)
        pattern = numpy.stack([frame.pattern for frame in frames]).mean(axis=0, dtype=numpy.float64)
        self._record(ReferenceFound(reference, pattern, tuple(frames), self._dose))
        return reference

    def _load_reference(self, frame: Frame) -> Reference:
        file = pathlib.Path(self._plan.reference_file)
        reference = load_reference(
            file,
            frame.mrad_per_pixel,
            frame.counts_per_electron,
            geometry_of(self._plan),
            (self._plan.mask_inner, self._plan.mask_radius),
        )
        pattern = reference.pattern if reference.pattern is not None else numpy.zeros(reference.shape)
        self._record(ReferenceFound(reference, pattern * reference.counts_per_electron, (), self._dose))
        return reference

    def _follow_if_asked(self, experiment: Experiment, *, after_run: bool = False) -> None:
        with self._switching:
            plan, self._to_follow = self._to_follow, None
        if plan is not None:
            self._follow(experiment, plan, after_run=after_run)

    def _follow(self, experiment: Experiment, plan: Plan, *, after_run: bool) -> None:
        self._plan = plan
        self._saved_model = None
        experiment.drive_by(plan)
        self._record(DriverChanged(plan, experiment.maps, experiment.best, after_run))

    def _expose_point(self, position: Position) -> Cross:
        """The place itself and, where the driving scalarizer needs them, the ends of the cross around it.

        What was exposed before something failed is not lost with it.
        """
        centre = self._expose(position)
        if not self._plan.driver.needs_cross:
            return Cross(centre)
        assert self._survey is not None
        ends: list[Frame] = []
        try:
            for y, x in ENDS:
                self._wait_while_paused()
                ends.append(
                    self._expose(self._survey.moved(position, y * self._plan.cross_arm_nm, x * self._plan.cross_arm_nm))
                )
        except (InstrumentError, StopRequestedError) as error:
            return Cross(centre, tuple(ends), error)
        return Cross(centre, tuple(ends))

    def _expose(self, position: Position) -> Frame:
        frame = self._instrument.acquire_pattern(position)
        self._count_dose(frame.exposure_s)
        return frame

    def _count_dose(self, exposure_s: float) -> None:
        self._dose = self._dose.add(exposure_s, self._instrument.beam_current_a)

    def _wait_while_paused(self) -> None:
        if not self._go.is_set() and not self._stop.is_set():
            self._hold(self._record)
        if self._stop.is_set():
            raise StopRequestedError

    def _deep_kernel(
        self, features: numpy.typing.NDArray[numpy.float32], component: int, symmetry: Symmetry
    ) -> Surrogate:
        return deep_kernel_for(self._plan, features, component, symmetry, self._saved_model)

    def _load(self, file: pathlib.Path) -> SavedModel:
        from dkl_ae.model.saved_model import SavedModel

        saved_model = SavedModel.load(file)
        saved_model.require_scalarizer(self._plan.scalarizer, self._plan.patch_size)
        return saved_model


def _require_room_for_cross(plan: Plan, survey: Survey) -> None:
    margin_nm = plan.patch_size / 2 * survey.pixel_size_nm
    if plan.driver.needs_cross and plan.cross_arm_nm > margin_nm:
        raise UserError(
            f"The cross's arm of {plan.cross_arm_nm:g} nm would leave the survey: places keep {margin_nm:.3g} nm from "
            f"its edge with a patch of {plan.patch_size} px; choose a shorter arm or a larger patch."
        )


def _reached_camera(measurement: Measurement) -> bool:
    """Whether anything at all could be read: vacuum is an answer to some scalarizers, a blocked beam to none."""
    return any(numpy.isfinite(reading.value) for reading in measurement.readings.values())


def _measurement(
    experiment: Experiment, proposal: Proposal, frame: Frame, readings: Mapping[str, Reading]
) -> Measurement:
    return Measurement(
        proposal=proposal,
        position_asked=experiment.position(proposal),
        position_read_back=frame.position_read_back,
        readings=readings,
        electrons=float(numpy.sum(frame.pattern, dtype=numpy.float64)) / frame.counts_per_electron,
        exposure_s=frame.exposure_s,
        time=frame.time,
    )
