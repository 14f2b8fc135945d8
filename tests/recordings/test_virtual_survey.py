"""The survey that a recording's own patterns make: an annular detector around the bright-field disc."""

from __future__ import annotations

import dataclasses
import math

import numpy
import pytest

from dkl_ae.recordings import Recording, virtual_survey
from dkl_ae.recordings import chunks as scan_chunks
from tests.support.recorded_patterns import GRAPHENE


@pytest.fixture(scope="module")
def recording() -> Recording:
    """Graphene with counting noise; the disc's centre is at (32.25, 31.75) and its radius 12 pixels of 2.5 mrad."""
    with numpy.load(GRAPHENE) as data:
        return Recording("graphene", data["counts"], None, 0.02, (2.5, 2.5), vacuum=data["vacuum"] * 1e5)


@pytest.mark.parametrize(("inner", "outer"), [(1.1, 2.0), (2.0, math.inf), (0.0, 1.0)])
def test_it_counts_what_falls_on_the_ring(recording: Recording, inner: float, outer: float) -> None:
    """But for the pixels that the ring's edges cut, of which some are counted and some not."""
    y, x = numpy.indices((64, 64))
    radius = numpy.hypot(y - 32.25, x - 31.75) / 12
    surely, possibly = (
        recording.stored_patterns[:, :, (radius >= inner + less) & (radius <= outer - less)].sum(axis=-1)
        for less in (0.05, -0.05)
    )
    image = virtual_survey(recording, inner, outer)
    assert image.shape == (24, 24)
    assert (surely <= image).all()
    assert (image <= possibly).all()


def test_it_shows_the_atoms_as_the_annular_detector_does(recording: Recording) -> None:
    with numpy.load(GRAPHENE) as data:
        recorded = data["haadf"]
    assert numpy.corrcoef(virtual_survey(recording, 2.0, math.inf).ravel(), recorded.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("pixels", [1, 5 * 4096, 50 * 4096])
def test_how_the_scan_is_cut_does_not_matter(recording, pixels, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    whole = virtual_survey(recording, 1.1, 2.0)
    monkeypatch.setattr(scan_chunks, "_CHUNK_PIXELS", pixels)
    told: list[float] = []
    numpy.testing.assert_array_equal(virtual_survey(recording, 1.1, 2.0, progress=told.append), whole)
    assert told == sorted(told)
    assert told[-1] == 1


def test_a_recording_without_noise_is_counted_with_so_many_electrons(recording: Recording) -> None:
    assert recording.vacuum is not None
    roots = numpy.sqrt(numpy.stack([[recording.vacuum / 1e5] * 3] * 2))
    exact = dataclasses.replace(
        recording, stored_patterns=roots, square_root_scale=1.0, vacuum=recording.vacuum / recording.vacuum.sum()
    )
    numpy.testing.assert_allclose(virtual_survey(exact, 0.0, math.inf, electrons=1e4), 1e4, rtol=1e-3)


@pytest.mark.parametrize(
    ("radii", "message"),
    [
        ((2.0, 1.0), "from 2 to 1 disc radii: give a ring like 1.5 4"),
        ((-1.0, 1.0), "from -1 to 1 disc radii"),
        ((math.nan, 1.0), "from nan to 1 disc radii"),
        ((5.0, 9.0), "The camera has no pixel between 5 and 9 disc radii: choose other radii"),
    ],
)
def test_a_ring_that_cannot_be_is_refused(recording: Recording, radii: tuple[float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        virtual_survey(recording, *radii)
    assert str(caught.value).endswith(".")
