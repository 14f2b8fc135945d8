"""Laws that hold for the centre of mass and the virtual detectors, and their readings against truth and peers."""

import dataclasses
import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.patterns import DetectorGeometry, Patterns, find_reference
from dkl_ae.scalarizers import CENTRE_OF_MASS, SCALARIZERS, VIRTUAL_DETECTORS, read, scalarize
from dkl_ae.scalarizers.centre_of_mass import magnitude_excess
from tests.support.discs import REFERENCE, disc

MOMENTS = (*CENTRE_OF_MASS, *VIRTUAL_DETECTORS)
NAMES = [scalarizer.name for scalarizer in MOMENTS]

patterns = st.integers(0, 2**32 - 1).map(
    lambda seed: numpy.random.default_rng(seed).poisson(
        disc((31 + 2 * numpy.random.default_rng(seed).normal(), 32.5), counts=1e5)
    )
)


def readings(pattern, reference=REFERENCE):
    return scalarize(pattern, reference, MOMENTS)


def value(name, pattern, reference=REFERENCE) -> float:
    return readings(pattern, reference)[name].value


def read_stack(name, stack, reference):
    return read(SCALARIZERS[name], Patterns(stack, reference))


def test_the_reference_itself_reads_zero() -> None:
    assert value("com_x", disc()) == pytest.approx(0, abs=1e-5)
    assert value("com_y", disc()) == pytest.approx(0, abs=1e-5)


@given(patterns, st.floats(0.5, 20))
def test_readings_do_not_depend_on_the_intensity_scale(pattern, scale) -> None:
    for name in NAMES:
        assert value(name, pattern * scale) == pytest.approx(value(name, pattern), rel=1e-5, abs=1e-4)


@given(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))
def test_the_centre_of_mass_follows_a_shift(dy, dx) -> None:
    # The mask is 1.1 radii wide: it holds the disc and its soft edge shifted by up to 0.7 pixels.
    shifted = readings(disc((31 + dy, 32.5 + dx)))
    assert shifted["com_y"].value == pytest.approx(2.5 * dy, abs=0.03)
    assert shifted["com_x"].value == pytest.approx(2.5 * dx, abs=0.03)


@given(patterns)
def test_transposing_the_pattern_exchanges_the_axes(pattern) -> None:
    transposed = find_reference(disc().T, (2.5, 2.5))
    for name, other in (("com_x", "com_y"), ("com_magnitude",) * 2, ("dpc_x", "dpc_y"), ("abf", "abf")):
        assert value(name, pattern.T, transposed) == pytest.approx(value(other, pattern), abs=1e-4)


@given(patterns)
def test_turning_the_pattern_by_a_right_angle_turns_the_centre_of_mass(pattern) -> None:
    turned = find_reference(numpy.rot90(disc()), (2.5, 2.5))
    assert value("com_y", numpy.rot90(pattern), turned) == pytest.approx(-value("com_x", pattern), abs=1e-4)
    assert value("com_x", numpy.rot90(pattern), turned) == pytest.approx(value("com_y", pattern), abs=1e-4)


@given(patterns, st.floats(-180, 180), st.booleans())
def test_the_detectors_geometry_turns_and_mirrors_the_centre_of_mass(pattern, rotation, flip_x) -> None:
    plain = readings(pattern)
    geometry = DetectorGeometry(rotation_deg=rotation, flip_x=flip_x)
    seen = readings(pattern, find_reference(disc(), (2.5, 2.5), geometry=geometry))
    x = -plain["com_x"].value if flip_x else plain["com_x"].value
    turned = complex(x, plain["com_y"].value) * numpy.exp(1j * math.radians(rotation))
    assert seen["com_x"].value == pytest.approx(turned.real, abs=1e-4)
    assert seen["com_y"].value == pytest.approx(turned.imag, abs=1e-4)
    assert seen["com_magnitude"].value == pytest.approx(plain["com_magnitude"].value, abs=1e-4)
    assert seen["bf"].value == pytest.approx(plain["bf"].value)


