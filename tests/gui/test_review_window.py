"""A saved session gone through in the real window: the slider, the path and the maps of another scalarizer."""

from __future__ import annotations

from typing import Any

import pytest

from dkl_ae.session import open_session
from tests.support.kept_runs import SWITCHED_AFTER, kept_run
from tests.support.surrogates import NearestNeighbour
from tests.support.waiting import wait_until

pytestmark = pytest.mark.gui

REVIEW = "window.find_dock_panel('dkl-ae-review-panel').handler"

PLACE_ON_THE_PATH = """
from nion.utils import Geometry

display = window.workspace_controller.display_panels[0].display_canvas_item
on_canvas = display.mouse_mapping.map_point_image_to_widget(Geometry.FloatPoint(y=y, x=x))
place = display.map_to_global(Geometry.IntPoint(y=round(on_canvas.y), x=round(on_canvas.x)))
result = [place.x, place.y]
"""

PATTERN = """
item = next(i for i in window.document_model.data_items if i.title.startswith("Pattern of point"))
result = [item.title, item.data.tolist()]
"""


def text(swift: Any, name: str) -> str:
    return str(swift.evaluate(f"{REVIEW}.{name}_text.value"))


def drag_slider(swift: Any) -> None:
    """From its right end to its left end, as fast as a hand does."""
    left, top = swift.evaluate(
        f"(lambda p: [p.x, p.y])({REVIEW}.step_slider.map_to_global("
        "__import__('nion.utils.Geometry', fromlist=['x']).IntPoint(x=0, y=8)))"
    )
    width = swift.evaluate(f"{REVIEW}.step_slider.size.width")
    swift.drag((left + width - 8, top), *((left + x, top) for x in range(width - 8, 0, -10)), (left, top))


def test_a_saved_session_is_gone_through_with_the_mouse(open_swift, tmp_path) -> None:
    file = tmp_path / "run.h5"
    kept_run(file, make_surrogate=NearestNeighbour, switched_after=SWITCHED_AFTER)
    with open_session(file) as session:
        count, enlargement = session.count, 512 // session.survey.shape[0] + 1
        proposal, pattern = session.measurement(2).proposal, session.pattern(2).tolist()
    swift = open_swift()
    swift.call("window.find_dock_panel('dkl-ae-review-panel').show()\nresult = None")
    swift.evaluate(f"{REVIEW}.open_file(__import__('pathlib').Path({str(file)!r}))")
    swift.wait_for(f"len(window.workspace_controller.display_panels) == 9 and {REVIEW}.step.value == {count}")
    swift.let_draw()

    drag_slider(swift)
    swift.wait_for(f"{REVIEW}.step_text.value == '1 of {count}'")
    for _ in range(7):
        swift.click("forward_button", panel=REVIEW, offset=(10, 10))
    swift.click("back_button", panel=REVIEW, offset=(10, 10))
    swift.wait_for(f"{REVIEW}.step_text.value == '7 of {count}'")
    assert text(swift, "chosen").startswith("the model: ")

    y, x = ((place + 0.5) * enlargement for place in (proposal.row, proposal.column))
    swift.click_at(*swift.call(f"y, x = {y}, {x}\n{PLACE_ON_THE_PATH}"))
    swift.wait_for(f"{REVIEW}.pattern_text.value.startswith('of point 3: ')")
    wait_until(lambda: swift.call(PATTERN) == ["Pattern of point 3", pattern], "the pattern is not shown")
    assert text(swift, "step") == f"7 of {count}"

    swift.choose("scalarizer_combo", 5, panel=REVIEW)
    label = swift.evaluate(f"{REVIEW}.scalarizer_labels.value[5]").split(" (")[0]
    swift.wait_for(f"{REVIEW}.maps_text.value == 'of the largest {label}, after point 7'")
    swift.screenshot("review")

    swift.click("forward_button", panel=REVIEW, offset=(10, 10))  # and while it learns:
    assert swift.quit() == 0
