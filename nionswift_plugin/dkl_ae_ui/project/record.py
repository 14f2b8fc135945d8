"""What a run leaves in the Swift project: patterns, measurements and the maps after each point,
written as they come."""

from __future__ import annotations

import functools
import typing
from collections.abc import Mapping

import numpy
from nion.data import Calibration, DataAndMetadata

from dkl_ae.experiment import Maps
from dkl_ae.patterns import Reference, reference_as_dict
from dkl_ae.records import AnyArray, Measurement, Patches
from dkl_ae.run import InterruptedRun, PointMeasured
from dkl_ae.scalarizers import ENDS, Scalarizer
from dkl_ae.session import MAPS, Session, kept_steps
from dkl_ae.settings import Plan
from nionswift_plugin.dkl_ae_kit import Task
from nionswift_plugin.dkl_ae_ui.project import axes
from nionswift_plugin.dkl_ae_ui.project.measurement_table import measurement_columns, measurement_row
from nionswift_plugin.dkl_ae_ui.project.pictures import pattern_picture
from nionswift_plugin.dkl_ae_ui.project.reference_overlay import reference_graphics
from nionswift_plugin.dkl_ae_ui.project.run_description import RunDescription
from nionswift_plugin.dkl_ae_ui.project.run_items import METADATA_KEY, RunItems


