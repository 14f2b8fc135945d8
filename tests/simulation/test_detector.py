"""The camera's counting, and its geometry's bounds."""

from __future__ import annotations

import dataclasses

import numpy
import pytest

from dkl_ae.simulation import Camera, CameraGeometry, Optics

SHAPE = (64, 64)


def frames(camera: Camera, electrons: float, count: int = 400, exposure_s: float = 0.01) -> numpy.ndarray:
    """Of an evenly lit camera, shape (count, 64, 64)."""
    random = numpy.random.default_rng(1)
    return numpy.array([camera.read(numpy.full(SHAPE, electrons), exposure_s, random) for _ in range(count)], float)


def test_a_perfect_camera_counts_electrons() -> None:
    """Of a Poisson distribution variance and mean are equal: 2 % is seven standard errors here."""
    seen = frames(Camera(), 50.0)
    assert seen.mean() == pytest.approx(50, rel=0.001)
    assert (seen.var(axis=0, ddof=1) / seen.mean(axis=0)).mean() == pytest.approx(1, abs=0.02)


def test_gain_multiplies_counts_and_their_noise() -> None:
    seen = frames(Camera(gain=3.0), 50.0)
    assert seen.mean() == pytest.approx(150, rel=0.001)
    assert (seen.var(axis=0, ddof=1) / seen.mean(axis=0)).mean() == pytest.approx(3, rel=0.02)


def test_dark_current_grows_with_the_exposure() -> None:
    for exposure_s in (0.01, 0.1):
        seen = frames(Camera(dark_counts_per_s=200.0), 0.0, exposure_s=exposure_s)
        assert seen.mean() == pytest.approx(200 * exposure_s, rel=0.01)


def test_readout_noise_does_not_grow() -> None:
    for exposure_s in (0.01, 0.1):
        seen = frames(Camera(readout_noise_counts=2.0), 0.0, exposure_s=exposure_s)
        assert seen.std() == pytest.approx(2, rel=0.01)
        assert seen.mean() == pytest.approx(0, abs=0.02)


def test_dead_pixels_are_dark_and_hot_ones_bright_in_every_frame() -> None:
    camera = Camera(dead_fraction=0.02, hot_fraction=0.01)
    seen = frames(camera, 20.0, count=5)
    dead, hot = camera.broken_pixels(SHAPE, 0)
    assert 40 < dead.sum() < 130
    assert 15 < hot.sum() < 75
    assert not (dead & hot).any()
    assert not seen[:, dead].any()
    assert seen[:, hot].min() > 5000
    assert seen[:, ~dead & ~hot].max() < 100
    other_dead, _ = camera.broken_pixels(SHAPE, 1)
    assert (other_dead != dead).any()


def test_no_pixel_reads_more_than_it_holds() -> None:
    seen = frames(Camera(saturation_counts=40.0), 50.0, count=3)
    assert seen.max() == 40


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Camera(gain=0), r"gain is 0"),
        (lambda: Camera(frame_rate_hz=0), r"frame rate is 0"),
        (lambda: Camera(dark_counts_per_s=-1), r"dark counts per s is -1"),
        (lambda: Camera(readout_noise_counts=float("nan")), r"readout noise counts is nan"),
        (lambda: Camera(dead_fraction=0.6, hot_fraction=0.6), r"0.6 are dead and 0.6 are hot"),
        (lambda: CameraGeometry(pixels=63), r"63 pixels"),
        (lambda: CameraGeometry(mrad_per_pixel=0.0), r"pixel is 0 mrad"),
        (lambda: CameraGeometry(ellipticity=3), r"ellipticity is 3"),
        (lambda: CameraGeometry(rotation_deg=float("inf")), r"rotation is inf degrees"),
        (lambda: CameraGeometry(offset_mrad=(0.0, float("nan"))), r"beam's offset is nan mrad"),
        (lambda: CameraGeometry(descan_mrad_per_nm=((0, float("nan")), (0, 0))), r"descan is nan mrad/nm"),
        (lambda: Optics(convergence_mrad=-1), r"convergence angle is -1 mrad"),
        (lambda: Optics(high_tension_v=float("nan")), r"high tension is nan V"),
        (lambda: Optics(defocus_nm=float("inf")), r"defocus is inf nm"),
        (lambda: Optics(coma_nm=(0.0, float("nan"))), r"coma is nan nm"),
        (lambda: Optics(source_sigma_angstrom=-1), r"source size is -1 angstrom"),
        (lambda: Optics(haadf_mrad=(20.0, 200.0)), r"spans 20 to 200 mrad"),
    ],
)
def test_errors_are_one_sentence_with_the_value(make, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_the_distortion_keeps_areas() -> None:
    for geometry in (CameraGeometry(rotation_deg=33), CameraGeometry(ellipticity=1.4, ellipse_axis_deg=12)):
        assert numpy.linalg.det(geometry.distortion) == pytest.approx(1)
        assert dataclasses.replace(geometry, rotation_deg=0).distortion is not None
