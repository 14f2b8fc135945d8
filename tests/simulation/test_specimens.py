"""The shipped specimens hold what they say, and structure files become specimens."""

from __future__ import annotations

import dataclasses
import pathlib

import ase.build
import ase.io
import numpy
import pytest
import scipy.spatial
from hypothesis import given, settings
from hypothesis import strategies as st

from dkl_ae.simulation import (
    PRESETS,
    ImageSimulator,
    PatternSimulator,
    Specimen,
    graphene_with_silicon,
    preset,
    presets,
    read_structure,
)
from dkl_ae.simulation.presets import (
    CARBON,
    MANGANESE,
    PHOSPHORUS,
    SILICON,
    SULFUR,
    manganese_phosphorus_trisulfide,
    strained_bilayer,
    twisted_bilayer_graphene,
)
from tests.support.specimens import few_atoms


def near(specimen: Specimen, place: tuple[float, float], radius: float) -> numpy.ndarray:
    """Atomic numbers within a radius in angstrom of (y, x) in nm, seen along the beam."""
    away = specimen.atoms_angstrom[:, 1::-1] - 10 * numpy.array(place)
    return specimen.atomic_numbers[numpy.linalg.norm(away, axis=1) < radius]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_reproducible_and_fit_their_microscope(name: str) -> None:
    first, again, other = (PRESETS[name].make(seed) for seed in (3, 3, 4))
    numpy.testing.assert_array_equal(first.atoms_angstrom, again.atoms_angstrom)
    assert first.sites == again.sites
    assert first.sites != other.sites
    for place in first.sites.values():
        assert all(0 <= coordinate <= first.extent_nm for coordinate in place)
    # Atoms go on beyond the field, so that it looks endless.
    assert (first.atoms_angstrom[:, :2].min(axis=0) < -12).all()
    assert (first.atoms_angstrom[:, :2].max(axis=0) > 10 * first.extent_nm + 12).all()
    simulator = PatternSimulator(first, PRESETS[name].optics, PRESETS[name].geometry)
    hole = simulator.pattern(*first.sites["hole"])
    sheet = simulator.pattern(0.5 * first.extent_nm, 0.5 * first.extent_nm)
    assert hole.sum() > sheet.sum()
    images = ImageSimulator(first, PRESETS[name].optics)
    middle = numpy.linspace(0.4, 0.6, 20) * first.extent_nm
    assert images.image("HAADF", *first.sites["hole"]) < images.image("HAADF", middle[:, None], middle).mean() / 2


@pytest.mark.parametrize("extent_nm", [3.0, 4.0, 6.0])
@pytest.mark.parametrize("seed", range(4))
def test_graphene_is_chemically_sensible_for_any_seed(extent_nm: float, seed: int) -> None:
    sheet = graphene_with_silicon(extent_nm, seed)
    assert (sheet.atomic_numbers == SILICON).sum() == 8
    distances = scipy.spatial.cKDTree(sheet.atoms_angstrom).query(sheet.atoms_angstrom, 2)[0][:, 1]
    assert distances.min() > 1.25
    assert distances.max() < 2.0


def test_graphene_has_what_its_sites_say() -> None:
    sheet = graphene_with_silicon()
    for name, place in sheet.sites.items():
        if name.startswith(("3-fold", "4-fold")):
            assert list(near(sheet, place, 0.01)) == [SILICON]
            neighbours = near(sheet, place, 2.15)
            assert (neighbours == CARBON).sum() == int(name[0])
        elif name == "silicon trimer":
            assert not len(near(sheet, place, 1.0))
            assert list(near(sheet, place, 1.6)) == [SILICON] * 3
        elif name.startswith("vacancy"):
            assert not len(near(sheet, place, 1.2))
            assert len(near(sheet, place, 1.6)) == 3
        else:
            assert name == "hole"
            assert not len(near(sheet, place, 7.9))
    assert len(sheet.sites) == 9


