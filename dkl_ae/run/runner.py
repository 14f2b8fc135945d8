"""The loop of an automated experiment: it owns time, the beam and the order in which things become safe.

A run blanks the beam, acquires the survey and the reference, and then asks, measures and tells. Each pattern is kept
before the next is exposed, and before the model sees its reading; while it cannot be kept, the run waits. However the
run ends, the beam is blanked and the microscope's settings are put back.
"""

from __future__ import annotations

import logging
import threading
import typing
from collections.abc import Callable, Mapping

from dkl_ae.experiment import Command, Experiment, Objective, deep_kernel_for, patches_for, require_known
from dkl_ae.instruments import Instrument, SurveySize
from dkl_ae.model import MakeSurrogate
from dkl_ae.patterns import Reference
from dkl_ae.records import (
    Patches,
    Survey,
    Symmetry,
    UserError,
    cleaned,
)
from dkl_ae.run.controls import Controls
from dkl_ae.run.ending import Ending
from dkl_ae.run.events import (
    CommandApplied,
    Event,
    InterruptedRun,
    RunEnded,
    SurveyAcquired,
)
from dkl_ae.run.exposing import Exposing
from dkl_ae.run.points import Points
from dkl_ae.run.pretrained import pretrained_of
from dkl_ae.run.recording import Recording
from dkl_ae.run.resuming import adopt_survey, take_up
from dkl_ae.run.run_recorder import RunRecorder
from dkl_ae.run.stages import acquire_reference, load_inputs, require_device, require_room_for_cross, require_room_on
from dkl_ae.run.stop_rules import Progress, stop_rules, verdict
from dkl_ae.run.texts import survey_notices
from dkl_ae.scalarizers import Scalarizer, scalarizers_of
from dkl_ae.settings import FILE, Plan

if typing.TYPE_CHECKING:
    from dkl_ae.model import Surrogate
    from dkl_ae.model.saved_model import SavedModel

logger = logging.getLogger(__name__)