class RunRecord:
    """Writes the items that are kept. Its methods return the tasks that do it, for the window's thread.

    run: told by each item.
    plan: as the run begins.
    """

    def __init__(self, items: RunItems, run: RunDescription, plan: Plan, scalarizers: Mapping[str, Scalarizer]) -> None:
        self._items = items
        self._run = run
        self._plan = plan
        self._kept_steps: tuple[int, ...] = ()
        self._columns = measurement_columns(scalarizers.values())
        self._objectives = [_objective_from(1, plan)]
        self._patches: Patches | None = None
        self._reference: Reference | None = None
        self._measured = 0

    def begin(self, patches: Patches) -> list[Task]:
        """The survey has come, with its patches."""
        self._patches = patches
        self._kept_steps = kept_steps(self._plan, patches.survey.shape)
        return [self._add_measurements, self._add_maps]

    def add_reference(self, reference: Reference, pattern: AnyArray) -> list[Task]:
        self._reference = reference
        return [lambda: self._draw_reference(reference, pattern)]

    def keep(self, event: PointMeasured) -> list[Task]:
        self._measured = event.number
        ends = [end.pattern for end in event.ends]
        row = measurement_row(event.number, event.measurement)
        return [
            lambda: self._write_patterns(event.number - 1, event.frame.pattern, ends),
            lambda: self._items.write("measurements", event.number - 1, row[numpy.newaxis]),
        ]

    def rewrite(self, measurements: tuple[Measurement, ...]) -> list[Task]:
        """Readings that are known only later have changed."""
        rows = [measurement_row(step, measurement) for step, measurement in enumerate(measurements, start=1)]
        return [lambda: self._items.write("measurements", 0, numpy.stack(rows))]

    def keep_maps(self, step: int, maps: Maps | None) -> list[Task]:
        if maps is None or step not in self._kept_steps:
            return []
        return [lambda: self._write_maps(step, maps)]

    def change(self, plan: Plan, measured: int | None = None) -> list[Task]:
        """A command was applied.

        measured: how many measurements there were; None for now.
        """
        self._plan = plan
        first = (self._measured if measured is None else measured) + 1
        self._objectives = [*self._objectives, _objective_from(first, plan)]
        return [lambda: self._items.describe("maps", self._about_maps())]

    def take_up(self, interrupted: InterruptedRun, session: Session) -> list[Task]:
        """The earlier part of a run is written as it was: the items of a run are whole."""
        tasks: list[Task] = []
        plan = interrupted.plan
        for measured, command in session.commands:
            plan = command.changed(plan)
            tasks += self.change(plan, measured)
        self._measured = len(interrupted.measurements)
        return [
            *tasks,
            *(functools.partial(self._write_earlier, session, index) for index in range(self._measured)),
            *self.rewrite(interrupted.measurements),
            lambda: self._write_earlier_maps(session),
        ]

    # What the tasks do.

    def _about(self, role: str, **more: typing.Any) -> dict[str, typing.Any]:
        return {METADATA_KEY: {**self._run.of(self._plan), "role": role, **more}}

    def _about_maps(self) -> dict[str, typing.Any]:
        return self._about("maps", steps=list(self._kept_steps), maps=list(MAPS), objectives=self._objectives)

    def _add_measurements(self) -> None:
        shape = (self._plan.search.points, len(self._columns))
        self._items.add_reserved(
            "measurements",
            "Measurements",
            shape,
            numpy.float64,
            DataAndMetadata.DataDescriptor(False, 1, 1),
            [Calibration.Calibration(), Calibration.Calibration()],
            self._about("measurements", columns=list(self._columns)),
        )
        # Reserved space reads as zeros, which would pass for measurements.
        self._items.write("measurements", 0, numpy.full(shape, numpy.nan))

    def _add_maps(self) -> None:
        assert self._patches is not None
        of_survey = axes.of_survey(self._patches.inner_shape, self._patches.survey.pixel_size_nm)
        self._items.add_reserved(
            "maps",
            "Maps after each point",
            (len(self._kept_steps), len(MAPS), *self._patches.inner_shape),
            numpy.float32,
            DataAndMetadata.DataDescriptor(False, 2, 2),
            [Calibration.Calibration(), Calibration.Calibration(), *of_survey],
            self._about_maps(),
        )

    def _draw_reference(self, reference: Reference, pattern: AnyArray) -> None:
        picture = pattern_picture(pattern.astype(numpy.float32), reference, "reference", "Reference pattern")
        about = {**self._run.of(self._plan), "reference": reference_as_dict(reference)}
        self._items.add(picture.role, picture.title, picture.xdata(about))
        display_item = self._items.display_item(picture.role)
        for graphic in reference_graphics(reference):
            display_item.add_graphic(graphic)

    def _write_patterns(self, index: int, pattern: AnyArray, ends: typing.Sequence[AnyArray]) -> None:
        """The pattern of one measurement, and those of the cross's ends where it has some."""
        self._write_as_measured("patterns", "Patterns", index, pattern)
        alike = [end for end in ends if end.shape == ends[0].shape]
        if ends:
            about = {"ends": [list(end) for end in ENDS]}
            self._write_as_measured("ends", "Patterns at the cross's ends", index, numpy.stack(alike), **about)

    def _write_as_measured(self, role: str, title: str, index: int, measured: AnyArray, **about: typing.Any) -> None:
        """Whatever type and size the camera gives: none is changed to fit to those before it."""
        if role not in self._items:
            self._add_patterns(role, title, measured if role == "patterns" else measured[0], **about)
        # A cross that was broken off has fewer ends.
        room = measured if role == "patterns" else numpy.broadcast_to(measured[0], (len(ENDS), *measured.shape[1:]))
        if self._items.can_hold(role, room):
            self._items.widen(role, measured.dtype, index)
            self._items.write(role, index, measured[numpy.newaxis])
        else:
            other = f"{role} of point {index + 1}"
            data = DataAndMetadata.new_data_and_metadata(measured, metadata=self._about(other))
            self._items.add(other, f"{title} of point {index + 1}", data)

    def _add_patterns(self, role: str, title: str, pattern: AnyArray, **about: typing.Any) -> None:
        """Room for a pattern of each measurement, or for one of each of the cross's ends."""
        assert self._reference is not None
        several = (len(ENDS),) if role == "ends" else ()
        self._items.add_reserved(
            role,
            title,
            (self._plan.search.points, *several, *pattern.shape),
            pattern.dtype,
            DataAndMetadata.DataDescriptor(False, 1 + len(several), 2),
            [axes.points(), *(Calibration.Calibration() for _ in several), *axes.of_pattern(self._reference)],
            self._about(role, **about),
            unit="counts",
        )

    def _write_maps(self, step: int, maps: Maps) -> None:
        assert self._patches is not None
        stack = numpy.stack([self._patches.inside(getattr(maps, name)).astype(numpy.float32) for name in MAPS])
        self._items.write("maps", self._kept_steps.index(step), stack[numpy.newaxis])

    def _write_earlier(self, session: Session, index: int) -> None:
        self._write_patterns(index, session.pattern(index), list(session.ends(index)))

    def _write_earlier_maps(self, session: Session) -> None:
        for step in self._kept_steps:
            maps = session.maps(step) if step in session.map_steps else None
            if maps is not None:
                self._write_maps(step, maps)


def _objective_from(number: int, plan: Plan) -> dict[str, typing.Any]:
    """What is optimized from a point on."""
    objective = plan.objective
    return {
        "from_point": number,
        "scalarizer": objective.scalarizer,
        "goal": objective.goal,
        "goal_value": objective.goal_value,
    }
