"""Laws of the lattice of Bragg discs, and its readings against simulated patterns whose strain is known.

tests/data/fixture_tbg_nbed_16x16_2e6e.npz: multislice patterns (abTEM 1.0.11) of a strained bilayer of graphene with a
hole, 5 mrad convergence, 1.87e6 electrons of Poisson noise each, and the spacing of each layer as truth.
"""

import math
import pathlib

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkl_ae.patterns import strain
from dkl_ae.patterns.bragg.lattice import first_order, reduced
from dkl_ae.patterns.bragg.measure import measure_lattice

FIXTURE = pathlib.Path(__file__).parent.parent / "data" / "fixture_tbg_nbed_16x16_2e6e.npz"
RADIUS = 4.0
CENTRE = (31.4, 32.1)
ELECTRONS = 2e6
LATTICES = {
    4: [(0.0, 18.0), (18.0, 0.0)],
    6: [(0.0, 18.0), (18.0 * math.sqrt(0.75), 9.0)],
    2: [(0.0, 18.0), (22.0, 6.0)],
}
"""Vectors (y, x) in mrad by their order of symmetry."""


def turned(order, angle):
    turn = numpy.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return numpy.array(LATTICES[order]) @ turn


def spacing(vectors):
    return float(numpy.hypot(*(first_order(reduced(vectors)) @ reduced(vectors)).T).mean())


def electrons(
    *lattices, shape=(64, 64), centre=CENTRE, mrad_per_pixel=(1.0, 1.0), radius=RADIUS, weak=(), dose=ELECTRONS
):
    """Mean counts of uniform discs over pixels that integrate; `weak`: nodes without a disc."""
    fine = 4
    steps = (numpy.arange(fine) + 0.5) / fine - 0.5
    y, x = (
        ((numpy.arange(size)[:, numpy.newaxis] + steps).ravel() - middle) * width
        for size, middle, width in zip(shape, centre, mrad_per_pixel, strict=True)
    )
    pattern = numpy.zeros((y.size, x.size))
    nodes = [(h, k) for h in (-1, 0, 1) for k in (-1, 0, 1) if (h, k) not in weak]
    for vectors in lattices:
        for node in nodes:
            dy, dx = numpy.array(node) @ vectors
            fraction = 1 / len(lattices) if node == (0, 0) else 2e-4
            pattern += fraction * ((y[:, numpy.newaxis] - dy) ** 2 + (x - dx) ** 2 < radius**2)
    area = math.pi * radius**2 / math.prod(mrad_per_pixel)
    return dose * pattern.reshape(shape[0], fine, shape[1], fine).mean(axis=(1, 3)) / area


def noisy(mean, seed=0):
    return numpy.random.default_rng(seed).poisson(mean).astype(float)


def measured(pattern, **changes):
    settings_ = {"centre": CENTRE, "mrad_per_pixel": (1.0, 1.0), "radius_mrad": RADIUS} | changes
    return measure_lattice(pattern, **settings_)


@given(st.sampled_from([2, 4, 6]), st.floats(0, 2 * math.pi), st.integers(0, 1000))
@settings(max_examples=30)
def test_a_lattice_is_found_at_any_rotation_without_knowing_its_spacing(order, angle, seed):
    vectors = turned(order, angle)
    lattice = measured(noisy(electrons(vectors), seed))
    assert lattice.reason == ""
    assert lattice.order == order
    assert lattice.discs == (6 if order == 6 else 4)
    assert abs(lattice.spacing_mrad - spacing(vectors)) < 5 * lattice.spacing_sigma_mrad
    assert lattice.spacing_sigma_mrad < 0.004 * lattice.spacing_mrad


