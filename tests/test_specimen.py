"""Laws of the virtual specimen, and its agreement with an independent multislice simulation."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy
import pytest
import scipy.ndimage
import scipy.spatial
from hypothesis import given, settings
from hypothesis import strategies as st

from dkl_ae.specimen import (
    CARBON,
    SILICON,
    Optics,
    PatternSimulator,
    Specimen,
    graphene_with_silicon,
    relativistic_mass_ratio,
    scattering_factor,
    wavelength_angstrom,
)

DATA = pathlib.Path(__file__).parent / "data"


def specimen(*atoms: tuple[float, float, int], extent_nm: float = 2.0) -> Specimen:
    """Atoms as (y in nm, x in nm, atomic number)."""
    positions = numpy.array([(10 * x, 10 * y, 0.0) for y, x, _ in atoms]).reshape(-1, 3)
    numbers = numpy.array([number for *_, number in atoms], int)
    return Specimen("test", positions, numbers, extent_nm, {})


def com(simulator: PatternSimulator, y_nm: float, x_nm: float) -> numpy.ndarray:
    """(y, x) in mrad."""
    return simulator.com_map([y_nm], [x_nm])[0, 0]


@pytest.fixture(scope="module")
def silicon() -> PatternSimulator:
    return PatternSimulator(specimen((1.0, 1.0, SILICON)))


@pytest.fixture(scope="module")
def graphene() -> PatternSimulator:
    return PatternSimulator(graphene_with_silicon())


def test_constants_of_70_kv_electrons() -> None:
    """Kirkland, Advanced Computing in Electron Microscopy: values from its equations 2.5 and 5.6."""
    assert wavelength_angstrom(70e3) == pytest.approx(0.04484, abs=1e-5)
    assert relativistic_mass_ratio(70e3) == pytest.approx(1.13698, abs=1e-4)


@pytest.mark.parametrize(("number", "electrons"), [(CARBON, 6), (SILICON, 14)])
def test_scattering_factor_obeys_mott_and_bethe_at_high_angles(number: int, electrons: int) -> None:
    """Far out only the nucleus scatters: f_e(k) = Z / (2 pi^2 a0 k^2), a0 the Bohr radius."""
    k = numpy.array([15.0])
    expected = electrons / (2 * numpy.pi**2 * 0.529177 * k**2)
    numpy.testing.assert_allclose(scattering_factor(number, k), expected, rtol=0.03)


@pytest.mark.parametrize(("pixels", "mrad"), [(64, 2.5), (96, 1.5), (32, 3.0)])
def test_vacuum_pattern_is_a_centred_disc_of_unit_sum(pixels: int, mrad: float) -> None:
    simulator = PatternSimulator(specimen(), detector_pixels=pixels, mrad_per_pixel=mrad)
    pattern = simulator.pattern(0.3, 1.7)
    assert pattern.shape == (pixels, pixels)
    assert pattern.sum() == pytest.approx(1, abs=1e-5)
    assert simulator.centre_pixels == ((pixels - 1) / 2, (pixels - 1) / 2)
    for mirrored in (pattern[::-1], pattern[:, ::-1], pattern.T):
        numpy.testing.assert_allclose(mirrored, pattern, atol=1e-7)
    area = numpy.count_nonzero(pattern > pattern.max() / 2) * mrad**2
    assert area == pytest.approx(numpy.pi * 30**2, rel=0.03)


def test_far_from_the_atoms_there_is_vacuum(silicon: PatternSimulator) -> None:
    vacuum = PatternSimulator(specimen()).pattern(0, 0)
    for y_nm, x_nm in ((-3.0, 1.0), (1e4, -1e4)):
        numpy.testing.assert_allclose(silicon.pattern(y_nm, x_nm), vacuum, atol=1e-6)
    assert silicon.haadf(1e4, -1e4) == 0


@given(angle=st.floats(0, 2 * numpy.pi), distance=st.floats(0.02, 0.3))
@settings(max_examples=25, deadline=None)
def test_centre_of_mass_points_to_the_nucleus(silicon: PatternSimulator, angle: float, distance: float) -> None:
    away = distance * numpy.array([numpy.sin(angle), numpy.cos(angle)])
    pull = com(silicon, *(1.0 + away))
    assert -pull @ away / numpy.linalg.norm(pull) / distance > 0.999
    numpy.testing.assert_allclose(com(silicon, *(1.0 - away)), -pull, atol=1e-3)


def test_centre_of_mass_vanishes_where_symmetry_says_so(silicon: PatternSimulator) -> None:
    numpy.testing.assert_allclose(com(silicon, 1.0, 1.0), 0, atol=1e-3)
    pair = PatternSimulator(specimen((1.0, 0.9, CARBON), (1.0, 1.1, CARBON)))
    numpy.testing.assert_allclose(com(pair, 1.0, 1.0), 0, atol=1e-3)


@pytest.mark.parametrize("vector_nm", [(0.1, 0.0), (0.123, -0.077), (5.0, 3.3)])
def test_moving_the_atoms_and_the_probe_together_changes_nothing(
    vector_nm: tuple[float, float],
) -> None:
    y, x = vector_nm
    atoms = [(1.0, 1.0, SILICON), (1.1, 0.9, CARBON)]
    moved = PatternSimulator(specimen(*[(a + y, b + x, number) for a, b, number in atoms]))
    here = PatternSimulator(specimen(*atoms))
    before, after = here.pattern(1.02, 0.95), moved.pattern(1.02 + y, 0.95 + x)
    numpy.testing.assert_allclose(after, before, atol=2e-3 * before.max())
    numpy.testing.assert_allclose(com(moved, 1.02 + y, 0.95 + x), com(here, 1.02, 0.95), atol=2e-3)
    assert moved.haadf(1.02 + y, 0.95 + x) == pytest.approx(here.haadf(1.02, 0.95), rel=0.01)


def test_transposing_the_atoms_transposes_the_pattern() -> None:
    here = PatternSimulator(specimen((1.0, 1.0, SILICON), (1.1, 0.85, CARBON)))
    turned = PatternSimulator(specimen((1.0, 1.0, SILICON), (0.85, 1.1, CARBON)))
    before, after = here.pattern(0.95, 1.07), turned.pattern(1.07, 0.95)
    numpy.testing.assert_allclose(after, before.T, atol=1e-6)


def test_heavier_atom_deflects_more_and_is_brighter(silicon: PatternSimulator) -> None:
    carbon = PatternSimulator(specimen((1.0, 1.0, CARBON)))
    for offset in (0.03, 0.06, 0.1):
        heavy, light = com(silicon, 1.0, 1.0 + offset), com(carbon, 1.0, 1.0 + offset)
        assert numpy.linalg.norm(heavy) > 1.2 * numpy.linalg.norm(light)
    ratio = float(silicon.haadf(1.0, 1.0) / carbon.haadf(1.0, 1.0))
    # Z to a power between 1.5 (screened) and 2 (Rutherford).
    assert (SILICON / CARBON) ** 1.5 < ratio < (SILICON / CARBON) ** 2.2


def test_survey_is_a_probability_with_the_shape_of_its_positions(
    graphene: PatternSimulator,
) -> None:
    positions = numpy.linspace(0, 3, 40)
    image = graphene.haadf(positions[:, None], positions)
    assert image.shape == (40, 40)
    assert (image >= 0).all()
    assert image.max() < 0.01
    assert graphene.haadf(1.0, 2.0).shape == ()


def test_defocus_blurs_the_survey_and_keeps_the_electrons(silicon: PatternSimulator) -> None:
    defocused = silicon.with_optics(Optics(defocus_nm=15))
    assert defocused.haadf(1.0, 1.0) < 0.7 * silicon.haadf(1.0, 1.0)
    assert defocused.pattern(1.0, 1.1).sum() == pytest.approx(silicon.pattern(1.0, 1.1).sum(), abs=0.01)


def test_changed_optics_equal_a_new_simulator(silicon: PatternSimulator) -> None:
    for optics in (Optics(convergence_mrad=22, defocus_nm=-5), Optics(high_tension_v=60e3)):
        fresh = PatternSimulator(silicon.specimen, optics)
        numpy.testing.assert_array_equal(silicon.with_optics(optics).pattern(1.0, 1.05), fresh.pattern(1.0, 1.05))


def test_graphene_has_what_its_sites_say(graphene: PatternSimulator) -> None:
    sites = graphene.specimen.sites
    silicons = graphene.specimen.atoms_angstrom[graphene.specimen.atomic_numbers == SILICON]
    named = [10 * numpy.array(place) for name, place in sites.items() if "silicon" in name]
    assert len(named) == len(silicons) == 5
    for place in named:
        assert numpy.hypot(*(silicons[:, 1::-1] - place).T).min() < 1e-9
        assert (place > 0).all()
        assert (place < 10 * graphene.specimen.extent_nm).all()
    assert min(float(graphene.haadf(*place / 10)) for place in named) > 1e-3
    assert graphene.haadf(*sites["hole"]) < 1e-4
    assert numpy.linalg.norm(com(graphene, *sites["hole"])) < 1e-3


@pytest.mark.parametrize("extent_nm", [2.4, 3.2])
@pytest.mark.parametrize("seed", range(4))
def test_graphene_is_chemically_sensible_for_any_seed(extent_nm: float, seed: int) -> None:
    sheet = graphene_with_silicon(extent_nm, seed)
    assert (sheet.atomic_numbers == SILICON).sum() == 5
    distances = scipy.spatial.cKDTree(sheet.atoms_angstrom).query(sheet.atoms_angstrom, 2)[0][:, 1]
    assert distances.min() > 1.25
    assert distances.max() < 2.0


def test_same_seed_same_specimen_another_seed_another() -> None:
    first, second, other = (graphene_with_silicon(seed=seed) for seed in (3, 3, 4))
    numpy.testing.assert_array_equal(first.atoms_angstrom, second.atoms_angstrom)
    assert first.sites == second.sites
    assert first.sites != other.sites


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Optics(convergence_mrad=-1), r"convergence angle is -1 mrad"),
        (lambda: Optics(high_tension_v=float("nan")), r"high tension is nan V"),
        (lambda: Optics(defocus_nm=float("inf")), r"defocus is inf nm"),
        (lambda: Optics(haadf_mrad=(20.0, 200.0)), r"spans 20 to 200 mrad"),
        (lambda: PatternSimulator(specimen(), detector_pixels=63), r"63 pixels"),
        (lambda: PatternSimulator(specimen(), mrad_per_pixel=0.9), r"ends at 27.9 mrad"),
        (lambda: PatternSimulator(specimen(), mrad_per_pixel=0.0), r"pixel is 0 mrad"),
        (lambda: specimen((1.0, 1.0, 79)), r"atomic number 79"),
        (lambda: specimen((1.0, float("nan"), 6)), r"not a number"),
        (lambda: specimen(extent_nm=0.0), r"extent is 0 nm"),
        (lambda: graphene_with_silicon(1.5), r"extent is 1.5 nm"),
    ],
)
def test_errors_are_one_sentence_with_the_value(make, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_atoms_and_numbers_must_match() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 3\)"):
        dataclasses.replace(specimen((1.0, 1.0, 6)), atomic_numbers=numpy.array([6, 6]))


def test_agrees_with_multislice() -> None:
    """An abTEM multislice simulation (frozen phonons, source blur) of part of a doped sheet.

    tests/data/fixture_graphene_si_atoms.npz has the atoms in the frame of the fixture's first pixel.
    """
    with numpy.load(DATA / "fixture_graphene_si_24x24_1e5e.npz") as fixture:
        deflection = fixture["com_true_mrad"][..., ::-1]  # stored as (x, y)
        haadf = fixture["haadf"]
        step_nm = float(fixture["step_A"]) / 10
    with numpy.load(DATA / "fixture_graphene_si_atoms.npz") as atoms:
        sheet = Specimen(
            "fixture",
            atoms["atoms_angstrom"].astype(float),
            atoms["atomic_numbers"].astype(int),
            24 * step_nm,
            {},
        )
    simulator = PatternSimulator(sheet, Optics(haadf_mrad=(90, 200)))
    margin = 5
    positions = numpy.arange(-margin, 24 + margin) * step_nm
    blur = 0.025 / step_nm
    predicted = scipy.ndimage.gaussian_filter(simulator.com_map(positions, positions), (blur, blur, 0))[
        margin:-margin, margin:-margin
    ]
    for axis in range(2):
        seen, truth = predicted[..., axis].ravel(), deflection[..., axis].ravel()
        assert numpy.corrcoef(seen, truth)[0, 1] > 0.98
        assert seen @ truth / (truth @ truth) == pytest.approx(1, abs=0.05)
    survey = simulator.haadf(positions[margin:-margin, None], positions[margin:-margin])
    assert numpy.corrcoef(survey.ravel(), haadf.ravel())[0, 1] > 0.97
