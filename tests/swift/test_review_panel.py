"""The panel that goes through saved sessions, in a Swift without a microscope."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import h5py
import numpy
import pytest
from nion.swift import DisplayPanel
from nion.utils import Geometry

from dkl_ae import reports
from dkl_ae.analysis import counterfactual_view, recorded_view, step_record
from dkl_ae.records import Reading
from dkl_ae.run import model_text
from dkl_ae.session import MAPS, Session, open_session
from nionswift_plugin.dkl_ae_ui.project.path_picture import NEXT_COLOUR, PICKED_COLOUR
from nionswift_plugin.dkl_ae_ui.project.run_items import METADATA_KEY
from nionswift_plugin.dkl_ae_ui.review_panel import refitting, texts
from nionswift_plugin.dkl_ae_ui.review_panel.displays import GROUP
from tests.support.kept_runs import QUICK_PLAN, SWITCHED_AFTER, kept_run
from tests.support.panel_runs import items_of, run_to_end, select
from tests.support.surrogates import NearestNeighbour
from tests.support.swift_in_process import pump

pytestmark = pytest.mark.swift

ROLES = {"path", *MAPS, "pattern", "readings", "learning", "calibration"}


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> pathlib.Path:
    file = tmp_path_factory.mktemp("sessions") / "run.h5"
    kept_run(file, make_surrogate=NearestNeighbour, switched_after=SWITCHED_AFTER)
    return file


@pytest.fixture
def session(file) -> Iterator[Session]:
    with open_session(file) as session:
        yield session


@pytest.fixture
def swift() -> Iterator[Any]:
    from nion.swift.test import TestContext

    with TestContext.create_memory_context() as context:
        window = context.create_document_controller_with_application()
        yield SimpleNamespace(document_controller=window, document_model=window.document_model)


@pytest.fixture
def open_review() -> Iterator[Callable[[Any], Any]]:
    """Opens the panel of a context; returns its handler. Closed at the end."""
    from nionswift_plugin.dkl_ae_ui.review_panel import PANEL

    panels = []

    def make(context: Any) -> Any:
        panels.append(PANEL.open(context.document_controller))
        return panels[-1].handler

    yield make
    for panel in panels:
        if panel.widget:
            panel.close()


@pytest.fixture
def nearest_neighbours(monkeypatch) -> None:
    """Models that learn at once."""
    monkeypatch.setattr(
        refitting, "counterfactual_view", functools.partial(counterfactual_view, make_surrogate=NearestNeighbour)
    )


def settle(context: Any, handler: Any) -> None:
    """Until everything that is to be drawn is."""
    done: list[bool] = []
    for _ in range(3):  # a task may add another
        handler._tasks.add(lambda: done.append(True))
        count = len(done)
        pump(context, lambda count=count: len(done) > count)


def shown(context: Any) -> dict[str, Any]:
    """The review's data items, by role."""
    return {
        item.metadata[METADATA_KEY]["role"]: item
        for item in context.document_model.data_items
        if item.metadata.get(METADATA_KEY, {}).get("review")
    }


def choose_maps(handler: Any, scalarizer: str) -> None:
    handler.scalarizer_index.value = 1 + list(handler._session.scalarizers).index(scalarizer)


def assert_maps(context: Any, view: Any) -> None:
    margin = QUICK_PLAN.search.patch_size // 2
    for name in MAPS:
        expected = getattr(view.maps, name)[margin:-margin, margin:-margin].astype(numpy.float32)
        numpy.testing.assert_array_equal(shown(context)[name].data, expected)


