"""Readings of the whole pattern: their truth for many electrons, what counting noise may not add, their errors."""

import dataclasses
import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.patterns import Patterns, find_reference
from dkl_ae.scalarizers import SCALARIZERS, read, scalarize
from dkl_ae.scalarizers.whole_pattern import WHOLE_PATTERN
from tests.support.discs import REFERENCE, disc

NAMES = [scalarizer.name for scalarizer in WHOLE_PATTERN]


def whole(pattern, reference=REFERENCE):
    return scalarize(pattern, reference, WHOLE_PATTERN)


def test_the_entropy_of_a_uniform_disc_is_the_logarithm_of_its_pixels() -> None:
    pattern = numpy.where(disc() > disc().max() / 2, 1e6, 0.0)
    assert whole(pattern)["entropy"].value == pytest.approx(math.log(numpy.count_nonzero(pattern)), rel=1e-4)


def test_the_variance_is_that_of_the_intensity_by_its_squared_mean() -> None:
    pattern = 1e6 * disc()
    assert whole(pattern)["variance"].value == pytest.approx(pattern.var() / pattern.mean() ** 2, rel=1e-4)


def test_the_angles_are_mean_and_deviation_of_the_scattering_angle() -> None:
    """Of a uniform disc of radius r: 2 r / 3 and r / sqrt(18)."""
    found = whole(disc(radius=25.0, counts=1e9), find_reference(disc(radius=25.0), (1.0, 1.0)))
    assert found["mean_angle"].value == pytest.approx(2 / 3 * 25, rel=0.01)
    assert found["angle_spread"].value == pytest.approx(25 / math.sqrt(18), rel=0.01)


@given(st.floats(0.2, 8.0), st.floats(-math.pi, math.pi))
def test_the_distance_from_vacuum_grows_and_the_correlation_falls_with_a_shift(shift, angle) -> None:
    small, large = (
        whole(disc((31 + s * math.sin(angle), 32.5 + s * math.cos(angle)), counts=1e9)) for s in (shift, 1.3 * shift)
    )
    assert 0 < small["vacuum_distance"].value < large["vacuum_distance"].value
    assert 1 > small["vacuum_correlation"].value > large["vacuum_correlation"].value


@pytest.mark.parametrize("counts", [1e3, 1e4, 1e5])
@pytest.mark.parametrize("read_noise", [0.0, 1.0])
def test_in_vacuum_counting_noise_adds_nothing_on_average(counts, read_noise) -> None:
    """Neither that of the pattern nor that of a reference of four exposures."""
    random = numpy.random.default_rng(0)

    def exposed(count):
        return random.poisson(disc(counts=counts), (count, 64, 64)) + random.normal(0, read_noise, (count, 64, 64))

    truth = whole(1e6 * disc())["variance"].value
    values = {"vacuum_distance": [], "variance": []}
    for _ in range(150):
        reference = dataclasses.replace(
            REFERENCE, counts=counts, read_noise=read_noise, exposures=4, pattern=exposed(4).mean(axis=0)
        )
        for name, found in values.items():
            found.append(read(SCALARIZERS[name], Patterns(exposed(2), reference)).value)
    for name, expected in (("vacuum_distance", 0.0), ("variance", truth)):
        found = numpy.concatenate(values[name])
        # A ratio of noisy numbers is off by the square of their errors.
        assert numpy.mean(found) == pytest.approx(expected, abs=4 * numpy.std(found) / math.sqrt(150) + 20 / counts)


@pytest.mark.parametrize("name", NAMES)
def test_sigma_is_the_scatter_of_repeated_exposures(name) -> None:
    expected = disc((32.5, 34.0), counts=2e5) + disc((31.6, 33.0), 30, counts=2e4)
    exposures = numpy.random.default_rng(1).poisson(expected, (600, 64, 64))
    found = read(SCALARIZERS[name], Patterns(exposures, find_reference(disc(counts=2e5), (2.5, 2.5))))
    assert numpy.std(found.value) == pytest.approx(numpy.mean(found.sigma), rel=0.1)


def test_without_a_reference_pattern_there_is_nothing_to_compare_with() -> None:
    reading = whole(disc(), dataclasses.replace(REFERENCE, pattern=None))["vacuum_distance"]
    assert math.isnan(reading.value)
    assert reading.reason == "the reference has no pattern to compare with: acquire a new one."


def test_read_noise_hides_the_entropy() -> None:
    reading = whole(disc(), dataclasses.replace(REFERENCE, read_noise=1.0))["entropy"]
    assert math.isnan(reading.value)
    assert reading.reason.startswith("the camera's read noise hides the entropy")