@given(st.floats(0, math.pi), st.integers(0, 1000))
@settings(max_examples=10)
def test_turning_and_transposing_the_pattern_turns_the_lattice_and_keeps_its_spacing(angle, seed):
    pattern = noisy(electrons(turned(6, angle)), seed)
    lattice = measured(pattern)
    quarter = measured(numpy.rot90(pattern), centre=(63 - CENTRE[1], CENTRE[0]))
    transposed = measured(pattern.T, centre=CENTRE[::-1])
    for other, to_here in ((quarter, [[0.0, -1.0], [1.0, 0.0]]), (transposed, [[0.0, 1.0], [1.0, 0.0]])):
        close = 0.2 * lattice.spacing_sigma_mrad
        assert other.spacing_mrad == pytest.approx(lattice.spacing_mrad, abs=close)
        assert other.spacing_sigma_mrad == pytest.approx(lattice.spacing_sigma_mrad, rel=0.02)
        there = strain(lattice.seen_through(numpy.array(to_here)), other.vectors)
        assert numpy.abs(there.values).max() < 0.5 * max(there.sigmas)


def test_the_lattice_moves_with_the_centre():
    pattern = noisy(electrons(turned(4, 0.3)))
    moved = numpy.zeros((80, 70))
    moved[9:73, 4:68] = pattern
    lattice = measured(moved, centre=(CENTRE[0] + 9, CENTRE[1] + 4))
    assert lattice.spacing_mrad == pytest.approx(measured(pattern).spacing_mrad, rel=1e-4)


def test_the_spacing_has_the_scale_of_the_pixels():
    pattern = noisy(electrons(turned(2, 1.0)))
    lattice, scaled = measured(pattern), measured(pattern, mrad_per_pixel=(0.3, 0.3), radius_mrad=0.3 * RADIUS)
    assert scaled.spacing_mrad == pytest.approx(0.3 * lattice.spacing_mrad, rel=1e-4)
    assert scaled.spacing_sigma_mrad == pytest.approx(0.3 * lattice.spacing_sigma_mrad, rel=1e-2)
    numpy.testing.assert_allclose(scaled.covariance, 0.09 * lattice.covariance, atol=1e-2 * scaled.covariance.max())


@pytest.mark.parametrize("order", [2, 4, 6])
@pytest.mark.parametrize(
    "detector",
    [
        {"mrad_per_pixel": (1.0, 0.7), "shape": (64, 90), "centre": (31.4, 45.3)},
        {"shape": (60, 100), "centre": (29.8, 40.2)},
        {"shape": (256, 256), "mrad_per_pixel": (0.25, 0.25), "centre": (126.3, 128.8)},
    ],
)
def test_any_detector_does(order, detector):
    vectors = turned(order, 0.4)
    pattern = noisy(electrons(vectors, **detector))
    lattice = measured(pattern, **{name: value for name, value in detector.items() if name != "shape"})
    assert lattice.order == order
    assert abs(lattice.spacing_mrad - spacing(vectors)) < 4 * lattice.spacing_sigma_mrad


@pytest.mark.parametrize("order", [2, 4, 6])
def test_discs_of_three_pixels_do(order):
    vectors = turned(order, 0.9)
    lattice = measured(noisy(electrons(vectors, radius=1.5)), radius_mrad=1.5)
    assert lattice.order == order
    assert abs(lattice.spacing_mrad - spacing(vectors)) < 0.005 * lattice.spacing_mrad


@pytest.mark.parametrize("weak", [((1, 0), (-1, 0)), ((1, 0), (0, -1))])
def test_four_discs_of_six_do(weak):
    vectors = turned(6, 0.2)
    lattice = measured(noisy(electrons(vectors, weak=weak)))
    assert lattice.discs == 4
    assert lattice.order == 6
    assert abs(lattice.spacing_mrad - spacing(vectors)) < 4 * lattice.spacing_sigma_mrad


def test_discs_beyond_the_detector_are_not_counted():
    vectors = turned(6, 0.0)
    lattice = measured(noisy(electrons(vectors, centre=(12.0, 31.0))), centre=(12.0, 31.0))
    assert lattice.discs == 4
    assert abs(lattice.spacing_mrad - spacing(vectors)) < 4 * lattice.spacing_sigma_mrad