@given(patterns)
def test_magnitude_and_angle_are_those_of_x_and_y(pattern) -> None:
    found = readings(pattern)
    x, y = found["com_x"].value, found["com_y"].value
    assert found["com_magnitude"].value == pytest.approx(math.hypot(x, y))
    assert found["com_angle"].value == pytest.approx(math.atan2(y, x))


@given(patterns)
def test_detectors_that_meet_add_up(pattern) -> None:
    found = readings(pattern)
    assert found["maadf"].value + found["haadf"].value == pytest.approx(found["adf"].value, abs=1e-6)
    assert 0 <= found["abf"].value <= found["bf"].value <= 1


@given(patterns)
def test_a_mask_of_the_whole_detector_is_no_mask(pattern) -> None:
    """The plain first moment, in double precision."""
    reference = find_reference(disc(), (2.5, 2.5), mask=(0.0, math.inf))
    rows, columns = numpy.indices(pattern.shape)
    for name, axis, centre, rest in (("com_y", rows, 31.0, 0), ("com_x", columns, 32.5, 1)):
        moment = 2.5 * ((axis * pattern).sum() / pattern.sum() - reference.centre[rest]) - reference.zero_mrad[rest]
        assert reference.centre[rest] == pytest.approx(centre, abs=1e-9)
        assert value(name, pattern, reference) == pytest.approx(moment, abs=1e-5)


