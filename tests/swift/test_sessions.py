"""Runs in Swift leave a session file, agree with it, and go on from it."""

from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import numpy
import pytest

from dkl_ae.scalarizers import user_scalarizers
from dkl_ae.session import Session, open_session
from nionswift_plugin.dkl_ae_ui.project.measurement_table import measurement_row
from nionswift_plugin.dkl_ae_ui.project.run_items import METADATA_KEY
from nionswift_plugin.dkl_ae_ui.project.session_files import last_unfinished, new_session_file, sessions_folder
from tests.support.panel_runs import items_of, measured, run_to_end, run_to_step
from tests.support.swift_in_process import pump

pytestmark = pytest.mark.swift

MINE = """
import pathlib
from dkl_ae.scalarizers import scalarizer

pathlib.Path(__file__).with_name("was run").touch()

@scalarizer(unit="e")
def total(electrons, reference):
    return electrons.sum(), 1.0
"""


def sessions(context: Any) -> list[pathlib.Path]:
    return sorted(sessions_folder(context.document_controller).glob("*.h5"))


def assert_items_agree(context: Any, session: Session) -> None:
    """Swift's data items hold what the session file holds."""
    items = items_of(context)
    rows = numpy.array(items["measurements"].xdata.data)[: session.count]
    for index, row in enumerate(rows):
        numpy.testing.assert_array_equal(row, measurement_row(index + 1, session.measurement(index)))
    for index in range(session.count):
        numpy.testing.assert_array_equal(items["patterns"].xdata.data[index], session.pattern(index))
    inside = session.plan.search.patch_size // 2
    for place, step in enumerate(items["maps"].metadata[METADATA_KEY]["steps"]):
        if step in session.map_steps:
            expected = session.maps(step).prediction[inside:-inside, inside:-inside].astype(numpy.float32)
            numpy.testing.assert_array_equal(items["maps"].xdata.data[place, 0], expected)


def test_a_run_leaves_a_session_that_agrees_with_its_items(simulator, open_panel) -> None:
    handler = open_panel(simulator)
    run_to_end(simulator, handler)
    [file] = sessions(simulator)
    with open_session(file) as session:
        assert session.count == 6
        assert session.outcome == "finished"
        assert session.title.startswith("CoM magnitude, 20")
        assert session.plan.search.patch_size == 9
        json.dumps(session.instrument["scan"])
        assert_items_agree(simulator, session)
    assert {item.metadata[METADATA_KEY]["session"] for item in items_of(simulator).values()} == {str(file)}
    assert not handler.can_resume_run.value
    assert last_unfinished(simulator.document_controller) is None


def candidates(file: pathlib.Path) -> list[int]:
    with open_session(file) as session:
        return [int(candidate) for candidate in session.columns["candidate"]]


def test_a_stopped_run_goes_on_and_ends_as_if_it_had_not_been_stopped(simulator, open_panel) -> None:
    texts = {"seed_points": "4", "model_points": "16", "random_seed": "5", "compute_device": "cpu"}
    handler = open_panel(simulator, **texts)
    run_to_step(simulator, handler, 9)
    handler.stop_button.on_clicked()
    pump(simulator, lambda: handler.idle.value)
    [file] = sessions(simulator)
    stopped_after = measured(simulator)
    assert handler.session_text.value.endswith(f": {stopped_after} of 20 points")

    # Whatever stands in the panel, and however the scan is set now: the run goes on as it was.
    handler.set_text("patch_size", "13")
    scan = simulator.scan_hardware_source
    parameters = scan.get_current_frame_parameters()
    parameters.fov_nm, parameters.pixel_size = 1.0, (32, 32)
    scan.set_current_frame_parameters(parameters)
    handler.resume_run_button.on_clicked()
    assert not handler.idle.value, handler.message.value
    pump(simulator, lambda: handler.idle.value)
    assert handler.message.value == "Finished: 20 points measured."
    assert measured(simulator) == 20
    assert sessions(simulator) == [file]
    with open_session(file) as session:
        assert session.count == 20
        assert_items_agree(simulator, session)
    assert scan.get_current_frame_parameters().fov_nm == 1.0
    assert simulator.instrument.GetVal("C_Blank") == 1.0
    # Its items say so.
    assert all("resumed" in item.title for item in list(simulator.document_model.data_items)[-5:])


