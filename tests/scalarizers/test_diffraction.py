"""Readings of the Bragg discs through the reference: spacing, strain against an undeformed lattice, vacuum."""

import dataclasses
import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.patterns import DetectorGeometry, Patterns, find_reference
from dkl_ae.scalarizers import scalarize, with_undeformed

CENTRE = (63.2, 64.1)


def spots(*vectors, radius=5.0, electrons=2e6):
    """Discs of a lattice, one mrad a pixel, shape (128, 128); vectors are (y, x) in mrad."""
    y, x = numpy.mgrid[:128, :128]
    pattern = numpy.zeros((128, 128))
    for node in vectors:
        covered = numpy.clip(radius + 0.5 - numpy.hypot(y - CENTRE[0] - node[0], x - CENTRE[1] - node[1]), 0, 1)
        pattern += covered * (1.0 if node == (0.0, 0.0) else 0.002)
    return numpy.random.default_rng(0).poisson(pattern * electrons / pattern.sum())


def crystal(deformation=((1.0, 0.0), (0.0, 1.0)), spacing=22.0):
    """A hexagonal lattice whose real space was deformed; the matrix takes (y, x) to (y, x)."""
    reciprocal = numpy.linalg.inv(numpy.array(deformation)).T
    nodes = [(0.0, 0.0)]
    for number in range(6):
        angle = math.radians(60 * number + 10)
        y, x = reciprocal @ (spacing * math.sin(angle), spacing * math.cos(angle))
        nodes.append((float(y), float(x)))
    return spots(*nodes)


REFERENCE = find_reference(spots((0.0, 0.0)), (1.0, 1.0))
UNDEFORMED = with_undeformed(REFERENCE, Patterns(crystal()[numpy.newaxis], REFERENCE))


def test_the_spacing_of_a_crystal_is_read_within_its_error() -> None:
    reading = scalarize(crystal(), REFERENCE)["bragg_spacing"]
    assert reading.value == pytest.approx(22.0, abs=4 * reading.sigma)
    assert reading.sigma < 0.05


@given(st.floats(-0.03, 0.03), st.floats(-0.03, 0.03), st.floats(-0.02, 0.02), st.floats(-0.1, 0.1))
def test_strain_is_that_of_the_deformation(xx, yy, xy, turn) -> None:
    """The deformation is a rotation after a stretch; extension is positive, turning goes from +x towards +y."""
    stretch = numpy.array([[1 + yy, xy], [xy, 1 + xx]])
    rotation = numpy.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    found = scalarize(crystal(stretch @ rotation), UNDEFORMED)
    for name, expected in (("strain_xx", xx), ("strain_yy", yy), ("strain_xy", xy), ("lattice_rotation", turn)):
        assert found[name].value == pytest.approx(expected, abs=5 * found[name].sigma + 2e-3), name


def test_strain_needs_an_undeformed_lattice() -> None:
    assert "undeformed lattice is not known" in scalarize(crystal(), REFERENCE)["strain_xx"].reason


def test_another_lattice_is_not_taken_for_strain() -> None:
    square = spots(*((22.0 * y, 22.0 * x) for y in (-1, 0, 1) for x in (-1, 0, 1)))
    found = scalarize(square, UNDEFORMED)
    assert found["lattice_symmetry"].value == 4
    assert found["strain_xx"].reason.startswith("another lattice is here: it differs from the undeformed one by")


@given(st.floats(14, 30), st.floats(14, 30), st.floats(0, math.pi), st.floats(math.pi / 3, 2 * math.pi / 3))
def test_any_two_spots_and_their_opposites_are_not_taken_for_a_lattice(first, second, turn, between) -> None:
    """Opposite discs come together: two pairs of them are the nodes of a lattice whatever they are."""
    pairs = [
        (length * math.sin(angle), length * math.cos(angle))
        for length, angle in ((first, turn), (second, turn + between))
    ]
    reading = scalarize(spots((0.0, 0.0), *pairs, *((-y, -x) for y, x in pairs)), REFERENCE)["bragg_spacing"]
    assert math.isnan(reading.value)
    assert reading.reason


def test_vacuum_has_no_spacing_but_a_count_of_discs() -> None:
    found = scalarize(spots((0.0, 0.0)), REFERENCE)
    assert math.isnan(found["bragg_spacing"].value)
    assert found["bragg_spacing"].reason.startswith("no diffraction here")
    assert (found["bragg_discs"].value, found["bragg_discs"].reason) == (0, "")
    assert scalarize(crystal(), REFERENCE)["bragg_discs"].value == 6
    assert scalarize(crystal(), REFERENCE)["lattice_symmetry"].value == 6


def test_the_lattice_turns_with_the_detector() -> None:
    geometry = DetectorGeometry(rotation_deg=30.0)
    turned = dataclasses.replace(UNDEFORMED, geometry=geometry)
    found = scalarize(crystal(), turned)
    assert found["lattice_rotation"].value == pytest.approx(math.radians(30 - 60), abs=0.01) or found[
        "lattice_rotation"
    ].value == pytest.approx(math.radians(30), abs=0.01)
    assert found["bragg_spacing"].value == pytest.approx(scalarize(crystal(), UNDEFORMED)["bragg_spacing"].value)
