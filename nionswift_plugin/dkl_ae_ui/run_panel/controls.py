"""What the panel lets its user do at the moment: conditions that its widgets bind to."""

from __future__ import annotations

from nion.utils import Model

from dkl_ae.run import Status
from dkl_ae.scalarizers import COMPOSITE
from dkl_ae.settings import VALUE, Plan
from nionswift_plugin.dkl_ae_ui.run_panel.results import Results
from nionswift_plugin.dkl_ae_ui.run_panel.run_control import RunControl


class Controls:
    """Which buttons and settings can be used."""

    def __init__(self) -> None:
        self.idle = Model.PropertyModel[bool](True)
        self.running = Model.PropertyModel[bool](False)
        self.pause_label = Model.PropertyModel[str]("Pause")
        self.can_start = Model.PropertyModel[bool](False)
        self.can_resume_run = Model.PropertyModel[bool](False)
        self.can_switch = Model.PropertyModel[bool](False)
        self.can_seek_value = Model.PropertyModel[bool](False)
        self.can_save_model = Model.PropertyModel[bool](False)
        self.can_save_reference = Model.PropertyModel[bool](False)

    def offer(
        self,
        status: Status,
        run: RunControl | None,
        chosen: Plan | None,
        results: Results,
        *,
        seeks_value: bool,
        has_unfinished: bool,
    ) -> None:
        """Offer what can be done now.

        run: the one under way, or the last. chosen: what stands in the panel, unless it cannot work.
        """
        idle, free = not status.is_running, run is None or not run.refitting
        self.idle.value, self.running.value = idle, not idle
        self.pause_label.value = "Resume" if run is not None and not idle and run.is_held else "Pause"
        self.can_start.value = idle and free and chosen is not None
        self.can_resume_run.value = idle and has_unfinished
        self.can_switch.value = free and _would_change(chosen, run, status)
        self.can_seek_value.value = seeks_value
        self.can_save_model.value = idle and results.model is not None
        self.can_save_reference.value = results.reference is not None


def _would_change(chosen: Plan | None, run: RunControl | None, status: Status) -> bool:
    """Whether another scalarizer or goal is chosen than the run optimizes, and one that the run reads."""
    if chosen is None or run is None or status.objective is None:
        return False
    asked, present = chosen.objective, status.objective
    if asked.scalarizer not in run.scalarizers:
        return False
    if asked.scalarizer == COMPOSITE and asked.expression != run.plan.objective.expression:
        return False
    if (asked.scalarizer, asked.goal) != (present.scalarizer.name, present.goal):
        return True
    return asked.goal == VALUE and asked.goal_value != present.goal_value