def question_buttons(context: Any) -> dict[str, Any]:
    """Those of the questions above the displays, by their text."""

    def within(widget: Any) -> Iterator[Any]:
        yield widget
        for child in getattr(widget, "children", ()):
            yield from within(child)

    column = context.document_controller.workspace_controller.message_column
    return {widget.text: widget for widget in within(column) if getattr(widget, "on_clicked", None)}


def test_a_file_of_scalarizers_is_run_once_its_user_was_asked(simulator, open_panel, tmp_path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(MINE)
    handler = open_panel(simulator, model_points="10", scalarizer_file=str(mine), scalarizer="total")
    run_to_step(simulator, handler, 4)
    handler.stop_button.on_clicked()
    pump(simulator, lambda: handler.idle.value)
    # In another window, another day.
    handler.set_text("scalarizer", "com_x")
    handler.set_text("scalarizer_file", "")
    other = open_panel(simulator)
    mine.with_name("was run").unlink()
    user_scalarizers._load.cache_clear()
    for answer in ("Do not resume", "Run it and resume"):
        other.resume_run_button.on_clicked()
        assert other.idle.value
        assert other.message.value == "The last run reads with mine.py: confirm above the displays that it is run."
        assert not mine.with_name("was run").exists()
        question_buttons(simulator)[answer].on_clicked()
        assert not question_buttons(simulator)
    assert not other.idle.value, other.message.value
    assert mine.with_name("was run").exists()
    other.stop_button.on_clicked()
    pump(simulator, lambda: other.idle.value)
    # Once is enough, as for whoever named the file in this window.
    for panel in (other, handler):
        panel.resume_run_button.on_clicked()
        assert not panel.idle.value, panel.message.value
        panel.stop_button.on_clicked()
        pump(simulator, lambda panel=panel: panel.idle.value)


def test_a_full_disk_pauses_the_run_until_resume_is_pressed(simulator, open_panel, monkeypatch) -> None:
    real = shutil.disk_usage
    handler = open_panel(simulator, model_points="10")
    run_to_step(simulator, handler, 4)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: real(folder)._replace(free=0))
    pump(simulator, lambda: handler.status.paused)
    assert handler.pause_label.value == "Resume"
    assert "cannot be written (no space left on the disk): fix this. Then press Resume." in handler.message.value
    assert simulator.instrument.GetVal("C_Blank") == 1.0
    monkeypatch.setattr(shutil, "disk_usage", real)
    handler.pause_button.on_clicked()
    pump(simulator, lambda: handler.idle.value)
    assert handler.message.value == "Finished: 13 points measured."
    with open_session(sessions(simulator)[0]) as session:
        assert session.count == 13
        assert_items_agree(simulator, session)


def test_no_two_runs_share_a_file(simulator) -> None:
    import datetime

    now = datetime.datetime(2026, 1, 2, 3, 4, 5)
    window = simulator.document_controller
    first = new_session_file(window, "com_x", now)
    first.parent.mkdir(parents=True)
    first.write_text("")
    assert first.name == "2026-01-02 03.04.05 com_x.h5"
    assert new_session_file(window, "com_x", now).name == "2026-01-02 03.04.05 com_x 2.h5"


def test_without_a_session_there_is_nothing_to_go_on_with(simulator, open_panel) -> None:
    handler = open_panel(simulator)
    assert not handler.can_resume_run.value
    assert handler.session_text.value == "no unfinished run"
    folder = sessions_folder(simulator.document_controller)
    folder.mkdir()
    (folder / "other.h5").write_text("not ours")
    assert last_unfinished(simulator.document_controller) is None