def test_wherever_the_slider_stands_the_items_show_what_the_session_holds(swift, open_review, session) -> None:
    handler = open_review(swift)
    assert not handler.step_slider.enabled
    handler.open_file(session.file)
    assert handler.step_slider.maximum == session.count
    for number in (session.count, 8, 12, 7):
        handler.step_slider.value = number
        settle(swift, handler)
        items = shown(swift)
        assert set(items) == ROLES
        assert_maps(swift, recorded_view(session, number))
        numpy.testing.assert_array_equal(items["pattern"].data, session.pattern(number - 1))
        scalarizer = step_record(session, number).scalarizer
        values = session.readings[scalarizer.name][0]
        later, read, expected = items["readings"].data
        numpy.testing.assert_array_equal(later, values)
        numpy.testing.assert_array_equal(read[:number], values[:number])
        assert numpy.isnan(read[number:]).all()
        assert items["readings"].intensity_calibration.units == scalarizer.unit
        assert expected[number - 1] == session.columns["expected"][number - 1]
        assert items["prediction"].intensity_calibration.units == scalarizer.unit
        assert handler.step_text.value == f"{number} of {session.count}"
        assert handler.maps_text.value.endswith(f"{scalarizer.label}, after point {number}")
    (group,) = swift.document_model.data_groups
    assert (group.title, len(group.display_items)) == (GROUP, len(ROLES))
    assert [c.units for c in items["path"].dimensional_calibrations] == ["nm", "nm"]
    assert [c.units for c in items["pattern"].dimensional_calibrations] == ["mrad", "mrad"]
    display_item = swift.document_model.get_display_item_for_data_item(items["pattern"])
    assert [graphic.label for graphic in display_item.graphics] == [None, "bright-field disc, in its mask", "zero"]
    curves = swift.document_model.get_display_item_for_data_item(items["readings"])
    assert curves.used_display_type == "line_plot"
    layers = [(layer.label, layer.data_row) for layer in curves.display_layers]
    assert layers == [("later", 0), ("read", 1), ("expected", 2)]
    assert handler.message_text.value == ""
    displays = swift.document_controller.workspace_controller.display_panels
    assert next(panel.data_item for panel in displays) is items["path"]
    assert {panel.data_item for panel in displays} == set(items.values())


def test_the_panel_explains_the_step(swift, open_review, session) -> None:
    handler = open_review(swift)
    handler.open_file(session.file)
    handler.go_to(2)
    settle(swift, handler)
    assert handler.title_text.value == session.file.name
    assert handler.about_text.value == (
        f"the largest CoM magnitude, from point {SWITCHED_AFTER + 1} the smallest Virtual ABF; "
        "15 of 15 points; finished"
    )
    assert handler.chosen_text.value == "random (seed)"
    assert handler.expected_text.value == "no prediction yet"
    assert handler.intervals_text.value == "no predictions yet"
    assert handler.maps_text.value == "The model had not learned anything yet."
    assert (shown(swift)["path"].data == NEXT_COLOUR).all(axis=-1).any()
    handler.go_to(9)
    settle(swift, handler)
    step = step_record(session, 9)
    explored = round(100 * step.exploration)
    assert handler.chosen_text.value == f"the model: {explored} % to explore, {100 - explored} % to exploit"
    assert handler.expected_text.value == f"{step.expected:.4g} ± {step.uncertainty:.2g} mrad"
    direction = "above" if step.standardized_error > 0 else "below"
    assert handler.read_text.value.startswith(f"{step.reading.value:.4g} ± {step.reading.total_sigma:.2g} mrad: ")
    assert handler.read_text.value.endswith(f": {abs(step.standardized_error):.1f} sigma {direction}")
    assert handler.intervals_text.value.endswith(" % within 2")
    assert " of 3 within 1 sigma" in handler.intervals_text.value
    assert handler.dose_text.value.startswith(f"{step.dose.electrons:.3g} electrons")
    assert handler.time_text.value.endswith(" ms model")
    assert handler.model_text.value == f"Model: {model_text(step.model)}"
    handler.forward_button.on_clicked()
    assert handler.step.value == 10
    handler.back_button.on_clicked()
    handler.back_button.on_clicked()
    assert handler.step.value == 8


def test_of_many_moves_of_the_slider_only_the_last_is_drawn(swift, open_review, session, monkeypatch) -> None:
    handler = open_review(swift)
    handler.open_file(session.file)
    settle(swift, handler)
    drawn: list[str] = []
    show = handler._displays.show
    monkeypatch.setattr(handler._displays, "show", lambda picture: (drawn.append(picture.title), show(picture)))
    for number in (*range(1, 15), *range(14, 4, -1)):
        handler.step.value = number
    settle(swift, handler)
    assert [title for title in drawn if title.startswith("Path")] == ["Path to point 5"]
    assert len(drawn) == len(ROLES)


