"""Laws of the scanned images."""

from __future__ import annotations

import numpy
import pytest

from dkl_ae.simulation import DETECTORS, ImageSimulator, Optics, PatternSimulator, graphene_with_silicon
from dkl_ae.simulation.presets import CARBON, SILICON
from tests.support.specimens import few_atoms


@pytest.fixture(scope="module")
def graphene() -> ImageSimulator:
    return ImageSimulator(graphene_with_silicon())


def test_images_are_fractions_of_the_beam_with_the_shape_of_their_positions(graphene: ImageSimulator) -> None:
    positions = numpy.linspace(0, 4, 40)
    for detector in DETECTORS:
        image = graphene.image(detector, positions[:, None], positions)
        assert image.shape == (40, 40)
        assert ((image >= 0) & (image <= 1)).all()
        assert image.std() > 0
    assert graphene.image("HAADF", 1.0, 2.0).shape == ()


def test_what_leaves_the_disc_is_on_the_other_detectors(graphene: ImageSimulator) -> None:
    positions = numpy.linspace(0, 4, 30)
    bright, medium, dark = (
        graphene.image(detector, positions[:, None], positions) for detector in ("BF", "MAADF", "HAADF")
    )
    numpy.testing.assert_allclose(bright + medium + dark, 1, atol=1e-5)


def test_bright_field_is_what_the_patterns_hold_in_the_disc(graphene: ImageSimulator) -> None:
    patterns = PatternSimulator(graphene.specimen, graphene.optics)
    y, x = (numpy.indices((64, 64)) - 31.5) * 2.5
    disc = numpy.hypot(y, x) < 32
    random = numpy.random.default_rng(1)
    places = random.uniform(0, 4, (2, 200))
    held = patterns.patterns(*places)[:, disc].sum(axis=1)
    sharp = ImageSimulator(graphene.specimen, Optics(source_sigma_angstrom=0))
    seen = sharp.image("BF", *places)
    assert numpy.corrcoef(held, seen)[0, 1] > 0.95


def test_moving_the_atoms_moves_the_image() -> None:
    here = ImageSimulator(few_atoms((1.0, 1.0, SILICON)))
    there = ImageSimulator(few_atoms((1.123, 0.923, SILICON)))
    assert there.image("HAADF", 1.143, 0.873) == pytest.approx(float(here.image("HAADF", 1.02, 0.95)), rel=0.01)
    numpy.testing.assert_allclose(there.deflection(1.143, 0.873), here.deflection(1.02, 0.95), atol=0.01)


def test_brightness_grows_with_the_atomic_number() -> None:
    silicon, carbon = (ImageSimulator(few_atoms((1.0, 1.0, number))) for number in (SILICON, CARBON))
    ratio = float(silicon.image("HAADF", 1.0, 1.0) / carbon.image("HAADF", 1.0, 1.0))
    # Z to a power between 1.5 (screened) and 2 (Rutherford).
    assert (SILICON / CARBON) ** 1.5 < ratio < (SILICON / CARBON) ** 2.2


def test_an_atom_scatters_its_cross_section_wherever_the_probe_is_spread() -> None:
    """The image's integral is the cross-section whatever the focus and the source."""
    atom = few_atoms((3.0, 3.0, SILICON), extent_nm=6.0)
    positions = numpy.arange(0, 6, 0.01)
    sums = [
        ImageSimulator(atom, optics).image("HAADF", positions[:, None], positions).sum()
        for optics in (Optics(), Optics(defocus_nm=15), Optics(source_sigma_angstrom=1.0))
    ]
    assert sums[1] == pytest.approx(sums[0], rel=0.02)
    assert sums[2] == pytest.approx(sums[0], rel=0.02)


def test_far_from_the_atoms_nothing_is_seen() -> None:
    images = ImageSimulator(few_atoms((1.0, 1.0, SILICON)))
    assert images.image("HAADF", 1e4, -1e4) == 0
    assert images.image("BF", 1e4, -1e4) == 1
    numpy.testing.assert_array_equal(images.deflection(1e4, -1e4), 0)


def test_probe_density_integrates_to_one_and_peaks_where_the_probe_is() -> None:
    images = ImageSimulator(few_atoms((1.0, 1.0, SILICON)))
    step = 0.05
    y, x = numpy.mgrid[-7:7:step, -7:7:step]
    density = images.probe_density(numpy.stack([y, x], axis=-1))
    assert density.sum() * step**2 == pytest.approx(1, abs=0.02)
    row, column = numpy.unravel_index(density.argmax(), density.shape)
    assert numpy.hypot(y[row, column], x[row, column]) < 0.1
    assert images.probe_density(numpy.array([[100.0, 0.0]])) == 0
