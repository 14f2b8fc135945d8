"""What is shown of a run while it goes on: maps, path, pattern and readings, kept in memory until the run ends."""

from __future__ import annotations

import dataclasses
import functools
import time
import typing
import uuid
from collections.abc import Sequence

import numpy
from nion.swift import DocumentController

from dkl_ae.experiment import Maps, Objective
from dkl_ae.patterns import Reference
from dkl_ae.records import AnyArray, Measurement, Patches, Proposal
from dkl_ae.run import RunResumed
from dkl_ae.settings import Plan
from nionswift_plugin.dkl_ae_kit import Task, WindowTasks, shown_workspace
from nionswift_plugin.dkl_ae_ui.project.path_picture import PathPicture
from nionswift_plugin.dkl_ae_ui.project.pictures import (
    COLOURS,
    Picture,
    curves,
    map_pictures,
    path_over_survey,
    pattern_picture,
)
from nionswift_plugin.dkl_ae_ui.project.run_description import RunDescription
from nionswift_plugin.dkl_ae_ui.project.run_items import RunItems

_SHORTEST_PERIOD_S = 0.33
_LONGEST_PERIOD_S = 3.0
"""Between one redrawing of the live items and the next."""

_PERIOD_PER_DURATION = 5
"""Within these bounds the period is so many times as long as the last redrawing took: the run, whose probe moves wait
for the window, comes first."""

WORKSPACE_ID = "dkl-ae-workspace"

_ROLES = ("path", "prediction", "uncertainty", "pattern", "readings", "acquisition", "reading_probability")
"""In the order of the workspace's displays."""


class LiveItems:
    """Keeps the live items up to date. Its methods return the tasks that do it, for the window's thread.

    tasks: works them off.
    run: told by each item.
    plan, objective: as the run begins.
    """

    def __init__(
        self,
        window: DocumentController.DocumentController,
        tasks: WindowTasks,
        items: RunItems,
        run: RunDescription,
        plan: Plan,
        objective: Objective,
    ) -> None:
        self._window = window
        self._tasks = tasks
        self._items = items
        self._run = run
        self._plan = plan
        self._objective = objective
        self._patches: Patches | None = None
        self._path: PathPicture | None = None
        self._reference: Reference | None = None
        self._measurements: list[Measurement] = []
        self._maps: Maps | None = None
        self._upcoming: Proposal | None = None
        self._pattern: AnyArray | None = None
        self._refreshed = 0.0
        self._refresh_took_s = 0.0

    def begin(self, patches: Patches) -> list[Task]:
        """The survey has come, with its patches: make the items."""
        self._patches = patches
        self._path = PathPicture(patches.survey.image)
        drawn = [
            path_over_survey(self._path, patches.survey, None),
            *map_pictures(None, patches, self._objective.scalarizer),
            Picture("pattern", "Current pattern", numpy.zeros((2, 2), numpy.float32)),
            self._curve(numpy.zeros(1)),
        ]
        pictures = {picture.role: picture for picture in drawn}
        return [functools.partial(self._add, pictures[role]) for role in _ROLES]

    def refer_to(self, reference: Reference) -> None:
        self._reference = reference

    def visit(self, measurement: Measurement, pattern: AnyArray) -> None:
        """A point has been measured."""
        assert self._path is not None
        self._path.visit(measurement.proposal)
        self._measurements.append(measurement)
        self._pattern = pattern

    def revise(self, measurements: Sequence[Measurement]) -> None:
        """Readings that are known only later have changed."""
        self._measurements = list(measurements)

    def complete(self, maps: Maps | None, upcoming: Proposal | None) -> list[Task]:
        """A step is over: show it when it is time."""
        self._maps, self._upcoming = maps, upcoming
        period_s = min(max(_SHORTEST_PERIOD_S, _PERIOD_PER_DURATION * self._refresh_took_s), _LONGEST_PERIOD_S)
        return self.refresh() if time.monotonic() - self._refreshed > period_s else []

    def change(self, plan: Plan, objective: Objective, maps: Maps | None) -> list[Task]:
        """A command was applied."""
        self._plan, self._objective, self._maps, self._upcoming = plan, objective, maps, None
        return self.refresh()

    def take_up(self, event: RunResumed, pattern: AnyArray) -> None:
        """An earlier run goes on, after its last pattern."""
        self._plan, self._objective, self._maps = event.plan, event.objective, event.maps
        for measurement in event.interrupted.measurements:
            self.visit(measurement, pattern)

    def refresh(self) -> list[Task]:
        """Bring the items up to date."""
        self._refreshed = time.monotonic()
        self._refresh_took_s = 0.0
        if not self._measurements:
            return []
        assert self._path is not None
        assert self._patches is not None
        readings = numpy.array([m.readings[self._objective.scalarizer.name].value for m in self._measurements])
        draw_path = functools.partial(path_over_survey, self._path, self._patches.survey, self._upcoming)
        pictures = [self._curve(readings)]
        if self._pattern is not None and self._reference is not None:
            pictures.append(pattern_picture(self._pattern, self._reference))
        pictures += map_pictures(self._maps, self._patches, self._objective.scalarizer)
        tasks: list[Task] = [
            lambda: self._show(draw_path()),
            *(functools.partial(self._show, picture) for picture in pictures),
        ]
        return [functools.partial(self._timed, task) for task in tasks]

    def add_afterwards(self, plan: Plan, objective: Objective, maps: Maps | None) -> list[Task]:
        """The run has ended, and another objective is looked at: the maps of the run stay as they were, and those of
        this one stand beside them."""
        self._plan, self._objective = plan, objective
        if maps is None:
            return []
        assert self._patches is not None
        scalarizer = objective.scalarizer
        return [
            functools.partial(
                self._items.add,
                f"{picture.role} of {scalarizer.name}",
                f"{picture.title} of {scalarizer.label}",
                dataclasses.replace(picture, role=f"{picture.role} of {scalarizer.name}").xdata(self._about()),
                COLOURS[picture.role],
            )
            for picture in map_pictures(maps, self._patches, scalarizer)
        ]

    def show_workspace(self) -> None:
        panels = shown_workspace(self._window, "Automated Experiment", _workspace_layout(), WORKSPACE_ID)
        self._tasks.split(
            *(
                functools.partial(panel.set_display_item, self._items.display_item(role))
                for panel, role in zip(panels, _ROLES, strict=False)
            )
        )

    def _add(self, picture: Picture) -> None:
        self._items.add_live(picture.role, picture.title, picture.xdata(self._about()), COLOURS.get(picture.role))

    def _show(self, picture: Picture) -> None:
        self._items.show(picture.role, picture.xdata(self._about()))

    def _timed(self, task: Task) -> None:
        start = time.monotonic()
        task()
        self._refresh_took_s += time.monotonic() - start

    def _about(self) -> dict[str, typing.Any]:
        measured = {"step": len(self._measurements)} if self._measurements else {}
        return {**self._run.of(self._plan), **measured}

    def _curve(self, readings: AnyArray) -> Picture:
        return curves("readings", "Reading of each point", readings, self._objective.scalarizer.unit)


def _workspace_layout() -> dict[str, typing.Any]:
    """Two rows of displays, in the order of _ROLES."""

    def row(count: int) -> dict[str, typing.Any]:
        children = [{"type": "image", "uuid": str(uuid.uuid4())} for _ in range(count)]
        return {
            "type": "splitter",
            "orientation": "vertical",
            "splits": [1 / count] * count,
            "children": children,
        }

    return {
        "type": "splitter",
        "orientation": "horizontal",
        "splits": [0.5, 0.5],
        "children": [row(3), row(4)],
    }