def test_a_click_on_a_visited_point_shows_its_pattern(swift, open_review, session, nearest_neighbours) -> None:
    handler = open_review(swift)
    handler.open_file(session.file)
    handler.go_to(12)
    settle(swift, handler)
    items = shown(swift)
    clicked = DisplayPanel.DisplayPanelManager().image_display_clicked_event
    panel = swift.document_controller.workspace_controller.display_panels[0]

    def click(role: str, number: int) -> bool:
        display_item = swift.document_model.get_display_item_for_data_item(items[role])
        proposal, enlargement = session.measurement(number - 1).proposal, items["path"].data_shape[0] / 24
        place = Geometry.FloatPoint(y=(proposal.row + 0.6) * enlargement, x=(proposal.column + 0.4) * enlargement)
        return clicked.fire_any(panel, display_item, place, None)

    maps = {name: numpy.array(items[name].data) for name in MAPS}
    assert click("path", 4)
    settle(swift, handler)
    numpy.testing.assert_array_equal(items["pattern"].data, session.pattern(3))
    assert items["pattern"].title == "Pattern of point 4"
    assert handler.pattern_text.value.startswith("of point 4: ")
    assert handler.step.value == 12
    for name in MAPS:
        numpy.testing.assert_array_equal(items[name].data, maps[name])
    assert (items["path"].data == PICKED_COLOUR).all(axis=-1).any()
    assert not click("prediction", 5), "only the path is clicked for patterns"
    choose_maps(handler, "bf")
    pump(swift, lambda: handler.maps_text.value == "of the smallest Virtual BF, after point 12")
    assert items["pattern"].title == "Pattern of point 4"
    handler.go_to(11)
    settle(swift, handler)
    numpy.testing.assert_array_equal(items["pattern"].data, session.pattern(10))


def test_another_scalarizers_maps_are_shown_when_they_are_learned(
    swift, open_review, session, nearest_neighbours
) -> None:
    handler = open_review(swift)
    handler.open_file(session.file)
    handler.go_to(9)
    settle(swift, handler)
    choose_maps(handler, "bf")
    pump(swift, lambda: handler.maps_text.value == "of the largest Virtual BF, after point 9")
    settle(swift, handler)
    assert_maps(swift, counterfactual_view(session, 9, "bf", NearestNeighbour))
    assert shown(swift)["prediction"].title == "Prediction of Virtual BF, point 9"
    assert handler.model_text.value.startswith("Model: Error bars x ")
    assert shown(swift)["prediction"].intensity_calibration.units == "fraction of the beam"
    numpy.testing.assert_array_equal(shown(swift)["readings"].data[0], session.readings["bf"][0])
    choose_maps(handler, "bragg_spacing")
    pump(swift, lambda: handler.maps_text.value.startswith("None of its first 9 readings is defined: choose"))
    settle(swift, handler)
    assert not shown(swift)["prediction"].data.any()
    handler.scalarizer_index.value = 0
    settle(swift, handler)
    assert_maps(swift, recorded_view(session, 9))


def test_only_the_last_question_is_answered_and_closing_does_not_wait_for_it(
    swift, open_review, session, monkeypatch
) -> None:
    asked: list[int] = []
    go_on = threading.Event()

    def slow(session: Session, number: int, scalarizer: str) -> Any:
        asked.append(number)
        go_on.wait(10)
        return counterfactual_view(session, number, scalarizer, NearestNeighbour)

    monkeypatch.setattr(refitting, "counterfactual_view", slow)
    handler = open_review(swift)
    handler.open_file(session.file)
    choose_maps(handler, "bf")
    pump(swift, lambda: bool(asked))
    for number in (7, 8, 9, 10):
        handler.go_to(number)
        settle(swift, handler)
        assert handler.maps_text.value == f"Learning what Virtual BF would have said after point {number}..."
    go_on.set()
    pump(swift, lambda: handler.maps_text.value.endswith("after point 10"))
    assert asked == [session.count, 10]
    go_on.clear()
    handler.go_to(12)
    pump(swift, lambda: len(asked) == 3)
    start = time.monotonic()
    handler.close()
    assert time.monotonic() - start < 2
    go_on.set()


def test_a_model_that_fails_says_so(swift, open_review, session, monkeypatch) -> None:
    def fail(session: Session, number: int, scalarizer: str) -> Any:
        raise RuntimeError("no memory")

    monkeypatch.setattr(refitting, "counterfactual_view", fail)
    handler = open_review(swift)
    handler.open_file(session.file)
    choose_maps(handler, "bf")
    sentence = "The model failed (RuntimeError: no memory): see the log, or choose other maps."
    pump(swift, lambda: handler.maps_text.value == sentence)


