"""The events of a run on the window's thread: what they leave in the Swift project, and what they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nion.swift import DocumentController

from dkl_ae.experiment import Objective, patches_for
from dkl_ae.records import Survey, sentence_of
from dkl_ae.run import (
    CommandApplied,
    Event,
    PointMeasured,
    ReadingsRevised,
    ReferenceFound,
    RunEnded,
    RunPaused,
    RunResumed,
    StepCompleted,
    SurveyAcquired,
)
from dkl_ae.scalarizers import Scalarizer
from dkl_ae.session import open_session
from dkl_ae.settings import Plan
from nionswift_plugin.dkl_ae_kit import Task, WindowTasks
from nionswift_plugin.dkl_ae_ui.project.live import LiveItems
from nionswift_plugin.dkl_ae_ui.project.pictures import survey_picture
from nionswift_plugin.dkl_ae_ui.project.record import RunRecord
from nionswift_plugin.dkl_ae_ui.project.run_description import RunDescription
from nionswift_plugin.dkl_ae_ui.project.run_items import RunItems


class Recorder:
    """Keeps one run in the Swift project and shows it.

    Made and closed on the window's thread; `record` is called from the run's thread.

    scalarizers: those that read the patterns, by name.
    run: its title stands in the title of each of its items.
    on_event: told of every event on the window's thread, after the recorder dealt with it.
    on_failure: told, in one sentence, when something could not be kept or shown.
    """

    def __init__(
        self,
        window: DocumentController.DocumentController,
        plan: Plan,
        scalarizers: Mapping[str, Scalarizer],
        run: RunDescription,
        on_event: Callable[[Event], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self._window = window
        self._plan = plan
        self._run = run
        self._on_event = on_event
        self._on_failure = on_failure
        self.tasks = WindowTasks(window, self._tell_of_failure)
        self._items = RunItems(window.document_model, run.title)
        self._kept = RunRecord(self._items, run, plan, scalarizers)
        self._live = LiveItems(window, self.tasks, self._items, run, plan, Objective.of(plan.objective, scalarizers))

    def record(self, event: Event) -> None:
        """Queue an event for the window's thread; never waits for it."""
        self.tasks.add(lambda: self._handle(event))

    def close(self) -> None:
        """Deal with all that is queued and hand the items over to the project. The run must have ended."""
        self.tasks.finish()
        self._window.document_model.perform_data_item_updates()
        self._items.close()

    def _tell_of_failure(self, error: Exception) -> None:
        if isinstance(error, OSError):
            self._on_failure(f"The Swift project could not take a data item ({error}): check the disk.")
        else:
            consequence = "the session file is not affected; do not delete the run's data items while it goes on"
            self._on_failure(sentence_of(error, consequence))

    def _handle(self, event: Event) -> None:
        tasks: list[Task] = []
        match event:
            case SurveyAcquired(survey=survey):
                tasks = self._begin(survey)
            case ReferenceFound():
                tasks = self._refer_to(event)
            case PointMeasured():
                self._live.visit(event.measurement, event.frame.pattern)
                tasks = self._kept.keep(event)
            case ReadingsRevised(measurements=measurements):
                self._live.revise(measurements)
                tasks = self._kept.rewrite(measurements)
            case StepCompleted():
                tasks = self._kept.keep_maps(event.number, event.maps) + self._live.complete(event.maps, event.next)
            case CommandApplied(after_run=True):
                tasks = self._live.add_afterwards(event.plan, event.objective, event.maps)
            case CommandApplied():
                tasks = self._kept.change(event.plan) + self._live.change(event.plan, event.objective, event.maps)
            case RunPaused():
                tasks = self._live.refresh()
            case RunResumed():
                tasks = self._take_up(event)
            case RunEnded():
                tasks = [*self._live.refresh(), self._items.close]
        self.tasks.split(*tasks, lambda: self._on_event(event))

    def _begin(self, survey: Survey) -> list[Task]:
        picture = survey_picture(survey)
        xdata = picture.xdata(self._run.of(self._plan))
        tasks: list[Task] = [lambda: self._items.add(picture.role, picture.title, xdata)]
        if self._plan.search.patch_size > min(survey.shape):
            return tasks  # the run ends here: not one patch fits, and there will be no maps
        patches = patches_for(self._plan, survey)
        return [*tasks, *self._live.begin(patches), *self._kept.begin(patches), self._live.show_workspace]

    def _refer_to(self, event: ReferenceFound) -> list[Task]:
        self._live.refer_to(event.reference)
        return self._kept.add_reference(event.reference, event.pattern)

    def _take_up(self, event: RunResumed) -> list[Task]:
        interrupted = event.interrupted
        tasks = self._begin(interrupted.survey.survey)
        if interrupted.reference is not None:
            tasks += self._refer_to(interrupted.reference)
        if not interrupted.measurements:
            return tasks
        session = open_session(interrupted.file)
        self._live.take_up(event, session.pattern(session.count - 1))
        return [*tasks, *self._kept.take_up(interrupted, session), session.close, *self._live.refresh()]
