"""Laws of the scalarizers, and their readings against simulated patterns whose truth is known.

tests/data/fixture_graphene_si_24x24_1e5e.npz: multislice patterns (abTEM 1.0.11) of graphene with silicon,
1e5 electrons of Poisson noise each, and the first moment of all scattered intensity as truth.
"""

import dataclasses
import math
import pathlib

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.scalarizers import SCALARIZERS, find_reference, moments, read, scalarize

FIXTURE = pathlib.Path(__file__).parent / "data" / "fixture_graphene_si_24x24_1e5e.npz"


@pytest.fixture(scope="module")
def graphene():
    with numpy.load(FIXTURE) as data:
        return {name: data[name] for name in data.files}


def disc(centre=(31.0, 32.5), radius=12.0, side=64, counts=1e6):
    y, x = numpy.mgrid[:side, :side]
    # An edge one pixel wide lets the disc move by fractions of a pixel.
    pattern = numpy.clip(radius + 0.5 - numpy.hypot(y - centre[0], x - centre[1]), 0, 1)
    return pattern * counts / pattern.sum()


REFERENCE = find_reference(disc(), (2.5, 2.5))

patterns = st.integers(0, 2**32 - 1).map(
    lambda seed: numpy.random.default_rng(seed).poisson(
        disc((31 + 2 * numpy.random.default_rng(seed).normal(), 32.5), counts=1e5)
    )
)


def value(name, pattern, reference=REFERENCE) -> float:
    return scalarize(pattern, reference)[name].value


def test_the_disc_is_found() -> None:
    assert REFERENCE.centre == pytest.approx((31.0, 32.5), abs=0.02)
    assert REFERENCE.radius_mrad == pytest.approx(30.0, rel=0.01)


def test_the_reference_itself_reads_zero() -> None:
    assert value("com_x", disc()) == pytest.approx(0, abs=1e-9)
    assert value("com_y", disc()) == pytest.approx(0, abs=1e-9)


@given(patterns, st.floats(0.5, 20))
def test_readings_do_not_depend_on_the_intensity_scale(pattern, scale) -> None:
    for name in SCALARIZERS:
        assert value(name, pattern * scale) == pytest.approx(value(name, pattern), abs=1e-9)


@given(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))
def test_the_centre_of_mass_follows_a_shift(dy, dx) -> None:
    # The mask is 1.1 radii wide: it holds the disc and its soft edge shifted by up to 0.7 pixels.
    shifted = scalarize(disc((31 + dy, 32.5 + dx)), REFERENCE)
    assert shifted["com_y"].value == pytest.approx(2.5 * dy, abs=0.03)
    assert shifted["com_x"].value == pytest.approx(2.5 * dx, abs=0.03)


@given(patterns)
def test_transposing_the_pattern_exchanges_the_axes(pattern) -> None:
    transposed = find_reference(disc().T, (2.5, 2.5))
    assert value("com_x", pattern.T, transposed) == pytest.approx(value("com_y", pattern), abs=1e-9)
    assert value("com_magnitude", pattern.T, transposed) == pytest.approx(value("com_magnitude", pattern), abs=1e-9)


@given(patterns)
def test_turning_the_pattern_by_a_right_angle_turns_the_centre_of_mass(pattern) -> None:
    turned = find_reference(numpy.rot90(disc()), (2.5, 2.5))
    assert value("com_y", numpy.rot90(pattern), turned) == pytest.approx(-value("com_x", pattern), abs=1e-9)
    assert value("com_x", numpy.rot90(pattern), turned) == pytest.approx(value("com_y", pattern), abs=1e-9)


@given(patterns)
def test_magnitude_and_angle_are_those_of_x_and_y(pattern) -> None:
    x, y = value("com_x", pattern), value("com_y", pattern)
    assert value("com_magnitude", pattern) == pytest.approx(math.hypot(x, y))
    assert value("com_angle", pattern) == pytest.approx(math.atan2(y, x))


@pytest.mark.parametrize("name", SCALARIZERS)
def test_a_stack_is_read_item_by_item(graphene, name) -> None:
    stack = graphene["counts"][:3, :4]
    reference = find_reference(graphene["vacuum"] * 1e5, (2.5, 2.5))
    values, sigmas = read(SCALARIZERS[name], moments(stack, reference))
    assert values.shape == (3, 4)
    for index in numpy.ndindex(3, 4):
        reading = scalarize(stack[index], reference)[name]
        assert values[index] == pytest.approx(reading.value)
        assert sigmas[index] == pytest.approx(reading.sigma)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "float32", "float64"])
def test_readings_do_not_depend_on_the_cameras_number_format(dtype) -> None:
    pattern = numpy.round(disc(counts=4e4))
    assert value("com_x", pattern.astype(dtype)) == pytest.approx(value("com_x", pattern))


def test_the_centre_of_mass_of_simulated_graphene_is_the_truth_within_counting_noise(graphene) -> None:
    reference = find_reference(graphene["vacuum"] * 1e5, (2.5, 2.5))
    measured = moments(graphene["counts"], reference)
    for axis, found, variance in (
        (0, measured.x, measured.variance_x),
        (1, measured.y, measured.variance_y),
    ):
        truth = graphene["com_true_mrad"][..., axis]
        slope = numpy.polyfit(truth.ravel(), found.ravel(), 1)[0]
        assert slope == pytest.approx(1, abs=0.02)
        assert numpy.std((found - truth) / numpy.sqrt(variance)) == pytest.approx(1, abs=0.1)


def test_sigma_is_the_shot_noise_limit_of_a_disc() -> None:
    """sigma = radius / (2 sqrt(N)) for each axis of a uniform disc of N electrons."""
    for counts in (1e3, 1e5, 1e7):
        sigma = scalarize(disc(counts=counts), find_reference(disc(counts=counts), (2.5, 2.5)))
        assert sigma["com_x"].sigma == pytest.approx(30 / (2 * math.sqrt(counts)), rel=0.01)


@pytest.mark.parametrize("name", ["com_x", "com_y", "com_magnitude", "com_angle", "abf"])
def test_sigma_is_the_scatter_of_repeated_exposures(name) -> None:
    expected = disc((31.6, 33.0), counts=2e4)
    exposures = numpy.random.default_rng(1).poisson(expected, (2000, 64, 64))
    values, sigmas = read(SCALARIZERS[name], moments(exposures, REFERENCE_AT_2E4))
    assert numpy.std(values) == pytest.approx(numpy.mean(sigmas), rel=0.06)


REFERENCE_AT_2E4 = find_reference(disc(counts=2e4), (2.5, 2.5))


def test_a_camera_with_gain_has_the_sigma_of_its_electrons() -> None:
    one = scalarize(disc(), REFERENCE)
    forty = scalarize(disc() * 40, dataclasses.replace(REFERENCE, counts_per_electron=40.0))
    assert forty["com_x"].sigma == pytest.approx(one["com_x"].sigma)


def test_annular_bright_field_is_three_quarters_of_a_uniform_disc() -> None:
    assert value("abf", disc()) == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize("pattern", [numpy.zeros((64, 64)), disc(counts=10), disc() * numpy.nan])
def test_a_pattern_without_the_beam_is_no_number(pattern) -> None:
    for reading in scalarize(pattern, REFERENCE).values():
        assert math.isnan(reading.value)


def test_a_pattern_of_another_size_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="32 x 32 pixels but the reference is 64 x 64"):
        scalarize(numpy.ones((32, 32)), REFERENCE)


def test_a_dark_reference_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="the beam is off or blocked"):
        find_reference(numpy.zeros((64, 64)), (2.5, 2.5))
