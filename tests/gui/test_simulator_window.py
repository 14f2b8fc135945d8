"""The simulated microscope in the real window: choose a specimen, scan it, park the probe, see the pattern change."""

from __future__ import annotations

import pytest
import scipy.constants

from tests.support.swift_window import Swift
from tests.support.waiting import wait_until

pytestmark = pytest.mark.gui

SCAN_PANEL = "scan-control-panel-dkl_ae_scan"
CAMERA_PANEL = "camera-control-panel-dkl_ae_ronchigram"

SIDE_BY_SIDE = """
import uuid

workspaces = window.workspace_controller
panels = workspaces.display_panels
if len(panels) == 1:
    workspaces.insert_display_panel(panels[0], "right").perform()
    panels = workspaces.display_panels
titles = ("Scan", "Camera")
for panel, title in zip(panels, titles):
    item = next(i for i in window.document_model.data_items if title in i.title)
    display_item = window.document_model.get_display_item_for_data_item(item)
    if title == "Camera":
        display_item.display_data_channels[0].adjustments = [{"type": "log", "uuid": str(uuid.uuid4())}]
    panel.set_display_item(display_item)
result = [i.title for i in window.document_model.data_items]
"""
PATTERN = """
import numpy
item = next(i for i in window.document_model.data_items if "Camera" in i.title)
pattern = numpy.array(item.xdata.data, float)
y, x = (numpy.indices(pattern.shape) - 31.5) * 2.5
outside = numpy.hypot(y, x) > 34
result = {"outside": float(pattern[outside].sum() / pattern.sum()), "electrons": float(pattern.sum())}
"""


FRAME = """
item = next(i for i in window.document_model.data_items if "Camera" in i.title)
result = str(item.xdata.timestamp)
"""


def wait_for_frames(swift: Swift, count: int) -> None:
    """So many frames of the live camera, one after another."""
    frames: set[str] = set()

    def are_shown() -> bool:
        frames.add(swift.call(FRAME))
        return len(frames) >= count

    wait_until(are_shown, "the camera does not play")


def test_a_specimen_is_chosen_scanned_and_probed(open_swift) -> None:
    swift = open_swift()
    assert swift.evaluate("simulator.message.value").startswith("Loaded: graphene with silicon and a hole, 4 x 4 nm")
    swift.type_into("beam_current_pa_edit", "-5", panel="simulator")
    assert swift.evaluate("simulator.message.value") == ("The beam current is -5 pA: choose zero or a positive number.")
    assert not swift.evaluate("simulator.load_button.enabled")
    swift.type_into("beam_current_pa_edit", "50", panel="simulator")
    swift.choose("specimen_combo", 1, panel="simulator")
    swift.click("load_button", panel="simulator")
    swift.wait_for("simulator.message.value.startswith('Loaded: twisted bilayer graphene')")

    swift.click_button_of(SCAN_PANEL, "Scan")
    swift.wait_for("any('Scan' in i.title for i in window.document_model.data_items)")
    swift.click_button_of(CAMERA_PANEL, "Play")
    swift.wait_for("any('Camera' in i.title for i in window.document_model.data_items)")
    swift.call(SIDE_BY_SIDE)
    swift.screenshot("simulator-scanning")

    sites = swift.evaluate("simulator.site_labels.value")
    seen = {}
    for name in ("3-fold silicon 1 (upper layer)", "hole"):
        swift.choose("site_combo", sites.index(name), panel="simulator")
        swift.click("park_button", panel="simulator")
        assert swift.evaluate("simulator.message.value") == f"The probe is parked: {name}."
        swift.wait_for("simulator._microscope.instrument.probe_state == 'parked'")
        wait_for_frames(swift, 4)  # the first may have been exposed before, and the second have begun before
        seen[name] = swift.call(PATTERN)
        swift.screenshot(f"simulator-{name.split()[0]}")
    dopant, hole = seen.values()
    # 50 pA for 10 ms; the dopant scatters electrons out of the disc, vacuum does not.
    for pattern in (dopant, hole):
        assert pattern["electrons"] == pytest.approx(50e-12 * 0.01 / scipy.constants.elementary_charge, rel=0.02)
    assert dopant["outside"] > 0.005
    assert hole["outside"] < 0.001
    assert swift.quit() == 0
