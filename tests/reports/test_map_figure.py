"""The picture of maps: one panel a scalarizer."""

import h5py
import numpy
import pytest

from dkl_ae.reports import draw_map_figure


@pytest.mark.parametrize("count", [1, 4, 7])
@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_each_map_has_its_panel_with_name_and_unit(tmp_path, count, suffix) -> None:
    with h5py.File(tmp_path / "maps.h5", "w", track_order=True) as maps:
        maps.attrs["nm_per_pixel"] = 0.02
        maps["reference/pattern"] = numpy.ones((4, 4))
        for number in range(count):
            group = maps.create_group(f"reading_{number}")
            group.attrs.update({"label": f"Reading {number}", "circular": number == 2})
            # One has no number at all, and one has both signs.
            values = numpy.full((6, 8), numpy.nan) if number == 1 else numpy.arange(48.0).reshape(6, 8) - 20
            group.create_dataset("value", data=values).attrs["unit"] = "mrad" if number else ""
    picture = tmp_path / f"maps.{suffix}"
    draw_map_figure(tmp_path / "maps.h5", picture, suffix)
    content = picture.read_bytes()
    assert len(content) > 5000
    if suffix == "svg":
        assert content.count(b"<!-- Reading ") == count
        assert (b"<!-- Reading 1 (mrad) -->" in content) == (count > 1)
