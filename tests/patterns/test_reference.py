"""The reference: what it finds by itself, what it corrects, and that it survives its file."""

import contextlib
import dataclasses
import gc
import warnings

import numpy
import pytest
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.patterns import (
    Descan,
    DetectorGeometry,
    Patterns,
    find_reference,
    load_array,
    load_reference,
    reference_as_dict,
    reference_from_dict,
    save_reference,
    with_descan,
)
from dkl_ae.records import UserError
from dkl_ae.scalarizers import scalarize
from tests.support.discs import REFERENCE, disc


def com_x(pattern, reference) -> float:
    return scalarize(pattern, reference)["com_x"].value


@given(st.floats(25, 38), st.floats(25, 38), st.floats(4, 20))
def test_the_disc_is_found_to_a_fraction_of_a_pixel(y, x, radius) -> None:
    """The area is counted in whole pixels: the worst of 6,000 discs was 0.13 pixels wrong in radius, 0.10 in place."""
    found = find_reference(disc((y, x), radius), (2.5, 2.5))
    assert found.centre == pytest.approx((y, x), abs=0.15)
    assert found.radius_mrad == pytest.approx(2.5 * radius, abs=2.5 * 0.15)


@pytest.mark.parametrize("counts", [1e3, 1e4, 1e5, 1e6])
def test_the_disc_is_found_at_low_dose(counts) -> None:
    pattern = numpy.random.default_rng(0).poisson(disc(counts=counts))
    found = find_reference(pattern, (2.5, 2.5))
    assert found.centre == pytest.approx((31.0, 32.5), abs=0.3)
    assert found.radius_mrad == pytest.approx(30, rel=0.03)


def test_a_small_disc_on_a_large_detector_is_found() -> None:
    found = find_reference(disc((100, 140), 3, side=256), (1.0, 1.0))
    assert found.centre == pytest.approx((100, 140), abs=0.05)
    assert found.radius_mrad == pytest.approx(3, rel=0.05)


def test_a_clean_camera_has_no_level_no_noise_and_no_bad_pixels() -> None:
    found = find_reference(numpy.random.default_rng(0).poisson(disc(counts=1e5)), (2.5, 2.5))
    assert (found.dark, found.read_noise, found.bad_pixels) == (None, 0.0, None)


@given(st.floats(0.02, 0.2), st.integers(0, 2**16))
def test_a_beam_that_fills_the_detector_leaves_no_place_to_see_the_cameras_level(contrast, seed) -> None:
    """A ronchigram is bright to the corners, and all but free of noise where the camera gives many counts."""
    random = numpy.random.default_rng(seed)
    shadows = scipy.ndimage.gaussian_filter(random.normal(size=(128, 128)), 12)
    pattern = 1e6 * (1 - contrast * (shadows - shadows.min()) / numpy.ptp(shadows)) + random.normal(0, 200, (128, 128))
    found = find_reference(pattern, (0.8, 0.8), 40.0, exposures=4)
    assert (found.dark, found.read_noise) == (None, 0.0)
    assert found.counts == pytest.approx(pattern.sum())


def test_scattered_electrons_are_not_taken_for_the_cameras_own(graphene) -> None:
    """A mean over the specimen has them everywhere."""
    mean = graphene["counts"].reshape(-1, 64, 64).mean(axis=0)
    for vacuum in (True, False):
        found = find_reference(mean, (2.5, 2.5), exposures=576, vacuum=vacuum)
        assert (found.dark, found.bad_pixels) == (None, None)
    assert found.read_noise == 0
    halo = numpy.random.default_rng(0).poisson(disc(counts=1e5) + 5)
    assert find_reference(halo, (2.5, 2.5)).dark is None


