"""What a run leaves in the Swift project: its events become data items, on the window's thread.

What was measured (patterns, measurements, maps at each step) is written as it comes; what is shown live (maps, path,
pattern, readings) is kept in memory until the run ends.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import time
import typing
import uuid
from collections.abc import Callable, Sequence

import numpy
import numpy.typing
from nion.data import Calibration, DataAndMetadata
from nion.swift import DocumentController

from dkl_ae.experiment import Maps, Plan
from dkl_ae.patterns import Reference, described
from dkl_ae.records import AnyArray, Measurement, Proposal, Survey
from dkl_ae.run import (
    DriverChanged,
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
from dkl_ae.scalarizers import ENDS, Scalarizer
from dkl_ae.session import Session, kept_steps, open_session
from nionswift_plugin.dkl_ae_kit import Task, WindowTasks, shown_workspace
from nionswift_plugin.dkl_ae_ui.project import axes as calibrations
from nionswift_plugin.dkl_ae_ui.project.measurement_table import measurement_columns, measurement_row
from nionswift_plugin.dkl_ae_ui.project.path_picture import PathPicture
from nionswift_plugin.dkl_ae_ui.project.reference_overlay import reference_graphics
from nionswift_plugin.dkl_ae_ui.project.run_items import METADATA_KEY, RunItems

_REFRESH_PERIOD_S = 0.33
"""Live items are redrawn at most this often: faster, drawing would take the window's whole time."""

WORKSPACE_ID = "dkl-ae-workspace"


@dataclasses.dataclass(frozen=True)
class _LiveItem:
    role: str
    title: str
    colour_map: str | None


_LIVE_ITEMS = (
    _LiveItem("path", "Path over survey", None),
    _LiveItem("prediction", "Prediction", "viridis"),
    _LiveItem("uncertainty", "Uncertainty", "plasma"),
    _LiveItem("pattern", "Current pattern", "viridis"),
    _LiveItem("readings", "Reading against step", None),
    _LiveItem("acquisition", "Acquisition", "magma"),
)