@pytest.mark.parametrize("twist_deg", [5.0, 9.43, 21.8])
def test_bilayer_is_stacked_as_its_sites_say(twist_deg: float) -> None:
    bilayer = twisted_bilayer_graphene(twist_deg=twist_deg, seed=1)
    upper = bilayer.atoms_angstrom[:, 2] > 2
    angle = []
    for layer in (upper, ~upper):
        atoms = bilayer.atoms_angstrom[layer & (bilayer.atomic_numbers == CARBON), :2]
        tree = scipy.spatial.cKDTree(atoms)
        bonds = tree.query_pairs(1.5, output_type="ndarray")
        away = atoms[bonds[:, 1]] - atoms[bonds[:, 0]]
        # Bonds point in six directions, sixty degrees apart, among a layer's two sublattices.
        angle.append(numpy.angle(numpy.exp(6j * numpy.arctan2(away[:, 1], away[:, 0])).mean()) / 6)
    turned = numpy.degrees(angle[0] - angle[1]) % 60
    assert min(turned, 60 - turned) == pytest.approx(min(twist_deg, 60 - twist_deg), abs=0.2)

    def coincident(place: tuple[float, float], radius: float) -> float:
        """Fraction of the lower layer's atoms that lie under one of the upper."""
        near_place = numpy.linalg.norm(bilayer.atoms_angstrom[:, 1::-1] - 10 * numpy.array(place), axis=1) < radius
        below, above = (bilayer.atoms_angstrom[layer & near_place, :2] for layer in (~upper, upper))
        reach = 1.5 * numpy.radians(twist_deg) * radius / 2 + 0.25
        return float((scipy.spatial.cKDTree(above).query(below)[0] < reach).mean())

    if twist_deg < 10:
        assert coincident(bilayer.sites["AA stacking"], 2.2) > 0.75
        assert 0.2 < coincident(bilayer.sites["AB stacking"], 2.2) < 0.75
    assert (near(bilayer, bilayer.sites["single layer"], 6) == CARBON).all()
    heights = bilayer.atoms_angstrom[bilayer.atoms_angstrom[:, 0] < 5, 2]
    assert heights.max() < 1
    assert not len(near(bilayer, bilayer.sites["hole"], 4.9))
    assert (bilayer.atomic_numbers == SILICON).sum() == 4


@given(y=st.floats(0.5, 10.5), x=st.floats(0.5, 10.5))
@settings(max_examples=30, deadline=None)
def test_the_strain_is_the_gradient_of_the_displacement(y: float, x: float) -> None:
    field = presets.BumpAndRamp((50.0, 70.0), 20.0, 0.025, 0.01, 112.0)
    start = 10 * numpy.array([[x, y]])
    h = 1e-4
    down, right = (
        (field.displaced(start + step) - field.displaced(start - step)) / (2 * h)
        for step in (numpy.array([[0, h]]), numpy.array([[h, 0]]))
    )
    landed = field.displaced(start)[0] / 10
    xx, yy, xy, rotation = field.strain(landed[1], landed[0])
    assert xx == pytest.approx(right[0, 0] - 1, abs=1e-6)
    assert yy == pytest.approx(down[0, 1] - 1, abs=1e-6)
    assert xy == pytest.approx((right[0, 1] + down[0, 0]) / 2, abs=1e-6)
    assert rotation == pytest.approx((right[0, 1] - down[0, 0]) / 2, abs=1e-6)


def test_bonds_of_the_strained_bilayer_are_as_long_as_the_strain_says() -> None:
    bilayer = strained_bilayer(seed=2)
    assert bilayer.strain is not None
    lower = bilayer.atoms_angstrom[bilayer.atoms_angstrom[:, 2] < 1, :2]
    bonds = scipy.spatial.cKDTree(lower).query_pairs(1.7, output_type="ndarray")
    middles = lower[bonds].mean(axis=1) / 10
    lengths = numpy.linalg.norm(lower[bonds[:, 0]] - lower[bonds[:, 1]], axis=1)
    strain = bilayer.strain(middles[:, 1], middles[:, 0])
    dilation = (strain[:, 0] + strain[:, 1]) / 2
    for low, high in ((0.0, 0.005), (0.01, 0.02), (0.02, 0.05)):
        chosen = (dilation >= low) & (dilation < high)
        assert chosen.sum() > 50
        expected = 1.42028 * (1 + dilation[chosen].mean())
        assert lengths[chosen].mean() == pytest.approx(expected, rel=5e-4)
    assert bilayer.strain(*bilayer.sites["strain bump"])[1] == pytest.approx(0.025, abs=0.001)


def test_mnps3_has_its_composition_and_bonds() -> None:
    crystal = manganese_phosphorus_trisulfide()
    middle = numpy.abs(crystal.atoms_angstrom[:, :2] - [10, 40]).max(axis=1) < 10
    numbers = crystal.atomic_numbers[middle]
    counts = {element: int((numbers == element).sum()) for element in (MANGANESE, PHOSPHORUS, SULFUR)}
    assert counts[SULFUR] / counts[PHOSPHORUS] == pytest.approx(3, abs=0.3)
    assert counts[MANGANESE] / counts[PHOSPHORUS] == pytest.approx(1, abs=0.25)

    def distance(one: int, other: int) -> float:
        """Shortest between two elements."""
        first, second = (crystal.atoms_angstrom[crystal.atomic_numbers == element] for element in (one, other))
        return float(scipy.spatial.cKDTree(first).query(second, 2)[0][:, 1 if one == other else 0].min())

    # Ouvrard, Brec and Rouxel (1985): P-P 2.19, P-S 2.03, Mn-S 2.63 angstrom.
    assert distance(PHOSPHORUS, PHOSPHORUS) == pytest.approx(2.19, abs=0.05)
    assert distance(PHOSPHORUS, SULFUR) == pytest.approx(2.03, abs=0.06)
    assert distance(MANGANESE, SULFUR) == pytest.approx(2.63, abs=0.08)