def test_what_is_no_whole_session_is_told_in_one_sentence(swift, open_review, session, tmp_path) -> None:
    handler = open_review(swift)
    handler.open_file(session.file)
    settle(swift, handler)
    foreign, text, empty = (tmp_path / name for name in ("foreign.h5", "text.h5", "empty.h5"))
    with h5py.File(foreign, "w") as opened:
        opened["data"] = numpy.zeros(3)
    text.write_text("no session")
    shutil.copy(session.file, empty)
    with h5py.File(empty, "r+") as opened:
        opened["patterns"].resize(0, axis=0)
    for path, sentence in (
        (tmp_path / "gone.h5", "The session {} cannot be read"),
        (foreign, "{} is no saved session"),
        (text, "{} is no saved session"),
        (empty, "{} holds no measurement, as its run ended before the first: choose another session."),
    ):
        handler.open_file(path)
        assert handler.message_text.value.startswith(sentence.format(path))
    handler.go_to(8)
    settle(swift, handler)
    numpy.testing.assert_array_equal(shown(swift)["pattern"].data, session.pattern(7))


def test_a_session_that_was_cut_off_is_shown_as_far_as_it_goes(swift, open_review, session, tmp_path) -> None:
    cut = tmp_path / "cut.h5"
    end = session.opened["patterns"].id.get_chunk_info(9).byte_offset
    cut.write_bytes(session.file.read_bytes()[: end + 10])
    handler = open_review(swift)
    handler.open_file(cut)
    settle(swift, handler)
    assert handler.message_text.value.startswith("cut.h5 is cut off: ")
    assert handler.about_text.value.endswith("9 of 15 points; broken off, or still going on")
    assert handler.step_text.value == "9 of 9"
    numpy.testing.assert_array_equal(shown(swift)["pattern"].data, session.pattern(8))


def test_a_pattern_that_cannot_be_read_any_more_does_not_hide_the_others(swift, open_review, session, tmp_path) -> None:
    rotten = tmp_path / "rotten.h5"
    content = bytearray(session.file.read_bytes())
    start = session.opened["patterns"].id.get_chunk_info(session.count - 1).byte_offset
    content[start : start + 100] = bytes(100)
    rotten.write_bytes(content)
    handler = open_review(swift)
    handler.open_file(rotten)
    settle(swift, handler)
    assert handler.message_text.value.startswith(f"{rotten} is damaged (")
    assert handler.message_text.value.endswith("): restore it from a copy.")
    handler.go_to(8)
    settle(swift, handler)
    numpy.testing.assert_array_equal(shown(swift)["pattern"].data, session.pattern(7))


def test_a_second_session_takes_the_place_of_the_first(
    swift, open_review, session, tmp_path, nearest_neighbours
) -> None:
    other = tmp_path / "other.h5"
    kept_run(other, make_surrogate=NearestNeighbour)
    handler = open_review(swift)
    handler.open_file(session.file)
    choose_maps(handler, "bf")
    settle(swift, handler)
    first, items = handler._session, shown(swift)
    handler.go_to(3)
    handler.open_file(other)
    settle(swift, handler)
    assert not first.opened
    assert shown(swift) == items
    assert handler.scalarizer_index.value == 0
    assert handler.title_text.value == "other.h5"
    with open_session(other) as second:
        assert_maps(swift, recorded_view(second, second.count))
    panels = swift.document_controller.workspace_controller.display_panels
    assert len(panels) == len(ROLES)


def test_a_later_review_of_the_project_shows_in_the_same_items(swift, open_review, session) -> None:
    first = open_review(swift)
    first.open_file(session.file)
    settle(swift, first)
    items = shown(swift)
    first.close()
    again = open_review(swift)
    again.open_file(session.file)
    again.go_to(8)
    settle(swift, again)
    assert shown(swift) == items
    numpy.testing.assert_array_equal(items["pattern"].data, session.pattern(7))


def test_a_snapshot_that_the_user_keeps_is_left_alone(swift, open_review, session) -> None:
    handler = open_review(swift)
    handler.open_file(session.file)
    settle(swift, handler)
    original = shown(swift)["pattern"]
    display_item = swift.document_model.get_display_item_for_data_item(original)
    kept = swift.document_model.get_display_item_snapshot_new(display_item).data_item
    swift.document_model.remove_data_item(original)
    handler.close()
    again = open_review(swift)
    again.open_file(session.file)
    again.go_to(8)
    settle(swift, again)
    numpy.testing.assert_array_equal(kept.data, session.pattern(session.count - 1))