class Recorder:
    """Keeps one run in the Swift project and shows it.

    Made and closed on the window's thread; `record` is called from the run's thread.

    title: of the run; it stands in the title of each of its items.
    session: file that keeps the same; each item tells its name.
    on_event: told of every event on the window's thread, after the recorder dealt with it.
    on_trouble: told, in one sentence, when something could not be kept or shown.
    """

    def __init__(
        self,
        window: DocumentController.DocumentController,
        plan: Plan,
        title: str,
        session: pathlib.Path,
        on_event: Callable[[Event], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._window = window
        self._plan = plan
        self._session = session
        self._scalarizers = plan.scalarizers
        self._columns = measurement_columns(self._scalarizers.values())
        self._on_event = on_event
        self._on_trouble = on_trouble
        self.title = title
        self.tasks = WindowTasks(window, self._tell_of_failure)
        self._items = RunItems(window.document_model, self.title)
        self._survey: Survey | None = None
        self._reference: Reference | None = None
        self._picture: PathPicture | None = None
        self._measurements: list[Measurement] = []
        self._drivers = [_driver_from(1, plan)]
        self._maps: Maps | None = None
        self._upcoming: Proposal | None = None
        self._latest_pattern: AnyArray | None = None
        self._refreshed = 0.0

    def record(self, event: Event) -> None:
        """Queue an event for the window's thread; never waits for it."""
        self.tasks.add(lambda: self._handle(event))

    def close(self) -> None:
        """Deal with all that is queued and hand the items over to the project. The run must have ended."""
        self.tasks.finish()
        self._window.document_model.perform_data_item_updates()
        self._items.close()

    @property
    def _driver(self) -> Scalarizer:
        return self._scalarizers[self._plan.scalarizer]

    def _tell_of_failure(self, error: Exception) -> None:
        self._on_trouble(
            f"The Swift project could not take a data item ({type(error).__name__}: {error}): "
            "check the disk, and do not delete the run's data items while it goes on."
        )

    def _handle(self, event: Event) -> None:
        tasks: list[Task] = []
        match event:
            case SurveyAcquired(survey=survey):
                tasks = self._begin(survey)
            case ReferenceFound(reference=reference, pattern=pattern):
                self._reference = reference
                tasks = [lambda: self._add_reference(reference, pattern)]
            case PointMeasured():
                tasks = self._keep(event)
            case ReadingsRevised(measurements=measurements):
                self._measurements = list(measurements)
                tasks = [self._rewrite_measurements]
            case StepCompleted():
                tasks = self._complete(event)
            case DriverChanged(after_run=True):
                tasks = self._add_afterwards(event)
            case DriverChanged():
                tasks = self._change_driver(event)
            case RunPaused():
                tasks = self._refresh()
            case RunResumed():
                tasks = self._take_up(event)
            case RunEnded():
                tasks = [*self._refresh(), self._items.close]
        self.tasks.split(*tasks, lambda: self._on_event(event))

    # The survey has come: make what is shown live.

    def _begin(self, survey: Survey) -> list[Task]:
        self._survey = survey
        image = self._image("survey", survey.image.astype(numpy.float32))
        tasks: list[Task] = [lambda: self._items.add("survey", "Survey", image)]
        if self._plan.patch_size > min(survey.shape):
            return tasks  # the run ends here: not one patch fits, and there will be no maps
        self._picture = PathPicture(survey.image)
        first = {
            "path": self._path(None),
            **self._map_images(None),
            "pattern": self._xdata("pattern", numpy.zeros((2, 2), numpy.float32)),
            "readings": self._curve(numpy.zeros(1)),
        }
        tasks += [
            functools.partial(self._items.add_live, live.role, live.title, first[live.role], live.colour_map)
            for live in _LIVE_ITEMS
        ]
        tasks.append(self._add_measurements)
        tasks.append(self._add_map_history)
        tasks.append(self._show_workspace)
        return tasks

    def _add_measurements(self) -> None:
        shape = (self._plan.points, len(self._columns))
        self._items.add_reserved(
            "measurements",
            "Measurements",
            shape,
            numpy.float64,
            DataAndMetadata.DataDescriptor(False, 1, 1),
            [Calibration.Calibration(), Calibration.Calibration()],
            self._description("measurements", columns=list(self._columns)),
        )
        # Reserved space reads as zeros, which would pass for measurements.
        self._items.write("measurements", 0, numpy.full(shape, numpy.nan))

    def _add_map_history(self) -> None:
        assert self._survey is not None
        kept = kept_steps(self._plan)
        pixel = self._survey.pixel_size_nm
        shape = self._inside(self._survey.image).shape
        self._items.add_reserved(
            "maps",
            "Maps at each step",
            (len(kept), 3, *shape),
            numpy.float32,
            DataAndMetadata.DataDescriptor(False, 2, 2),
            [
                Calibration.Calibration(),
                Calibration.Calibration(),
                *calibrations.of_survey(shape, pixel),
            ],
            self._map_history(),
        )

    def _map_history(self) -> dict[str, typing.Any]:
        return self._description(
            "maps",
            steps=list(kept_steps(self._plan)),
            maps=["prediction", "uncertainty", "acquisition"],
            drivers=self._drivers,
        )

    def _add_reference(self, reference: Reference, pattern: AnyArray) -> None:
        xdata = self._pattern("reference", pattern.astype(numpy.float32), reference=described(reference))
        self._items.add("reference", "Reference pattern", xdata)
        display_item = self._items.display_item("reference")
        for graphic in reference_graphics(reference):
            display_item.add_graphic(graphic)

    def _show_workspace(self) -> None:
        panels = shown_workspace(self._window, "Automated Experiment", _workspace_layout(), WORKSPACE_ID)
        self.tasks.split(
            *(
                functools.partial(panel.set_display_item, self._items.display_item(live.role))
                for panel, live in zip(panels, _LIVE_ITEMS, strict=False)
            )
        )

    # A point has come: keep it, then show it when it is time.

    def _keep(self, event: PointMeasured) -> list[Task]:
        pattern = event.frame.pattern
        ends = [end.pattern for end in event.ends]
        tasks: list[Task] = []
        if "patterns" not in self._items:
            tasks.append(lambda: self._add_patterns(pattern))
        if ends and "ends" not in self._items:
            tasks.append(lambda: self._add_ends(ends[0]))
        assert self._picture is not None
        self._picture.visit(event.measurement.proposal)
        self._measurements.append(event.measurement)
        self._latest_pattern = pattern
        row = measurement_row(event.step, event.measurement)
        tasks.append(lambda: self._items.write("patterns", event.step - 1, pattern[numpy.newaxis]))
        tasks.append(lambda: self._items.write("measurements", event.step - 1, row[numpy.newaxis]))
        if ends:
            tasks.append(lambda: self._items.write("ends", event.step - 1, numpy.stack(ends)[numpy.newaxis]))
        return tasks

    def _rewrite_measurements(self) -> None:
        rows = [measurement_row(step, measurement) for step, measurement in enumerate(self._measurements, start=1)]
        self._items.write("measurements", 0, numpy.stack(rows))

    def _add_patterns(self, pattern: AnyArray) -> None:
        self._items.add_reserved(
            "patterns",
            "Patterns",
            (self._plan.points, *pattern.shape),
            pattern.dtype,
            DataAndMetadata.DataDescriptor(False, 1, 2),
            [calibrations.steps(), *self._pattern_axes()],
            self._description("patterns"),
            unit="counts",
        )

    def _add_ends(self, pattern: AnyArray) -> None:
        self._items.add_reserved(
            "ends",
            "Patterns at the cross's ends",
            (self._plan.points, len(ENDS), *pattern.shape),
            pattern.dtype,
            DataAndMetadata.DataDescriptor(False, 2, 2),
            [calibrations.steps(), Calibration.Calibration(), *self._pattern_axes()],
            self._description("ends", ends=[list(end) for end in ENDS]),
            unit="counts",
        )

    def _complete(self, event: StepCompleted) -> list[Task]:
        self._maps, self._upcoming = event.maps, event.next
        tasks: list[Task] = []
        kept = kept_steps(self._plan)
        maps = event.maps
        if maps is not None and event.step in kept:
            tasks.append(functools.partial(self._write_maps, kept.index(event.step), maps))
        if time.monotonic() - self._refreshed > _REFRESH_PERIOD_S:
            tasks.extend(self._refresh())
        return tasks

    def _write_maps(self, place: int, maps: Maps) -> None:
        stack = numpy.stack([self._inside(m) for m in (maps.prediction, maps.uncertainty, maps.acquisition)])
        self._items.write("maps", place, stack[numpy.newaxis])

    def _refresh(self) -> list[Task]:
        """Tasks that bring the live items up to date."""
        self._refreshed = time.monotonic()
        if not self._measurements:
            return []
        upcoming, pattern = self._upcoming, self._latest_pattern
        readings = numpy.array([m.readings[self._plan.scalarizer].value for m in self._measurements])
        tasks: list[Task] = [
            lambda: self._items.show("path", self._path(upcoming)),
            lambda: self._items.show("readings", self._curve(readings)),
        ]
        if pattern is not None:
            tasks.append(lambda: self._items.show("pattern", self._pattern("pattern", pattern)))
        return tasks + [
            functools.partial(self._items.show, role, xdata) for role, xdata in self._map_images(self._maps).items()
        ]

    # An earlier run goes on.

    def _take_up(self, event: RunResumed) -> list[Task]:
        """The earlier part of the run is written as it was: the items of a run are whole."""
        left = event.left
        tasks = self._begin(left.survey.survey)
        if left.reference is not None:
            found, pattern = left.reference.reference, left.reference.pattern
            self._reference = found
            tasks.append(lambda: self._add_reference(found, pattern))
        if not left.measurements:
            return tasks
        if left.followed is not None:
            self._plan = event.plan
            self._drivers = [*self._drivers, _driver_from(left.followed_since + 1, event.plan)]
            tasks.append(lambda: self._items.describe("maps", self._map_history()))
        self._measurements = list(left.measurements)
        self._maps = event.maps
        if self._picture is not None:
            for measurement in left.measurements:
                self._picture.visit(measurement.proposal)
        session = open_session(left.file)
        self._latest_pattern = session.pattern(session.count - 1)
        tasks.append(lambda: self._add_patterns(session.pattern(0)))
        tasks += [functools.partial(self._write_earlier, session, index) for index in range(len(left.measurements))]
        tasks += [self._rewrite_measurements, functools.partial(self._write_earlier_maps, session), session.close]
        return [*tasks, *self._refresh()]

    def _write_earlier(self, session: Session, index: int) -> None:
        self._items.write("patterns", index, session.pattern(index)[numpy.newaxis])
        ends = session.ends(index)
        if len(ends):
            if "ends" not in self._items:
                self._add_ends(ends[0])
            self._items.write("ends", index, ends[numpy.newaxis])

    def _write_earlier_maps(self, session: Session) -> None:
        for place, step in enumerate(kept_steps(self._plan)):
            maps = session.maps(step) if step in session.map_steps else None
            if maps is not None:
                self._write_maps(place, maps)

    # Another scalarizer or goal is followed.

    def _change_driver(self, event: DriverChanged) -> list[Task]:
        self._plan, self._maps, self._upcoming = event.plan, event.maps, None
        self._drivers = [*self._drivers, _driver_from(len(self._measurements) + 1, event.plan)]
        return [lambda: self._items.describe("maps", self._map_history()), *self._refresh()]

    def _add_afterwards(self, event: DriverChanged) -> list[Task]:
        """The maps of the run stay as they were; these stand beside them."""
        self._plan = event.plan
        if event.maps is None:
            return []
        of = f" of {self._driver.name}"
        images = self._map_images(event.maps, of)
        return [
            functools.partial(
                self._items.add,
                live.role + of,
                f"{live.title} of {self._driver.label}",
                images[live.role + of],
                live.colour_map,
            )
            for live in _LIVE_ITEMS
            if live.role + of in images
        ]

    # Data with their calibrations and what they are.

    def _description(self, role: str, **more: typing.Any) -> dict[str, typing.Any]:
        plan = dataclasses.asdict(self._plan)
        about = {"run": self.title, "session": str(self._session), "role": role, "plan": plan}
        return {METADATA_KEY: {**about, **more}}

    def _xdata(
        self,
        role: str,
        data: AnyArray,
        unit: str = "",
        calibrations: Sequence[Calibration.Calibration] | None = None,
        **more: typing.Any,
    ) -> DataAndMetadata.DataAndMetadata:
        if self._measurements:
            more["step"] = len(self._measurements)
        return DataAndMetadata.new_data_and_metadata(
            data,
            intensity_calibration=Calibration.Calibration(units=unit),
            dimensional_calibrations=calibrations,
            metadata=self._description(role, **more),
        )

    def _image(
        self, role: str, image: AnyArray, unit: str = "", enlargement: int = 1
    ) -> DataAndMetadata.DataAndMetadata:
        """Data around the survey's centre; each survey pixel has become `enlargement` pixels of the image."""
        assert self._survey is not None
        pixel = self._survey.pixel_size_nm / enlargement
        return self._xdata(role, image, unit, calibrations.of_survey(image.shape, pixel))

    def _map_images(self, maps: Maps | None, of: str = "") -> dict[str, DataAndMetadata.DataAndMetadata]:
        """Prediction, uncertainty and acquisition; zeros while the model says nothing.

        of: what to append to their roles.
        """
        assert self._survey is not None
        nothing = numpy.zeros(self._survey.shape)
        maps = maps or Maps(nothing, nothing, nothing)
        unit = self._driver.unit
        return {
            role + of: self._image(role + of, self._inside(image), unit)
            for role, image, unit in (
                ("prediction", maps.prediction, unit),
                ("uncertainty", maps.uncertainty, unit),
                ("acquisition", maps.acquisition, ""),
            )
        }

    def _path(self, upcoming: Proposal | None) -> DataAndMetadata.DataAndMetadata:
        assert self._picture is not None
        return self._image("path", self._picture.image(upcoming), enlargement=self._picture.enlargement)

    def _inside(self, image: AnyArray) -> AnyArray:
        """A map without the margin in which no patch fits: Swift finds no display range where pixels are NaN."""
        margin = self._plan.patch_size // 2
        height, width = image.shape
        return image[margin : height - margin, margin : width - margin].astype(numpy.float32)

    def _pattern_axes(self) -> list[Calibration.Calibration]:
        assert self._reference is not None
        return calibrations.of_pattern(self._reference)

    def _pattern(self, role: str, pattern: AnyArray, **more: typing.Any) -> DataAndMetadata.DataAndMetadata:
        assert self._reference is not None
        more["geometry"] = dataclasses.asdict(self._reference.geometry)
        return self._xdata(role, pattern, "counts", self._pattern_axes(), **more)

    def _curve(self, readings: AnyArray) -> DataAndMetadata.DataAndMetadata:
        return self._xdata("readings", readings, self._driver.unit, [calibrations.steps()])


def _driver_from(step: int, plan: Plan) -> dict[str, typing.Any]:
    return {"from_step": step, "scalarizer": plan.scalarizer, "goal": plan.goal, "goal_value": plan.goal_value}


def _workspace_layout() -> dict[str, typing.Any]:
    """Two rows of three displays, in the order of _LIVE_ITEMS."""

    def row() -> dict[str, typing.Any]:
        children = [{"type": "image", "uuid": str(uuid.uuid4())} for _ in range(3)]
        return {
            "type": "splitter",
            "orientation": "vertical",
            "splits": [1 / 3] * 3,
            "children": children,
        }

    return {
        "type": "splitter",
        "orientation": "horizontal",
        "splits": [0.5, 0.5],
        "children": [row(), row()],
    }