def test_pixels_that_are_not_numbers_are_left_out():
    pattern = noisy(electrons(turned(6, 0.2)))
    expected = measured(pattern)
    pattern[20:22, 10:50] = numpy.nan
    lattice = measured(pattern)
    assert lattice.spacing_mrad == pytest.approx(expected.spacing_mrad, abs=2 * expected.spacing_sigma_mrad)


def test_two_layers_give_their_mean_spacing_and_the_lattice_of_the_stronger():
    first, second = turned(6, 0.1), turned(6, 0.1 + math.radians(27.8))
    lattice = measured(noisy(electrons(first, second) + electrons(first, dose=ELECTRONS / 2)))
    assert lattice.discs == 12
    assert lattice.spacing_mrad == pytest.approx(spacing(first), abs=4 * lattice.spacing_sigma_mrad)
    assert abs(strain(lattice, first).values[3]) < 0.01


@pytest.mark.parametrize("dose", [1e4, 1e5, 2e6, 1e7])
@pytest.mark.parametrize("read_noise_e", [0.0, 0.5])
def test_vacuum_has_no_lattice(dose, read_noise_e):
    generator = numpy.random.default_rng(3)
    mean = electrons(turned(6, 0.0), dose=dose, weak=[(h, k) for h in (-1, 0, 1) for k in (-1, 0, 1) if h or k])
    for _ in range(20):
        pattern = generator.poisson(mean) + generator.normal(0, read_noise_e, mean.shape)
        lattice = measured(pattern, read_noise_e=read_noise_e)
        assert lattice.reason.startswith("no diffraction here: ")
        assert lattice.order == 0
        assert math.isnan(lattice.spacing_mrad)
        assert math.isnan(lattice.spacing_sigma_mrad)


@pytest.mark.parametrize("brightness", [0.01, 1.0, 10.0])
def test_an_amorphous_halo_is_no_lattice(brightness):
    y, x = numpy.mgrid[:64, :64]
    halo = brightness * numpy.exp(-((numpy.hypot(y - CENTRE[0], x - CENTRE[1]) - 20) ** 2) / 18)
    assert all(measured(noisy(halo, seed)).reason for seed in range(20))


def test_lone_discs_are_counted_in_the_trouble():
    others = [(h, k) for h in (-1, 0, 1) for k in (-1, 0, 1) if (h, k) not in ((0, 0), (1, 0))]
    lattice = measured(noisy(electrons(turned(4, 0.3), weak=others)))
    assert lattice.reason == "no diffraction here: 1 disc stands out where at least 4 of a lattice are needed."


@pytest.mark.parametrize("read_noise_e", [0.0, 0.5])
def test_the_spacing_scatters_by_its_sigma(read_noise_e):
    generator = numpy.random.default_rng(1)
    vectors = turned(6, 0.3)
    mean = electrons(vectors)
    lattices = [
        measured(generator.poisson(mean) + generator.normal(0, read_noise_e, mean.shape), read_noise_e=read_noise_e)
        for _ in range(200)
    ]
    spacings = numpy.array([lattice.spacing_mrad for lattice in lattices])
    sigma = numpy.mean([lattice.spacing_sigma_mrad for lattice in lattices])
    assert spacings.std() == pytest.approx(sigma, rel=0.15)
    assert abs(spacings.mean() - spacing(vectors)) < 0.001 * spacing(vectors)