def test_the_cameras_level_noise_and_bad_pixels_are_found() -> None:
    random = numpy.random.default_rng(0)
    frames = random.poisson(disc(counts=1e5), (9, 64, 64)) + random.normal(10, 2, (9, 64, 64))
    bad = [(3, 3), (4, 4), (0, 20), (30, 30), (63, 63)]
    for row, column in bad:
        frames[:, row, column] = 4000
    frames[:, 28, 35] = 0
    found = find_reference(frames.mean(axis=0), (2.5, 2.5), exposures=9)
    assert float(found.dark) == pytest.approx(10, abs=0.1)
    assert found.read_noise == pytest.approx(2, rel=0.1)
    assert sorted(zip(*map(list, numpy.nonzero(found.bad_pixels)), strict=True)) == sorted([*bad, (28, 35)])


def test_an_offset_and_hot_pixels_would_spoil_the_reading_and_do_not() -> None:
    moved = disc((31.0, 32.9), counts=1e5)
    spoilt = moved + 10
    spoilt[2, 2] = spoilt[33, 28] = 5000
    vacuum = disc(counts=1e5) + 10
    vacuum[2, 2] = vacuum[33, 28] = 5000
    clean = com_x(moved, find_reference(disc(counts=1e5), (2.5, 2.5)))
    assert com_x(spoilt, find_reference(vacuum, (2.5, 2.5))) == pytest.approx(clean, rel=0.01)
    assert abs(com_x(spoilt, dataclasses.replace(REFERENCE, counts=1e5)) - clean) > 0.3


def test_a_bad_pixel_may_hold_anything() -> None:
    pattern = disc(counts=1e5)
    bad = numpy.zeros((64, 64), bool)
    bad[31, 30] = True
    reference = dataclasses.replace(REFERENCE, bad_pixels=bad)
    expected = com_x(pattern, reference)
    for anything in (0.0, 1e30, numpy.inf, numpy.nan):
        pattern[31, 30] = anything
        assert com_x(pattern, reference) == pytest.approx(expected, abs=1e-5)


def test_a_given_dark_pattern_is_subtracted() -> None:
    dark = numpy.linspace(0, 50, 64 * 64).reshape(64, 64)
    reference = find_reference(disc() + dark, (2.5, 2.5), dark=dark)
    assert com_x(disc((31, 32.8)) + dark, reference) == pytest.approx(com_x(disc((31, 32.8)), REFERENCE), abs=1e-3)


def test_counts_below_the_threshold_are_read_as_none() -> None:
    pattern = disc((31, 32.8)) + 30.0
    reference = dataclasses.replace(REFERENCE, threshold=31.0)
    cut = numpy.where(pattern < 31, 0, pattern)
    assert com_x(pattern, reference) == pytest.approx(com_x(cut, REFERENCE), abs=1e-5)


@given(
    st.lists(st.floats(-1, 1), min_size=6, max_size=6),
    st.lists(st.floats(-1, 1), min_size=6, max_size=6),
    st.sampled_from([3, 6]),
)
def test_a_descan_of_the_fitted_order_is_taken_away(y_mrad, x_mrad, count) -> None:
    wander = Descan(tuple(y_mrad[:count]), tuple(x_mrad[:count]))
    places = numpy.stack(numpy.meshgrid([0.1, 0.4, 0.9], [0.05, 0.6, 0.95], indexing="ij"), axis=-1).reshape(-1, 2)
    wide = dataclasses.replace(REFERENCE, mask_radius=1.6)
    rest = zip(*wander.zero_mrad(places[:, 0], places[:, 1]), strict=True)
    frames = numpy.stack([disc((31 + y / 2.5, 32.5 + x / 2.5)) for y, x in rest])
    reference = with_descan(wide, frames, places, {3: 1, 6: 2}[count])
    seen = Patterns(frames, reference, positions=places).moments
    assert numpy.abs([seen.y, seen.x]).max() < 0.03


def test_a_descan_needs_places_in_both_directions() -> None:
    places = numpy.array([(0.5, 0.1), (0.5, 0.5), (0.5, 0.9)])
    with pytest.raises(ValueError, match="cannot be fitted to 3 places that lie as they do: give 3 or more"):
        with_descan(REFERENCE, numpy.stack([disc()] * 3), places, 1)


def test_a_dark_reference_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="the beam is off or blocked"):
        find_reference(numpy.zeros((64, 64)), (2.5, 2.5))