@given(patterns)
def test_a_ring_sees_what_the_disc_within_it_does_not(pattern) -> None:
    """Masks that meet share out the first moment."""
    added = numpy.zeros(3)
    for inner, outer in ((0.0, 0.79), (0.79, 1.3)):
        reference = dataclasses.replace(REFERENCE, mask_inner=inner, mask_radius=outer, zero_mrad=(0.0, 0.0))
        m = Patterns(pattern[numpy.newaxis], reference).moments
        added += m.disc[0], m.disc[0] * m.y[0], m.disc[0] * m.x[0]
    reference = dataclasses.replace(REFERENCE, mask_radius=1.3, zero_mrad=(0.0, 0.0))
    whole = Patterns(pattern[numpy.newaxis], reference).moments
    assert added[0] == pytest.approx(whole.disc[0])
    assert added[1:] / added[0] == pytest.approx([whole.y[0], whole.x[0]], abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_stack_is_read_item_by_item(graphene, name) -> None:
    stack = graphene["counts"][:3, :4].reshape(12, 64, 64)
    reference = find_reference(graphene["vacuum"] * 1e5, (2.5, 2.5))
    whole = read_stack(name, stack, reference)
    for index, pattern in enumerate(stack):
        reading = readings(pattern, reference)[name]
        assert whole.value[index] == pytest.approx(reading.value, abs=1e-4)
        assert whole.sigma[index] == pytest.approx(reading.sigma, rel=1e-4)


@pytest.mark.parametrize("name", SCALARIZERS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int64", "float32", "float64"])
def test_readings_do_not_depend_on_the_cameras_number_format(dtype, name) -> None:
    pattern = numpy.random.default_rng(0).poisson(disc(counts=4e4))
    one, other = (scalarize(p, REFERENCE, [SCALARIZERS[name]])[name] for p in (pattern, pattern.astype(dtype)))
    assert other.value == pytest.approx(one.value, rel=1e-5, abs=1e-5, nan_ok=True)
    assert other.reason == one.reason


@pytest.mark.parametrize("name", SCALARIZERS)
def test_how_the_array_lies_in_memory_does_not_matter(name) -> None:
    pattern = numpy.random.default_rng(0).poisson(disc(counts=1e5)).astype(numpy.uint16)
    spread = numpy.zeros((128, 192), numpy.uint16)
    spread[::2, ::3] = pattern
    kept = pattern.copy()
    pattern.setflags(write=False)
    one = scalarize(pattern, REFERENCE, [SCALARIZERS[name]])[name]
    for other in (spread[::2, ::3], numpy.asfortranarray(pattern)):
        assert scalarize(other, REFERENCE, [SCALARIZERS[name]])[name].value == pytest.approx(one.value, nan_ok=True)
    assert numpy.array_equal(pattern, kept)


def test_the_centre_of_mass_of_simulated_graphene_is_the_truth_within_counting_noise(graphene) -> None:
    reference = find_reference(graphene["vacuum"] * 1e5, (2.5, 2.5))
    measured = Patterns(graphene["counts"].reshape(-1, 64, 64), reference).moments
    truth = graphene["com_true_mrad"].reshape(-1, 2)
    for axis, found, variance in ((0, measured.x, measured.variance_x), (1, measured.y, measured.variance_y)):
        slope = numpy.polyfit(truth[:, axis], found, 1)[0]
        assert slope == pytest.approx(1, abs=0.02)
        assert numpy.std((found - truth[:, axis]) / numpy.sqrt(variance)) == pytest.approx(1, abs=0.1)


def test_centres_of_mass_are_those_of_py4dstem_and_libertem(graphene, peers) -> None:
    """To 1e-4 of their spread."""
    reference = dataclasses.replace(
        REFERENCE, centre=(32.25, 31.75), zero_mrad=(0.0, 0.0), radius_mrad=30.0, mask_radius=math.inf
    )
    stack = graphene["counts"].reshape(-1, 64, 64)
    whole = Patterns(stack, reference).moments
    masked = Patterns(stack, dataclasses.replace(reference, mask_radius=1.1)).moments
    for ours, theirs in (
        (whole.y / 2.5 + 32.25, peers["py4DSTEM_com_y_px"]),
        (whole.x / 2.5 + 31.75, peers["py4DSTEM_com_x_px"]),
        (masked.y / 2.5, peers["LiberTEM_com_y_px_in_mask"]),
        (masked.x / 2.5, peers["LiberTEM_com_x_px_in_mask"]),
    ):
        assert numpy.abs(ours - theirs.ravel()).max() < 1e-4 * numpy.std(theirs)


@pytest.mark.parametrize("package", ["py4DSTEM", "LiberTEM"])
@pytest.mark.parametrize("name", ["bf", "abf", "adf", "maadf", "haadf"])
def test_virtual_detectors_are_those_of_py4dstem_and_libertem(graphene, peers, name, package) -> None:
    reference = dataclasses.replace(REFERENCE, centre=(32.25, 31.75), radius_mrad=30.0)
    seen = Patterns(graphene["counts"].reshape(-1, 64, 64), reference)
    electrons = read(SCALARIZERS[name], seen).value * seen.moments.total
    numpy.testing.assert_allclose(electrons, peers[f"{package}_{name}"].ravel(), rtol=1e-4)


def test_sigma_is_the_shot_noise_limit_of_a_disc() -> None:
    """sigma = radius / (2 sqrt(N)) for each axis of a uniform disc of N electrons."""
    for counts in (1e3, 1e5, 1e7):
        sigma = readings(disc(counts=counts), find_reference(disc(counts=counts), (2.5, 2.5)))["com_x"].sigma
        assert sigma == pytest.approx(30 / (2 * math.sqrt(counts)), rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_sigma_is_the_scatter_of_repeated_exposures(name) -> None:
    halo = disc((31.6, 33.0), counts=2e4) + disc((31.6, 33.0), 30, counts=2e3)
    exposures = numpy.random.default_rng(1).poisson(halo, (2000, 64, 64))
    found = read_stack(name, exposures, find_reference(disc(counts=2e4), (2.5, 2.5)))
    assert numpy.std(found.value) == pytest.approx(numpy.mean(found.sigma), rel=0.06)


@pytest.mark.parametrize("name", NAMES)
def test_sigma_tells_of_read_noise_behind_an_offset_and_hot_pixels(name) -> None:
    """The reference finds all three by itself."""
    random = numpy.random.default_rng(2)
    expected = disc((31.6, 33.0), counts=1e4) + disc((31.6, 33.0), 30, counts=1e3)

    def exposed(pattern, count):
        exposures = random.poisson(pattern, (count, 64, 64)) + random.normal(10, 1, (count, 64, 64))
        exposures[:, [5, 30, 33], [60, 30, 40]] = 5000
        return exposures

    reference = find_reference(exposed(disc(counts=1.1e4), 16).mean(axis=0), (2.5, 2.5), exposures=16)
    assert numpy.count_nonzero(reference.bad_pixels) == 3
    found = read_stack(name, exposed(expected, 1000), reference)
    assert numpy.std(found.value) == pytest.approx(numpy.mean(found.sigma), rel=0.1)


@pytest.mark.parametrize("counts", [1e3, 1e4, 1e5, 1e6, 1e7])
def test_the_centre_of_mass_reaches_the_shot_noise_limit_with_all_of_its_gain(counts) -> None:
    """A reference from 64 vacuum frames at the same dose; deflections of up to 0.3 mrad."""
    random = numpy.random.default_rng(3)
    reference = find_reference(random.poisson(disc(counts=counts), (64, 64, 64)).mean(0), (2.5, 2.5), exposures=64)
    exact = find_reference(disc(), (2.5, 2.5))
    shifts = random.uniform(-0.12, 0.12, 3000)
    expected = numpy.stack([disc((31.0, 32.5 + shift), counts=counts) for shift in shifts])
    found = Patterns(random.poisson(expected), reference).moments.x
    truth = Patterns(expected, dataclasses.replace(exact, counts=counts)).moments.x
    gain, _ = numpy.polyfit(truth, found, 1)
    error = 3 * numpy.std(found - truth) / numpy.std(truth) / math.sqrt(3000)
    assert gain + error >= 0.99
    assert numpy.std(found - truth) <= 1.05 * 30 / (2 * math.sqrt(counts))


def test_a_camera_with_gain_has_the_sigma_of_its_electrons() -> None:
    one = readings(disc())
    forty = readings(disc() * 40, dataclasses.replace(REFERENCE, counts_per_electron=40.0))
    assert forty["com_x"].sigma == pytest.approx(one["com_x"].sigma, rel=1e-4)


def test_annular_bright_field_is_three_quarters_of_a_uniform_disc() -> None:
    assert value("abf", disc()) == pytest.approx(0.75, abs=0.03)


def test_a_detector_that_counted_nothing_is_not_taken_for_certain() -> None:
    reading = readings(numpy.round(disc(counts=1e5)))["haadf"]
    assert reading.value == 0
    assert reading.sigma == pytest.approx(1e-5, rel=0.05)


@given(st.floats(0.0, 6.0))
def test_the_magnitudes_excess_is_what_noise_adds(strength) -> None:
    """Of the Rice distribution, to a third of the noise where the truth is below it, and a tenth above."""
    random = numpy.random.default_rng(4)
    noisy = numpy.hypot(strength + random.normal(size=20_000), random.normal(size=20_000))
    corrected = noisy - magnitude_excess(noisy, numpy.ones_like(noisy))
    assert numpy.all(corrected >= 0)
    assert abs(corrected.mean() - strength) <= abs(noisy.mean() - strength) + 0.02
    if strength > 2:
        assert corrected.mean() == pytest.approx(strength, abs=0.1)


def test_an_ellipse_is_read_as_the_circle_it_should_be() -> None:
    y, x = numpy.mgrid[:64, :64] - 32.0
    long, short = 12 * math.sqrt(1.2), 12 / math.sqrt(1.2)
    direction = math.radians(30)
    along = x * math.cos(direction) + y * math.sin(direction)
    across = -x * math.sin(direction) + y * math.cos(direction)
    ellipse = 1e3 * (numpy.hypot(along / long, across / short) <= 1)
    reference = find_reference(ellipse, (2.5, 2.5), geometry=DetectorGeometry(ellipticity=1.2, long_axis_deg=30))
    assert readings(ellipse, reference)["bf"].value > 0.98
    assert readings(ellipse, find_reference(ellipse, (2.5, 2.5)))["bf"].value < 0.95
