"""What is undefined says why."""

import dataclasses
import math

import numpy
import pytest

from dkl_ae.patterns import Patterns, find_reference
from dkl_ae.scalarizers import SCALARIZERS, read, scalarize
from tests.support.discs import REFERENCE, disc

AT_3000 = find_reference(disc(counts=3000), (2.5, 2.5))


def twelve_counts() -> numpy.ndarray:
    pattern = numpy.zeros((64, 64), numpy.uint16)
    pattern[30, 28:40] = 1
    return pattern


def test_a_blocked_beam_is_an_error_of_every_reading_and_never_a_zero() -> None:
    for reading in scalarize(twelve_counts(), AT_3000).values():
        assert math.isnan(reading.value)
        assert math.isnan(reading.sigma)
        assert reading.reason == "beam is off or blocked: 12 counts, 3,000 expected."


@pytest.mark.parametrize("pattern", [numpy.zeros((64, 64)), -disc(), numpy.zeros((64, 64), numpy.uint8)])
def test_an_empty_pattern_is_no_number(pattern) -> None:
    for reading in scalarize(pattern, REFERENCE).values():
        assert math.isnan(reading.value)
        assert "beam is off or blocked" in reading.reason


def test_a_pattern_with_pixels_that_are_no_numbers_says_how_many() -> None:
    pattern = disc()
    pattern[30, 30:33] = numpy.nan
    for reading in scalarize(pattern, REFERENCE).values():
        assert math.isnan(reading.value)
        assert reading.reason == "3 pixels are not numbers: check the camera's correction."


def test_a_saturated_pattern_says_so() -> None:
    pattern = numpy.round(disc(counts=1e5)).astype(numpy.uint16)
    pattern[30, 30:34] = 65535
    assert scalarize(pattern, REFERENCE)["abf"].reason.startswith("saturated: 4 pixels at 65,535 counts")
    limited = dataclasses.replace(REFERENCE, saturation=4000.0)
    pattern[30, 30:34] = 4095
    assert scalarize(pattern.astype(float), limited)["abf"].reason.startswith("saturated: 4 pixels at 4,000 counts")
    bad = pattern >= 4000
    assert not scalarize(pattern.astype(float), dataclasses.replace(limited, bad_pixels=bad))["abf"].reason


@pytest.mark.parametrize("counts", [1e2, 3e2, 1e3, 1e5])
@pytest.mark.parametrize("seed", range(10))
def test_what_is_no_number_says_why_at_any_dose(counts, seed) -> None:
    """Some pixels are negative after the dark was subtracted."""
    noisy = disc(counts=counts) + numpy.random.default_rng(seed).normal(0, 1, (64, 64))
    assert noisy.min() < 0
    for name, reading in scalarize(noisy, dataclasses.replace(REFERENCE, counts=counts, read_noise=1.0)).items():
        assert math.isfinite(reading.value) == math.isfinite(reading.sigma) == (not reading.reason), name


def test_a_beam_off_its_place_is_told_from_a_blocked_one() -> None:
    reading = scalarize(disc((31.0, 60.0), 3.0), dataclasses.replace(REFERENCE, radius_mrad=5.0))["com_x"]
    assert reading.reason.startswith("beam is off its place: 0 of 1,000,000 counts are in the mask")


def test_one_dark_pattern_of_a_stack_spoils_no_other() -> None:
    stack = numpy.stack([disc(), numpy.zeros((64, 64)), disc((31, 33))])
    for name in ("com_x", "abf", "entropy", "bragg_discs"):
        found = read(SCALARIZERS[name], Patterns(stack, REFERENCE))
        assert list(numpy.isnan(found.value)) == [False, True, False]
        assert list(found.reasons) == [1]


def test_a_detector_of_one_pixel_is_read() -> None:
    reference = dataclasses.replace(REFERENCE, shape=(1, 1), centre=(0.0, 0.0), pattern=None)
    found = scalarize(numpy.array([[1e6]]), reference)
    assert (found["com_x"].value, found["bf"].value) == pytest.approx((0, 1))


def test_a_pattern_of_another_size_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="32 x 32 pixels but the reference is 64 x 64"):
        scalarize(numpy.ones((32, 32)), REFERENCE)