def test_removed_atoms_are_gone_and_the_rest_stays() -> None:
    three = few_atoms((1.0, 1.0, SILICON), (1.0, 1.2, CARBON), (0.5, 0.5, CARBON))
    left = three.without(numpy.array([1]))
    numpy.testing.assert_array_equal(left.atomic_numbers, [SILICON, CARBON])
    numpy.testing.assert_array_equal(left.atoms_angstrom, three.atoms_angstrom[[0, 2]])


def test_a_crystal_file_fills_the_field(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "gold.cif"
    ase.io.write(file, ase.build.bulk("Au", "fcc", 4.08, cubic=True))
    gold = read_structure(file)
    assert (gold.name, gold.extent_nm) == ("gold", 5.0)
    assert (gold.atomic_numbers == 79).all()
    middle = numpy.abs(gold.atoms_angstrom[:, :2] - 25).max(axis=1) < 4.08 * 4 / 2
    # Four atoms a cell, four cells along each side.
    assert middle.sum() == pytest.approx(64, abs=9)
    assert (gold.atoms_angstrom[:, :2].min(axis=0) < -15).all()
    assert read_structure(file, 3.0).extent_nm == 3.0


def test_a_cluster_file_stands_in_the_middle(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "ball.xyz"
    ase.io.write(file, ase.build.molecule("C60"))
    ball = read_structure(file)
    assert len(ball.atomic_numbers) == 60
    assert 1.6 < ball.extent_nm < 1.8
    numpy.testing.assert_allclose(
        (ball.atoms_angstrom.min(axis=0) + ball.atoms_angstrom.max(axis=0))[:2] / 2, 5 * ball.extent_nm, atol=1e-6
    )
    assert PatternSimulator(ball).pattern(ball.extent_nm / 2, ball.extent_nm / 2).sum() > 0.95


def write(file: pathlib.Path, text: str) -> pathlib.Path:
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: preset("gold"), r"no specimen 'gold': choose one of graphene-si, "),
        (lambda folder: graphene_with_silicon(1.5), r"extent is 1.5 nm"),
        (lambda folder: twisted_bilayer_graphene(twist_deg=0), r"twist is 0 degrees"),
        (lambda folder: twisted_bilayer_graphene(2.0), r"extent is 2 nm"),
        (lambda folder: strained_bilayer(3.0), r"extent is 3 nm"),
        (lambda folder: manganese_phosphorus_trisulfide(float("nan")), r"extent is nan nm"),
        (lambda folder: few_atoms((1.0, 1.0, 119)), r"atomic number 119"),
        (lambda folder: few_atoms((1.0, float("nan"), 6)), r"not a number"),
        (lambda folder: few_atoms(extent_nm=0.0), r"extent is 0 nm"),
        (lambda folder: read_structure(folder / "none.cif"), r"no file .*none.cif"),
        (lambda folder: read_structure(write(folder / "bad.cif", "hello")), r"bad.cif cannot be read"),
        (lambda folder: read_structure(write(folder / "bad.xyz", "1\n\nC 0 a 0\n")), r"bad.xyz cannot be read"),
        (lambda folder: read_structure(write(folder / "none.xyz", "0\n\n")), r"none.xyz has no atoms"),
        (lambda folder: read_structure(write(folder / "one.xyz", "1\n\nC 0 0 0\n"), -1.0), r"extent is -1 nm"),
    ],
)
def test_errors_are_one_sentence_with_the_value(make, message, tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message) as caught:
        make(tmp_path)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_a_field_too_large_for_its_file_is_refused(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "gold.cif"
    ase.io.write(file, ase.build.bulk("Au", "fcc", 4.08, cubic=True))
    with pytest.raises(ValueError, match=r"gold.cif repeated over 500 nm has about [\d,]+ atoms"):
        read_structure(file, 500.0)


def test_atoms_and_numbers_must_match() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 3\)"):
        dataclasses.replace(few_atoms((1.0, 1.0, 6)), atomic_numbers=numpy.array([6, 6]))