def test_known_strain_is_read_at_full_dose():
    with numpy.load(FIXTURE) as data:
        fixture = {name: data[name] for name in data.files}
    truths = (fixture["truth_spacing_px_layer1"], fixture["truth_spacing_px_layer2"])
    coverages = (fixture["coverage1"], fixture["coverage2"])
    lattices = numpy.empty((16, 16), object)
    for place in numpy.ndindex(16, 16):
        lattices[place] = measure_lattice(
            fixture["counts"][place].astype(float), tuple(fixture["centre_yx"]), (1.0, 1.0), 5.0
        )
    spacings = numpy.vectorize(lambda lattice: lattice.spacing_mrad)(lattices)
    both = (coverages[0] > 0.9) & (coverages[1] > 0.9)
    one = (coverages[0] > 0.9) & (coverages[1] < 0.02)
    vacuum = (coverages[0] < 0.02) & (coverages[1] < 0.02)
    assert numpy.isfinite(spacings[both | one]).all()
    assert not numpy.isfinite(spacings[vacuum]).any()
    for where, truth in ((both, (truths[0] + truths[1]) / 2), (one, truths[0])):
        error = spacings[where] / truth[where] - 1
        assert abs(error.mean()) < 0.001
        assert error.std() < 0.0025
    assert all(lattice.order == 6 for lattice in lattices[both | one])


def deformed(vectors, deformation):
    """Reciprocal vectors (rows) of a lattice whose space is deformed."""
    return vectors @ numpy.linalg.inv(deformation)


@given(*[st.floats(-0.03, 0.03)] * 3, st.floats(-0.3, 0.3), st.sampled_from([2, 4, 6]), st.sampled_from([0, 1, 2]))
@settings(max_examples=30)
def test_strain_gives_back_the_stretch_and_the_rotation(xx, yy, xy, angle, order, basis):
    reference = turned(order, 0.7)
    # Axes are (y, x): this turns +x towards +y.
    turn = numpy.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    stretch = numpy.array([[1 + yy, xy], [xy, 1 + xx]])
    equivalent = numpy.array([[[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[-1, 0], [-1, 1]]][basis])
    vectors = equivalent @ deformed(reference, stretch @ turn)
    lattice = measured(noisy(electrons(reference)))
    found = strain(type(lattice)(vectors, lattice.covariance, 1.0, 1.0, 6, order), reference)
    assert found.values == pytest.approx((xx, yy, xy, angle), abs=1e-9)


def test_discs_farther_out_are_compression():
    reference = turned(6, 0.0)
    found = strain(measured(noisy(electrons(1.02 * reference))), reference)
    assert found.values[0] == pytest.approx(1 / 1.02 - 1, abs=5 * found.sigmas[0])
    assert found.values[1] == pytest.approx(1 / 1.02 - 1, abs=5 * found.sigmas[1])


def test_strain_scatters_by_its_sigma():
    reference = turned(6, 0.3)
    mean = electrons(reference)
    found = [strain(measured(noisy(mean, seed)), reference) for seed in range(150)]
    values = numpy.array([one.values for one in found])
    sigmas = numpy.array([one.sigmas for one in found]).mean(axis=0)
    assert values.std(axis=0) == pytest.approx(sigmas, rel=0.25)
    assert (numpy.abs(values.mean(axis=0)) < 0.001).all()


def test_a_lattice_is_seen_in_the_axes_of_the_scan():
    lattice = measured(noisy(electrons(turned(6, 0.0))))
    quarter = lattice.seen_through(numpy.array([[0.0, 1.0], [-1.0, 0.0]]))
    assert quarter.spacing_mrad == pytest.approx(lattice.spacing_mrad)
    assert quarter.order == 6
    numpy.testing.assert_allclose(quarter.vectors, numpy.stack([lattice.vectors[:, 1], -lattice.vectors[:, 0]], axis=1))
    assert numpy.trace(quarter.covariance) == pytest.approx(numpy.trace(lattice.covariance))
    nothing = measured(numpy.zeros((64, 64)))
    assert nothing.seen_through(numpy.eye(2)) is nothing


def test_discs_smaller_than_a_pixel_are_not_measured():
    assert "use a longer camera length" in measured(numpy.zeros((64, 64)), radius_mrad=0.5).reason
