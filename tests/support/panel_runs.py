"""What a test does with the panel, and what it finds in the Swift project afterwards."""

from __future__ import annotations

import threading
from typing import Any

import numpy

from dkl_ae.session import MAPS
from nionswift_plugin.dkl_ae_ui.project.run_items import METADATA_KEY
from tests.support.swift_in_process import pump

ROLES = {"survey", "path", *MAPS, "pattern", "readings", "measurements", "maps", "patterns", "reference"}


def items_of(context: Any) -> dict[str, Any]:
    """The data items of the last run, by their role."""
    return {
        item.metadata[METADATA_KEY]["role"]: item
        for item in context.document_model.data_items
        if METADATA_KEY in item.metadata
    }


def columns_of(items: dict[str, Any]) -> list[str]:
    """What stands in each column of the measurements."""
    return list(items["measurements"].metadata[METADATA_KEY]["columns"])


def run_to_end(context: Any, handler: Any) -> None:
    handler.start_button.on_clicked()
    assert not handler.idle.value, handler.message.value
    pump(context, lambda: handler.idle.value)


def run_to_step(context: Any, handler: Any, step: int) -> None:
    """Press Start and wait until this many points are measured."""
    handler.start_button.on_clicked()
    pump(context, lambda: handler.status.number >= step)


def measured(context: Any) -> int:
    """Number of measured rows; the rest must be untouched."""
    rows = numpy.array(items_of(context)["measurements"].xdata.data)
    done = numpy.isfinite(rows[:, 0])
    count = int(done.sum())
    assert done[:count].all()
    assert numpy.isnan(rows[count:]).all()
    return count


def record_survey(context: Any) -> Any:
    """Acquire one frame of the scan as it is set; returns a copy of its data."""
    scan = context.scan_hardware_source
    frames: list[Any] = []

    def record() -> None:
        parameters = scan.get_current_frame_parameters()
        scan.set_current_frame_parameters(parameters)
        frames.append(numpy.array(scan.record_immediate(parameters)[0].data))

    thread = threading.Thread(target=record)
    thread.start()
    pump(context, lambda: not thread.is_alive())

    # The window makes the frame's data item, and fills it part by part, after the thread has ended.
    def shown() -> bool:
        items = [item for item in context.document_model.data_items if "HAADF" in item.title]
        return any(item.xdata is not None and numpy.array_equal(item.xdata.data, frames[0]) for item in items)

    pump(context, shown)
    return frames[0]


def select(context: Any, item: Any) -> None:
    """Show a data item in a display panel and select that, as a user does."""
    window = context.document_controller
    panel = window.workspace_controller.display_panels[0]
    panel.set_display_item(context.document_model.get_display_item_for_data_item(item))
    window.selected_display_panel = panel
    assert window.selected_data_item is item
