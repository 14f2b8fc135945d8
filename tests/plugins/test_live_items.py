"""How often the live items are redrawn."""

from __future__ import annotations

import pathlib
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.experiment import Objective
from dkl_ae.records import Measurement, Origin, Patches, Position, Proposal, Reading, Survey
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.session import MAPS
from dkl_ae.settings import make_plan
from nionswift_plugin.dkl_ae_ui.project import live
from nionswift_plugin.dkl_ae_ui.project.run_description import RunDescription

DRAWN = 2 + len(MAPS)
"""Items: the path, the readings and the maps."""
PLAN = make_plan(patch_size=3)
PATCHES = Patches(Survey(numpy.arange(64.0).reshape(8, 8), 0.1), 3)
POINT = Measurement(
    Proposal(0, 1, 1, Origin.SEED),
    Position(0.2, 0.2),
    Position(0.2, 0.2),
    {"com_magnitude": Reading(1.0, 0.1, "mrad")},
    electrons=1e5,
    exposure_s=0.01,
    time=0.0,
)


class SlowItems:
    """Data items that take their time to be shown."""

    def __init__(self, takes_s: float) -> None:
        self.now = 100.0
        self.shown: list[float] = []
        self._takes_s = takes_s

    def show(self, role: str, xdata: Any) -> None:
        if role == "path":
            self.shown.append(self.now)
        self.now += self._takes_s


@given(takes_s=st.floats(0, 2), points_come_every_s=st.floats(0.01, 1))
def test_drawing_leaves_the_window_to_the_run(takes_s: float, points_come_every_s: float) -> None:
    items = SlowItems(takes_s)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "time", SimpleNamespace(monotonic=lambda: items.now))
        description = RunDescription("a run", pathlib.Path("run.h5"))
        subject = live.LiveItems(None, None, items, description, PLAN, Objective.of(PLAN.objective, SCALARIZERS))  # type: ignore[arg-type]
        subject.begin(PATCHES)
        started = items.now
        for _ in range(200):
            items.now += points_come_every_s
            subject.visit(POINT, numpy.zeros((4, 4)))
            for task in subject.complete(None, None):
                task()
    pauses = numpy.diff(items.shown)
    period_s = min(max(0.33, 5 * DRAWN * takes_s), 3)
    assert items.shown[0] - started == pytest.approx(points_come_every_s)
    assert (pauses > period_s - 1e-9).all()
    # And as soon as they may be: at the next point, which comes when they are drawn.
    assert (pauses <= max(period_s, DRAWN * takes_s) + points_come_every_s + 1e-9).all()