class Runner:
    """Carries out one run in the thread that calls `run`.

    `pause`, `resume`, `stop` and `give` may be called from any thread at any time.

    Parameters
    ----------
    instrument : Instrument
        What exposes and moves the probe; it is the run's alone until the run has ended.
    plan : Plan
        All that decides the run.
    show : callable
        Receives every event, in the running thread.
    make_surrogate : MakeSurrogate, optional
        Makes the models; None for the plan's deep kernel.
    scalarizers : mapping of str to Scalarizer, optional
        Those that read the patterns, by name; None for those that the plan asks for, whose file is then run.
    recorder : RunRecorder, optional
        Keeps every event before it is shown; closed when the run ends. None to keep nothing.
    interrupted : InterruptedRun, optional
        An earlier run, to go on where it was interrupted; the plan is then its own.

    Raises
    ------
    UserError
        For a plan that names what there is not.
    """

    def __init__(
        self,
        instrument: Instrument,
        plan: Plan,
        show: Callable[[Event], None],
        make_surrogate: MakeSurrogate | None = None,
        *,
        scalarizers: Mapping[str, Scalarizer] | None = None,
        recorder: RunRecorder | None = None,
        interrupted: InterruptedRun | None = None,
    ) -> None:
        self.plan = plan
        """As the run begins."""
        self.scalarizers = scalarizers_of(plan.objective) if scalarizers is None else scalarizers
        """Those that read the patterns, by name, as they were when the run was made."""
        require_known(plan, self.scalarizers)
        self._instrument = instrument
        self._controls = Controls()
        self._recording = Recording(show, recorder, self._controls)
        self._exposing = Exposing(instrument, self._recording.wait_while_paused)
        self._points = Points(plan, self.scalarizers, self._exposing, self._recording)
        self._interrupted = interrupted
        self._make_surrogate = make_surrogate or self._deep_kernel
        self._saved_model: SavedModel | None = None
        self._survey: Survey | None = None
        self._experiment: Experiment | None = None
        # Of a thread that shows what it has applied, and asks for more.
        self._after_run = threading.RLock()

    def pause(self) -> None:
        """Hold after the exposure under way, the beam blanked; a run that is stopping is not held."""
        self._controls.pause()

    def resume(self) -> None:
        """Go on after a pause."""
        self._controls.resume()

    @property
    def is_held(self) -> bool:
        """Whether the run is paused, or will be after the exposure under way."""
        return self._controls.is_held

    def stop(self) -> None:
        """End the run now, breaking off an exposure under way; what was measured is kept."""
        self._controls.stop()
        try:
            self._instrument.abort()
        except Exception:
            logger.exception("The exposure under way could not be broken off: the run stops after it.")

    def give(self, command: Command) -> None:
        """Apply a command before the next point; in a run that has ended, see what the model would have said, in the
        calling thread. A CommandApplied event tells when it is done.

        Raises
        ------
        UserError
            For what cannot be done, or when nothing was measured.
        """
        plan = command.changed(self._experiment.plan if self._experiment is not None else self.plan)
        objective = Objective.of(plan.objective, self.scalarizers)
        if self._survey is None:
            raise UserError("The run has no survey yet: change the objective when it has begun to measure.")
        require_room_for_cross(plan, objective.scalarizer, self._survey)
        if self._controls.give(command):
            return
        if self._experiment is None or not self._experiment.measurements:
            raise UserError("The run has measured nothing that another scalarizer could read: start a run.")
        with self._after_run:
            self._apply(self._experiment, command, after_run=True)

    def run(self) -> RunEnded:
        """Carry out the plan; tells of what fails by how the run ended, and raises no failure.

        Returns
        -------
        RunEnded
            How it ended: the last event that is shown.

        Raises
        ------
        BaseException
            What is to end the program, such as KeyboardInterrupt and SystemExit: once the beam is blanked, the
            microscope is as it was and the run's end is kept and shown.
        """
        try:
            ending = Ending(self._run())
        except BaseException as error:
            ending = Ending.after(error, is_stopping=self._controls.is_stopping)
        ending.make_safe(self._instrument)
        self._recording.end(ending)
        with self._after_run:
            # Until here commands wait: while the record is written and closed, this thread alone uses it.
            commands = self._controls.end()
            if self._experiment is not None and self._experiment.measurements:
                try:
                    for command in commands:
                        self._apply(self._experiment, command, after_run=True)
                except Exception:
                    logger.exception("The run that has ended cannot be seen by another scalarizer.")
        return ending.leave()

    @property
    def reference(self) -> Reference | None:
        """What the run's patterns are read against, with the lattice that was met; None before there is one."""
        return self._points.reader.reference if self._points.reader is not None else None

    def pretrained(self) -> SavedModel | None:
        """What the run's model has learned, for others to start from, once the run has ended; None when it has not
        learned."""
        return pretrained_of(self._experiment) if self._experiment is not None else None

    def _run(self) -> RunEnded:
        experiment = self._begin()
        progress = Progress(len(experiment.measurements))
        while (ended := verdict(stop_rules(self.plan), progress)) is None:
            self._recording.wait_while_paused()
            self._apply_commands(experiment)
            progress = progress.after(self._points.measure(experiment), experiment.objective)
        self._apply_commands(experiment)
        return ended

    def _begin(self) -> Experiment:
        """All that comes before the first point."""
        self._saved_model = load_inputs(self.plan)
        if self._make_surrogate == self._deep_kernel:
            require_device(self.plan)
        size = self._instrument.survey_size if self._interrupted is None else None
        if size is not None:
            self._require_room_on(size)
        self._instrument.prepare()
        survey = self._survey = self._acquire_survey()
        self._require_room_on(SurveySize(survey.shape, survey.pixel_size_nm))
        patches = patches_for(self.plan, survey)
        experiment = self._experiment = Experiment(self.plan, self.scalarizers, patches, self._make_surrogate)
        experiment.prepare()
        self._acquire_reference(survey)
        if self._interrupted is not None:
            take_up(self._interrupted, experiment, self._points, self._exposing, self._recording)
        return experiment

    def _require_room_on(self, size: SurveySize) -> None:
        require_room_on(size, self.plan, self.scalarizers[self.plan.objective.scalarizer], self._saved_model)

    def _acquire_survey(self) -> Survey:
        if self._interrupted is not None:
            self._recording.wait_while_paused()
            return adopt_survey(self._interrupted, self._instrument, self._exposing)
        survey, trouble = self._exposing.survey()
        notices = survey_notices(cleaned(survey.image, self.plan.search.patch_size))
        self._recording.record(SurveyAcquired(self.plan, survey, self._exposing.dose, notices))
        if trouble is not None:
            raise trouble
        return survey

    def _acquire_reference(self, survey: Survey) -> None:
        """One of a file waits for the first pattern, from which the camera's calibration is known."""
        has_one = self._interrupted is not None and self._interrupted.reference is not None
        if not has_one and self.plan.reference.source != FILE:
            self._points.refer_to(acquire_reference(self.plan, survey, self._exposing, self._recording))

    def _apply_commands(self, experiment: Experiment) -> None:
        for command in self._controls.take_commands():
            self._apply(experiment, command, after_run=False)

    def _apply(self, experiment: Experiment, command: Command, *, after_run: bool) -> None:
        # A model of another reading starts from nothing.
        self._saved_model = None
        experiment.apply(command)
        self._recording.record(
            CommandApplied(
                command,
                experiment.plan,
                experiment.objective,
                experiment.maps,
                experiment.best,
                experiment.checkpoint,
                after_run,
                experiment.unconfirmed,
            )
        )

    def _deep_kernel(self, patches: Patches, component: int, symmetry: Symmetry) -> Surrogate:
        return deep_kernel_for(self.plan, patches, component, symmetry, self._saved_model)
