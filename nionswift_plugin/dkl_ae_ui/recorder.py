"""What a run leaves in the Swift project: its events become data items, on the window's thread.

Two kinds of data items are made. What was measured (patterns, measurements, maps at each step) goes to reserved
HDF5 items, written piece by piece as it comes, outside any transaction: that alone survives a crash. What is
shown live (maps, path, pattern, readings) is kept in memory by a transaction until the run ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import math
import time
import typing
import uuid
from collections.abc import Callable, Sequence

import numpy
import numpy.typing
from nion.data import Calibration, DataAndMetadata
from nion.swift import DocumentController
from nion.swift.model import ApplicationData, DataItem, DisplayItem

from dkl_ae.experiment import Plan
from dkl_ae.measurement import Proposal
from dkl_ae.runner import (
    Event,
    PointMeasured,
    ReferenceFound,
    RunEnded,
    RunPaused,
    StepCompleted,
    SurveyAcquired,
)
from dkl_ae.scalarizers import SCALARIZERS, Reference
from dkl_ae.survey import Survey
from nionswift_plugin.dkl_ae_ui.measurement_table import MEASUREMENT_COLUMNS, measurement_row
from nionswift_plugin.dkl_ae_ui.path_picture import PathPicture
from nionswift_plugin.dkl_ae_ui.window_tasks import Task, WindowTasks

Array = numpy.typing.NDArray[typing.Any]

METADATA_KEY = "dkl_ae"
"""Every data item of a run carries a dictionary of this name: the plan, the role of the item, its columns."""

MOST_MAPS_KEPT = 100
"""The maps of every k-th step are kept, with the smallest k for which there are no more than this, and the last."""

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

    on_event: told of every event on the window's thread, after the recorder dealt with it.
    on_trouble: told, in one sentence, when something could not be kept or shown.
    """

    def __init__(
        self,
        window: DocumentController.DocumentController,
        plan: Plan,
        started: datetime.datetime,
        on_event: Callable[[Event], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._window = window
        self._document = window.document_model
        self._plan = plan
        self._scalarizer = SCALARIZERS[plan.scalarizer]
        self._on_event = on_event
        self._on_trouble = on_trouble
        self.title = f"{self._scalarizer.label}, {started:%Y-%m-%d %H:%M:%S}"
        self.tasks = WindowTasks(window, self._tell_of_failure)
        self._items: dict[str, DataItem.DataItem] = {}
        self._reserved: dict[str, DataAndMetadata.DataMetadata] = {}
        self._at_end = contextlib.ExitStack()
        self._survey: Survey | None = None
        self._reference: Reference | None = None
        self._picture: PathPicture | None = None
        self._readings: list[float] = []
        self._latest: StepCompleted | None = None
        self._latest_pattern: Array | None = None
        self._refreshed = 0.0

    def record(self, event: Event) -> None:
        """Queue an event for the window's thread; never waits for it."""
        self.tasks.add(lambda: self._handle(event))

    def close(self) -> None:
        """Deal with all that is queued and hand the items over to the project. The run must have ended."""
        self.tasks.finish()
        self._document.perform_data_item_updates()
        self._at_end.close()

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
            case StepCompleted():
                tasks = self._complete(event)
            case RunPaused():
                tasks = self._refresh()
            case RunEnded():
                tasks = [*self._refresh(), self._at_end.close]
        self.tasks.split(*tasks, lambda: self._on_event(event))

    # The survey has come: make what is shown live.

    def _begin(self, survey: Survey) -> list[Task]:
        self._survey = survey
        image = self._image("survey", survey.image.astype(numpy.float32))
        tasks: list[Task] = [lambda: self._add("survey", "Survey", image)]
        if self._plan.patch_size > min(survey.shape):
            return tasks  # the run ends here: not one patch fits, and there will be no maps
        self._picture = PathPicture(survey.image)
        empty = self._inside(numpy.zeros(survey.shape))
        unit = self._scalarizer.unit
        first = {
            "path": self._path(None),
            "prediction": self._image("prediction", empty, unit),
            "uncertainty": self._image("uncertainty", empty, unit),
            "acquisition": self._image("acquisition", empty),
            "pattern": self._xdata("pattern", numpy.zeros((2, 2), numpy.float32)),
            "readings": self._curve(numpy.zeros(1)),
        }
        tasks += [functools.partial(self._add_live, live, first[live.role]) for live in _LIVE_ITEMS]
        tasks.append(self._add_measurements)
        tasks.append(self._add_map_history)
        tasks.append(self._show_workspace)
        return tasks

    def _add(self, role: str, title: str, xdata: DataAndMetadata.DataAndMetadata) -> None:
        self._append(role, title, DataItem.new_data_item(xdata))

    def _append(self, role: str, title: str, item: DataItem.DataItem) -> None:
        item.title = f"{title} ({self.title})"
        item.session_metadata = ApplicationData.get_session_metadata_dict()
        self._document.append_data_item(item)
        group = self._document.get_or_create_data_group(f"Automated experiment: {self.title}")
        self._items[role] = item
        group.append_display_item(self._display_item(role))

    def _display_item(self, role: str) -> DisplayItem.DisplayItem:
        display_item = self._document.get_display_item_for_data_item(self._items[role])
        assert display_item is not None  # every data item gets one when it is appended
        return display_item

    def _add_live(self, live: _LiveItem, xdata: DataAndMetadata.DataAndMetadata) -> None:
        self._add(live.role, live.title, xdata)
        item = self._items[live.role]
        if live.colour_map:
            self._display_item(live.role).display_data_channels[0].color_map_id = live.colour_map
        self._at_end.enter_context(self._document.item_transaction(item))
        self._document.begin_data_item_live(item)
        self._at_end.callback(self._document.end_data_item_live, item)

    def _add_reserved(
        self,
        role: str,
        title: str,
        shape: tuple[int, ...],
        dtype: numpy.typing.DTypeLike,
        descriptor: DataAndMetadata.DataDescriptor,
        calibrations: Sequence[Calibration.Calibration],
        unit: str = "",
        **description: typing.Any,
    ) -> None:
        reserved = DataAndMetadata.DataMetadata(
            data_shape=shape,
            data_dtype=numpy.dtype(dtype),
            data_descriptor=descriptor,
            intensity_calibration=Calibration.Calibration(units=unit),
            dimensional_calibrations=list(calibrations),
            metadata=self._description(role, **description),
        )
        item = DataItem.DataItem(large_format=True)
        self._append(role, title, item)
        item.reserve_data(data_shape=shape, data_dtype=numpy.dtype(dtype), data_descriptor=descriptor)
        # A write brings these along, but an item of a run that ends early may never be written to.
        item.metadata = reserved.metadata
        item.set_dimensional_calibrations(reserved.dimensional_calibrations)
        item.set_intensity_calibration(reserved.intensity_calibration)
        item.increment_data_ref_count()
        self._at_end.callback(item.decrement_data_ref_count)
        self._reserved[role] = reserved

    def _write(self, role: str, index: int, data: Array) -> None:
        """Write data into places index, index + 1, ... of a reserved item's first axis."""
        metadata = self._reserved[role]
        everything = (slice(None),) * (data.ndim - 1)
        self._document.update_data_item_partial(
            self._items[role],
            metadata,
            DataAndMetadata.new_data_and_metadata(
                data.astype(metadata.data_dtype), data_descriptor=metadata.data_descriptor
            ),
            (slice(0, len(data)), *everything),
            (slice(index, index + len(data)), *everything),
        )

    def _add_measurements(self) -> None:
        shape = (self._plan.points, len(MEASUREMENT_COLUMNS))
        self._add_reserved(
            "measurements",
            "Measurements",
            shape,
            numpy.float64,
            DataAndMetadata.DataDescriptor(False, 1, 1),
            [Calibration.Calibration(), Calibration.Calibration()],
            columns=list(MEASUREMENT_COLUMNS),
        )
        # Reserved space reads as zeros, which would pass for measurements.
        self._write("measurements", 0, numpy.full(shape, numpy.nan))

    def _add_map_history(self) -> None:
        assert self._survey is not None
        kept = kept_steps(self._plan)
        pixel = self._survey.pixel_size_nm
        shape = self._inside(self._survey.image).shape
        self._add_reserved(
            "maps",
            "Maps at each step",
            (len(kept), 3, *shape),
            numpy.float32,
            DataAndMetadata.DataDescriptor(False, 2, 2),
            [
                Calibration.Calibration(),
                Calibration.Calibration(),
                *(_centred(side, pixel, "nm") for side in shape),
            ],
            steps=list(kept),
            maps=["prediction", "uncertainty", "acquisition"],
        )

    def _add_reference(self, reference: Reference, pattern: Array) -> None:
        described = dataclasses.asdict(reference)
        xdata = self._pattern("reference", pattern.astype(numpy.float32), reference=described)
        self._add("reference", "Reference pattern", xdata)

    def _show_workspace(self) -> None:
        controller = self._window.workspace_controller
        if controller is None:
            return
        # Swift rebuilds the whole window to change the workspace: not when it is shown already.
        if getattr(controller._workspace, "workspace_id", None) != WORKSPACE_ID:
            controller.ensure_workspace("Automated Experiment", _workspace_layout(), WORKSPACE_ID)
        self.tasks.split(
            *(
                functools.partial(panel.set_display_item, self._display_item(live.role))
                for panel, live in zip(controller.display_panels, _LIVE_ITEMS, strict=False)
            )
        )

    # A point has come: keep it, then show it when it is time.

    def _keep(self, event: PointMeasured) -> list[Task]:
        pattern = event.frame.pattern
        tasks: list[Task] = []
        if "patterns" not in self._items:
            tasks.append(lambda: self._add_patterns(pattern))
        assert self._picture is not None
        self._picture.visit(event.measurement.proposal)
        self._readings.append(event.measurement.readings[self._plan.scalarizer].value)
        self._latest_pattern = pattern
        row = measurement_row(event.step, event.measurement)
        tasks.append(lambda: self._write("patterns", event.step - 1, pattern[numpy.newaxis]))
        tasks.append(lambda: self._write("measurements", event.step - 1, row[numpy.newaxis]))
        return tasks

    def _add_patterns(self, pattern: Array) -> None:
        self._add_reserved(
            "patterns",
            "Patterns",
            (self._plan.points, *pattern.shape),
            pattern.dtype,
            DataAndMetadata.DataDescriptor(False, 1, 2),
            [Calibration.Calibration(1, 1, "step"), *self._pattern_calibrations()],
            unit="counts",
        )

    def _complete(self, event: StepCompleted) -> list[Task]:
        self._latest = event
        tasks: list[Task] = []
        kept = kept_steps(self._plan)
        maps = event.maps
        if maps is not None and event.step in kept:
            stack = numpy.stack([self._inside(m) for m in (maps.prediction, maps.uncertainty, maps.acquisition)])
            tasks.append(lambda: self._write("maps", kept.index(event.step), stack[numpy.newaxis]))
        if time.monotonic() - self._refreshed > _REFRESH_PERIOD_S:
            tasks.extend(self._refresh())
        return tasks

    def _refresh(self) -> list[Task]:
        """Tasks that bring the live items up to date."""
        self._refreshed = time.monotonic()
        latest = self._latest
        if latest is None:
            return []
        upcoming, maps, pattern = latest.next, latest.maps, self._latest_pattern
        readings = numpy.array(self._readings)
        tasks: list[Task] = [
            lambda: self._show("path", self._path(upcoming)),
            lambda: self._show("readings", self._curve(readings)),
        ]
        if pattern is not None:
            tasks.append(lambda: self._show("pattern", self._pattern("pattern", pattern)))
        if maps is not None:
            for role, image, unit in (
                ("prediction", maps.prediction, self._scalarizer.unit),
                ("uncertainty", maps.uncertainty, self._scalarizer.unit),
                ("acquisition", maps.acquisition, ""),
            ):
                xdata = self._image(role, self._inside(image), unit)
                tasks.append(functools.partial(self._show, role, xdata))
        return tasks

    def _show(self, role: str, xdata: DataAndMetadata.DataAndMetadata) -> None:
        item = self._items[role]
        if not item._closed:
            item.set_xdata(xdata)

    # Data with their calibrations and what they are.

    def _description(self, role: str, **more: typing.Any) -> dict[str, typing.Any]:
        plan = dataclasses.asdict(self._plan)
        return {METADATA_KEY: {"run": self.title, "role": role, "plan": plan, **more}}

    def _xdata(
        self,
        role: str,
        data: Array,
        unit: str = "",
        calibrations: Sequence[Calibration.Calibration] | None = None,
        **more: typing.Any,
    ) -> DataAndMetadata.DataAndMetadata:
        if self._latest is not None:
            more["step"] = self._latest.step
        return DataAndMetadata.new_data_and_metadata(
            data,
            intensity_calibration=Calibration.Calibration(units=unit),
            dimensional_calibrations=calibrations,
            metadata=self._description(role, **more),
        )

    def _image(self, role: str, image: Array, unit: str = "", enlargement: int = 1) -> DataAndMetadata.DataAndMetadata:
        """Data around the survey's centre; each survey pixel has become `enlargement` pixels of the image."""
        assert self._survey is not None
        pixel = self._survey.pixel_size_nm / enlargement
        return self._xdata(role, image, unit, [_centred(side, pixel, "nm") for side in image.shape[:2]])

    def _path(self, upcoming: Proposal | None) -> DataAndMetadata.DataAndMetadata:
        assert self._picture is not None
        return self._image("path", self._picture.image(upcoming), enlargement=self._picture.enlargement)

    def _inside(self, image: Array) -> Array:
        """A map without the margin in which no patch fits: Swift finds no display range where pixels are NaN."""
        margin = self._plan.patch_size // 2
        height, width = image.shape
        return image[margin : height - margin, margin : width - margin].astype(numpy.float32)

    def _pattern_calibrations(self) -> list[Calibration.Calibration]:
        reference = self._reference
        assert reference is not None
        # Swift's coordinates are those of pixel edges, the reference's those of pixel centres.
        return [
            Calibration.Calibration(-(centre + 0.5) * scale, scale, "mrad")
            for centre, scale in zip(reference.centre, reference.mrad_per_pixel, strict=True)
        ]

    def _pattern(self, role: str, pattern: Array, **more: typing.Any) -> DataAndMetadata.DataAndMetadata:
        return self._xdata(role, pattern, "counts", self._pattern_calibrations(), **more)

    def _curve(self, readings: Array) -> DataAndMetadata.DataAndMetadata:
        steps = Calibration.Calibration(1, 1, "step")
        return self._xdata("readings", readings, self._scalarizer.unit, [steps])


def kept_steps(plan: Plan) -> tuple[int, ...]:
    """The steps whose maps are kept: see MOST_MAPS_KEPT. The model speaks from the last seed on."""
    first = max(plan.seed_points, 1)
    count = plan.points - first + 1
    stride = max(1, math.ceil(count / MOST_MAPS_KEPT))
    return tuple(range(plan.points, first - 1, -stride))[::-1]


def _centred(side: int, scale: float, units: str) -> Calibration.Calibration:
    return Calibration.Calibration(-side * scale / 2, scale, units)


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
