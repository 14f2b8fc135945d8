"""Building blocks of virtual specimens: sheets, holes, defects. Positions are (n, 2), x and y in angstrom."""

from __future__ import annotations

import math
import typing
from collections.abc import Sequence

import numpy
import numpy.typing
import scipy.spatial

from dkl_ae.records import FloatArray, UserError

GRAPHENE_ANGSTROM = 2.46
"""Lattice constant."""
BOND_ANGSTROM = GRAPHENE_ANGSTROM / math.sqrt(3)
MARGIN_ANGSTROM = 18.0
"""A sheet goes on this far beyond the field."""

SILICON_BOND_ANGSTROM = 1.76
_SILICON_PUSH_ANGSTROM = 0.18
SILICON_HEIGHT_ANGSTROM = math.sqrt(SILICON_BOND_ANGSTROM**2 - (BOND_ANGSTROM + _SILICON_PUSH_ANGSTROM) ** 2)
"""Of a 3-fold silicon above its sheet."""


def turned(vectors: FloatArray, angle: float) -> FloatArray:
    """Vectors (..., 2), x and y, turned from x towards y."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return typing.cast(FloatArray, vectors @ numpy.array([[cosine, sine], [-sine, cosine]]))


def hexagonal_vectors(constant: float, angle: float = 0.0) -> FloatArray:
    """The two lattice vectors, 120 degrees apart, shape (2, 2)."""
    return turned(constant * numpy.array([[1.0, 0.0], [-0.5, math.sqrt(3) / 2]]), angle)


def tiled(vectors: FloatArray, origin: FloatArray, extent: float) -> FloatArray:
    """Every corner of the cells that reach the square field or its margin, some outside included."""
    corners = extent * numpy.array([[0, 0], [0, 1], [1, 0], [1, 1]]) - origin
    reach = MARGIN_ANGSTROM + numpy.linalg.norm(vectors, axis=1).sum()
    heights = abs(numpy.linalg.det(vectors)) / numpy.linalg.norm(vectors[::-1], axis=1)
    along = corners @ numpy.linalg.inv(vectors)
    low = numpy.floor(along.min(axis=0) - reach / heights).astype(int)
    high = numpy.ceil(along.max(axis=0) + reach / heights).astype(int)
    i, j = (index.ravel()[:, None] for index in numpy.mgrid[low[0] : high[0] + 1, low[1] : high[1] + 1])
    return typing.cast(FloatArray, origin + i * vectors[0] + j * vectors[1])


def over_margin(atoms: FloatArray, extent: float) -> numpy.typing.NDArray[numpy.bool_]:
    """Which atoms, (n, 2) or (n, 3), are over the square field and its margin."""
    inside: numpy.typing.NDArray[numpy.bool_] = (
        numpy.abs(atoms[:, :2] - extent / 2).max(axis=1) < extent / 2 + MARGIN_ANGSTROM
    )
    return inside


def graphene(extent: float, angle: float, origin: FloatArray) -> FloatArray:
    """A sheet over the field and its margin; origin is the centre of a hexagon."""
    vectors = hexagonal_vectors(GRAPHENE_ANGSTROM, angle)
    cells = tiled(vectors, numpy.asarray(origin, float), extent)
    first, second = (2 * vectors[0] + vectors[1]) / 3, (vectors[0] + 2 * vectors[1]) / 3
    atoms: FloatArray = numpy.concatenate([cells + first, cells + second])
    return atoms[over_margin(atoms, extent)]


def cut_hole(atoms: FloatArray, centre: FloatArray, radius: float) -> FloatArray:
    """Without the atoms in the hole, and without those at its edge that would hang on a single
    bond."""
    atoms = atoms[numpy.linalg.norm(atoms - centre, axis=1) > radius]
    bonds = _tree(atoms).query_ball_point(atoms, 1.2 * BOND_ANGSTROM, return_length=True) - 1
    near_hole = numpy.linalg.norm(atoms - centre, axis=1) < radius + 2 * BOND_ANGSTROM
    return typing.cast(FloatArray, atoms[~(near_hole & (bonds < 2))])


def places_apart(
    atoms: FloatArray,
    count: int,
    spacing: float,
    taken: Sequence[tuple[FloatArray, float]],
    extent: float,
    random: numpy.random.Generator,
) -> list[FloatArray]:
    """Atoms drawn at random from the field's inside, apart from each other and from the taken circles.

    Raises UserError when that many do not fit.
    """
    chosen: list[FloatArray] = []
    for atom in random.permutation(atoms):
        in_field = (atom > 3).all() and (atom < extent - 3).all()
        apart = all(numpy.linalg.norm(atom - other) > spacing for other in chosen)
        free = all(numpy.linalg.norm(atom - centre) > radius for centre, radius in taken)
        if in_field and apart and free:
            chosen.append(atom)
        if len(chosen) == count:
            return chosen
    raise UserError(f"There is no room for {count} defects in {extent / 10:g} nm: choose a larger extent.")


def neighbours(atoms: FloatArray, place: FloatArray, count: int) -> list[int]:
    """Indices of the atoms nearest to a place, nearest first."""
    return [int(index) for index in numpy.argsort(numpy.linalg.norm(atoms - place, axis=1))[:count]]


def bond_nearest(atoms: FloatArray, place: FloatArray) -> list[int]:
    """The two bonded atoms whose bond's middle is nearest to a place."""
    bonds = _tree(atoms).query_pairs(1.2 * BOND_ANGSTROM, output_type="ndarray")
    middles = atoms[bonds].mean(axis=1)
    return [int(atom) for atom in bonds[numpy.linalg.norm(middles - place, axis=1).argmin()]]


def make_room(carbon: FloatArray, silicon: FloatArray) -> FloatArray:
    """The carbons, each pushed away from the silicons by 0.18 angstrom, less by e for each bond length."""
    if not len(silicon):
        return carbon
    away = carbon[:, None] - silicon[None]
    distance = numpy.linalg.norm(away, axis=2, keepdims=True)
    push = _SILICON_PUSH_ANGSTROM * numpy.exp(1 - distance / BOND_ANGSTROM)
    pushed: FloatArray = carbon + (away / distance * push).sum(axis=1)
    return pushed


def _tree(atoms: FloatArray) -> typing.Any:
    return scipy.spatial.cKDTree(atoms)