def test_an_item_that_the_user_has_deleted_is_made_again(swift, open_review, session) -> None:
    handler = open_review(swift)
    handler.open_file(session.file)
    settle(swift, handler)
    swift.document_model.remove_data_item(shown(swift)["learning"])
    assert set(shown(swift)) == ROLES - {"learning"}
    handler.go_to(8)
    settle(swift, handler)
    assert set(shown(swift)) == ROLES


def test_the_run_of_a_selected_data_item_is_compared_with_its_session(simulator, open_panel, open_review) -> None:
    run_to_end(simulator, open_panel(simulator))
    items = items_of(simulator)
    handler = open_review(simulator)
    handler.open_selected_clicked()
    assert handler.message_text.value.startswith("No data item of a run is selected: select one")
    select(simulator, items["prediction"])
    handler.open_selected_button.on_clicked()
    pump(simulator, lambda: bool(handler.message_text.value) and "holds" in handler.message_text.value)
    assert handler.message_text.value == "The project holds the same 6 measurements as the session."
    assert handler.title_text.value == items["prediction"].metadata[METADATA_KEY]["run"]

    with items["patterns"].data_ref() as patterns:
        for index in (1, 4):
            patterns.data[index] = patterns.data[index] + 1
    select(simulator, shown(simulator)["path"])
    handler.open_selected_button.on_clicked()
    pump(simulator, lambda: "differ" in handler.message_text.value)
    assert handler.message_text.value == (
        "The project and the session differ in points 2 and 5: trust the session, which was written first."
    )

    file = pathlib.Path(items["path"].metadata[METADATA_KEY]["session"])
    moved = file.rename(file.with_name("moved.h5"))
    select(simulator, items["survey"])
    handler.open_selected_button.on_clicked()
    assert handler.message_text.value == (
        f"The session of this run was {file}, which is gone: press Open session... and choose it."
    )
    handler.open_file(moved)
    pump(simulator, lambda: "differ" in handler.message_text.value)


def test_the_dialogs_lead_to_a_session_and_to_its_report(swift, open_review, session, tmp_path, monkeypatch) -> None:
    def write_report(written: Session, folder: pathlib.Path, *, overwrite: bool) -> pathlib.Path:
        assert written.count == session.count
        folder.mkdir()
        return folder / "report.html"

    handler, window = open_review(swift), swift.document_controller
    monkeypatch.setattr(window, "get_file_path_dialog", lambda *asked: (str(session.file), "", ""))
    monkeypatch.setattr(window.ui, "get_existing_directory_dialog", lambda *asked: (str(tmp_path), ""), raising=False)
    monkeypatch.setattr(reports, "write_report", write_report)
    handler.open_button.on_clicked()
    assert handler.title_text.value == session.file.name
    handler.report_button.on_clicked()
    folder = tmp_path / "run report"
    pump(
        swift, lambda: handler.message_text.value == f"The report is {folder / 'report.html'}: open it with a browser."
    )
    handler.report_button.on_clicked()
    assert handler.message_text.value == "Writing the report..."
    pump(swift, lambda: handler.message_text.value.startswith(f"The report cannot be written into {folder} "))


@pytest.mark.parametrize(
    ("kept", "differing", "sentence"),
    [
        (9, (), "The project holds the same 9 measurements as the session."),
        (9, (4,), "The project and the session differ in point 4: trust the session, which was written first."),
        (
            9,
            (2, 5),
            "The project and the session differ in points 2 and 5: trust the session, which was written first.",
        ),
        (7, (), "The project holds 7 measurements of this run and the session 9; those in both are the same."),
        (
            11,
            (1, 2, 3, 5, 7, 8),
            "The project holds 11 measurements of this run and the session 9, and they differ in points 1, 2, 3, 5 and "
            "2 more: trust the session, which was written first.",
        ),
    ],
)
def test_whether_the_project_agrees_is_one_sentence(kept, differing, sentence) -> None:
    assert texts.agreement(kept, 9, differing) == sentence


def test_a_reading_that_is_undefined_says_why(session) -> None:
    undefined = Reading(float("nan"), float("nan"), "mrad", "no disc: expose longer.")
    sentence = "undefined (no disc: expose longer)"
    step = dataclasses.replace(step_record(session, 1), reading=undefined, standardized_error=None)
    assert texts.read(step) == sentence
    assert texts.pattern(step) == f"of point 1: {sentence}"
