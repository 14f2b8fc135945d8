"""The patterns of a run in the project are as the camera gave them, whatever it gave before."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

from dkl_ae.patterns import Reference, find_reference
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.settings import make_plan
from nionswift_plugin.dkl_ae_ui.project.record import RunRecord
from nionswift_plugin.dkl_ae_ui.project.run_description import RunDescription
from nionswift_plugin.dkl_ae_ui.project.run_items import METADATA_KEY, RunItems

pytestmark = pytest.mark.swift

PLAN = make_plan(patch_size=5, seed_points=2, model_points=4)


def reference() -> Reference:
    distance = numpy.hypot(*(numpy.indices((16, 16)) - 7.5))
    return find_reference(1000.0 * (distance < 4), (5.0, 5.0), 1.0)


def test_none_is_changed_to_fit(simulator, tmp_path) -> None:
    items = RunItems(simulator.document_model, "A run")
    record = RunRecord(items, RunDescription("A run", tmp_path / "run.h5"), PLAN, SCALARIZERS)
    for task in record.add_reference(reference(), numpy.ones((16, 16))):
        task()
    random = numpy.random.default_rng(1)
    measured = [
        random.integers(0, 255, (16, 16)).astype("u1"),
        random.integers(0, 60_000, (16, 16)).astype("u2"),
        random.integers(0, 255, (16, 16)).astype("u1"),
        random.uniform(-20, 23_995, (16, 16)).astype("f4"),
        random.integers(0, 255, (8, 8)).astype("u2"),
        random.integers(0, 255, (16, 16)).astype("u1"),
    ]
    ends = [list(numpy.stack([pattern] * 4)) for pattern in measured]
    ends[1] = ends[1][:2]
    for index, (pattern, around) in enumerate(zip(measured, ends, strict=True)):
        record._write_patterns(index, pattern, around)
    simulator.document_model.perform_data_item_updates()
    found: dict[str, Any] = {
        item.metadata[METADATA_KEY]["role"]: item
        for item in simulator.document_model.data_items
        if METADATA_KEY in item.metadata
    }
    kept, kept_ends = (numpy.array(found[role].data) for role in ("patterns", "ends"))
    for index, (pattern, around) in enumerate(zip(measured, ends, strict=True)):
        if pattern.shape == (16, 16):
            numpy.testing.assert_array_equal(kept[index], pattern)
            numpy.testing.assert_array_equal(kept_ends[index, : len(around)], around)
        else:
            numpy.testing.assert_array_equal(found[f"patterns of point {index + 1}"].data, pattern)
            numpy.testing.assert_array_equal(found[f"ends of point {index + 1}"].data, around)
    assert found["patterns"].intensity_calibration.units == "counts"
    # Those that were written before are still there.
    numpy.testing.assert_array_equal(found["patterns as uint8"].data[0], measured[0])
    items.close()