def test_a_reference_survives_its_file(tmp_path) -> None:
    random = numpy.random.default_rng(0)
    vacuum = random.poisson(disc(counts=1e5)) + random.normal(10, 1, (64, 64))
    vacuum[3, 3] = 5000
    reference = dataclasses.replace(
        find_reference(vacuum, (2.5, 2.4), 2.0, geometry=DetectorGeometry(12.0, True)),
        descan=Descan((0.1, 0.2, 0.3), (0.0, 0.1, 0.2)),
        lattice_mrad=((1.0, 20.0), (18.0, 2.0)),
        saturation=60_000.0,
    )
    save_reference(reference, tmp_path / "reference.npz")
    read = load_reference(tmp_path / "reference.npz", (9.0, 9.0), 9.0)
    for field in dataclasses.fields(reference):
        numpy.testing.assert_equal(getattr(read, field.name), getattr(reference, field.name))


def test_a_vacuum_pattern_is_a_reference_too(tmp_path) -> None:
    numpy.save(tmp_path / "vacuum.npy", disc())
    read = load_reference(tmp_path / "vacuum.npy", (2.5, 2.5), 1.0)
    assert read.centre == REFERENCE.centre
    turned = load_reference(tmp_path / "vacuum.npy", (2.5, 2.5), 1.0, DetectorGeometry(30.0))
    assert turned.geometry == DetectorGeometry(30.0)


def test_a_beam_that_fills_the_detector_is_not_taken_for_the_cameras_level() -> None:
    """As in a ronchigram: the brightest part is not all of the beam."""
    speckle = numpy.random.default_rng(0).normal(size=(64, 64))
    reference = find_reference(1000 + 3000 * scipy.ndimage.gaussian_filter(speckle, 4), (2.5, 2.5))
    assert reference.counts == pytest.approx(1000 * 64 * 64, rel=0.1)
    assert reference.dark is None


def test_a_transposed_detector_is_flipped_and_turned_by_minus_90_degrees() -> None:
    to_scan = DetectorGeometry(rotation_deg=-90, flip_x=True).to_scan
    numpy.testing.assert_allclose(to_scan, [[0, 1], [1, 0]], atol=1e-12)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 and no more", None])
def test_a_file_that_is_no_reference_is_refused_in_one_sentence(tmp_path, content) -> None:
    file = tmp_path / "reference.npz"
    if content is None:
        numpy.savez(file, something=numpy.ones(3))
    else:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=r"choose a saved reference \(.npz\) or a vacuum pattern \(.npy\)"):
        load_reference(file, (2.5, 2.5), 1.0)


@pytest.mark.parametrize("load", [load_array, lambda file: load_reference(file, (2.5, 2.5), 1.0)])
def test_a_file_that_is_refused_is_closed(tmp_path, load) -> None:
    file = tmp_path / "reference.npz"
    file.write_bytes(b"PK\x03\x04 and no archive")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with contextlib.suppress(UserError):
            load(file)
        gc.collect()
    assert not [warning for warning in caught if warning.category is ResourceWarning]


@pytest.mark.parametrize(
    ("geometry", "sentence"),
    [
        ({"ellipticity": 0.9}, "The ellipticity is 0.9: give the long over the short axis"),
        ({"rotation_deg": float("nan")}, "The detector's rotation is nan degrees: give a number"),
    ],
)
def test_a_geometry_that_no_detector_has_is_refused(geometry, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        DetectorGeometry(**geometry)


def test_a_reference_of_an_earlier_version_is_read() -> None:
    reference = find_reference(disc(), (2.5, 2.5), geometry=DetectorGeometry(flip_x=True))
    earlier = reference_as_dict(reference)
    earlier["rest_mrad"] = earlier.pop("zero_mrad")
    earlier["geometry"]["mirrored"] = earlier["geometry"].pop("flip_x")
    read = reference_from_dict(earlier, {})
    assert (read.zero_mrad, read.geometry) == (reference.zero_mrad, reference.geometry)
