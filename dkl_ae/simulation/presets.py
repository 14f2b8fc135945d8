"""The virtual specimens that ship, each with the microscope settings it is made for and the truth about it."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable, Mapping

import numpy
import numpy.typing
import scipy.spatial

from dkl_ae.records import FloatArray, UserError
from dkl_ae.simulation import lattice
from dkl_ae.simulation.detector import CameraGeometry
from dkl_ae.simulation.optics import Optics
from dkl_ae.simulation.specimen import Specimen

CARBON = 6
SILICON = 14
PHOSPHORUS = 15
SULFUR = 16
MANGANESE = 25

_INTERLAYER_ANGSTROM = 3.35


@dataclasses.dataclass(frozen=True)
class Preset:
    """A specimen by name, and the illumination and camera that suit it."""

    name: str
    label: str
    description: str
    make: Callable[[int], Specimen]
    """From a seed, which draws orientations and the places of defects."""
    optics: Optics
    geometry: CameraGeometry


def preset(name: str) -> Preset:
    """Raises UserError for a name that does not exist."""
    if name not in PRESETS:
        raise UserError(f"There is no specimen '{name}': choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]


def graphene_with_silicon(extent_nm: float = 4.0, seed: int = 0) -> Specimen:
    """Graphene with silicon: four 3-fold, one 4-fold and a trimer; two vacancies; one hole.

    The lattice's orientation and the defects' places are drawn from the seed. A 3-fold silicon
    replaces one carbon and sits above the sheet; the carbons around it give way, so that its bonds are 1.76 angstrom
    long. A 4-fold silicon replaces two neighbours, in the plane (Zhou et al., Phys. Rev. Lett. 109 (2012) 206803). In
    the trimer three silicons replace the neighbours of a carbon that is missing. The hole has a radius of a fifth of
    the extent.

    Raises UserError when the extent is less than 3 nm: the defects would not fit.
    """
    _require_extent(extent_nm, 3.0)
    random = numpy.random.default_rng(seed)
    extent = extent_nm * 10
    sheet = lattice.graphene(
        extent, random.uniform(0, math.pi / 3), extent / 2 + random.uniform(0, lattice.GRAPHENE_ANGSTROM, 2)
    )
    hole = numpy.array([0.8, 0.2]) * extent
    sheet = lattice.cut_hole(sheet, hole, extent / 5)
    first, *others = lattice.places_apart(sheet, 8, 5.0, [(hole, extent / 5 + 4)], extent, random)
    trimer, vacancies, substituted = others[0], others[1:3], others[3:]

    four_fold, sheet = _take(sheet, lattice.bond_nearest(sheet, first))
    removed, sheet = _take(sheet, lattice.neighbours(sheet, trimer, 4))
    _, sheet = _take(sheet, [lattice.neighbours(sheet, vacancy, 1)[0] for vacancy in vacancies])
    three_fold, sheet = _take(sheet, [lattice.neighbours(sheet, place, 1)[0] for place in substituted])

    above = numpy.concatenate([three_fold, removed[1:]])
    in_plane = four_fold.mean(axis=0, keepdims=True)
    places = {f"3-fold silicon {number}": place for number, place in enumerate(three_fold, start=1)}
    places |= {"4-fold silicon": in_plane[0], "silicon trimer": trimer, "hole": hole}
    places |= {f"vacancy {number}": place for number, place in enumerate(vacancies, start=1)}
    return _specimen(
        "graphene with silicon and a hole",
        extent_nm,
        [
            (CARBON, lattice.make_room(sheet, above), 0.0),
            (SILICON, above, lattice.SILICON_HEIGHT_ANGSTROM),
            (SILICON, in_plane, 0.0),
        ],
        places,
    )


def twisted_bilayer_graphene(extent_nm: float = 5.0, twist_deg: float = 9.43, seed: int = 0) -> Specimen:
    """Two graphene layers turned against each other: bilayer, single layer, vacuum, and four silicons.

    The upper layer ends at a quarter of the field, so that the left is single, and has the larger hole of the two. Two
    3-fold silicons are in the upper layer, one in the lower under it, and one 4-fold in the single layer. The sites
    name one place of AA and one of AB stacking, where the moire allows. Layers are not relaxed against each other.

    Raises UserError for an extent below 3 nm or a twist that is not above 0 and at most 60 degrees.
    """
    _require_extent(extent_nm, 3.0)
    if not 0 < twist_deg <= 60:
        raise UserError(f"The twist is {twist_deg:g} degrees: choose more than 0 and at most 60.")
    random = numpy.random.default_rng(seed)
    extent = extent_nm * 10
    angle, twist = random.uniform(0, math.pi / 3), math.radians(twist_deg)
    pivot = extent * numpy.array([0.55, 0.4]) + random.uniform(-2, 2, 2)
    hole = extent * numpy.array([0.75, 0.78])
    lower = lattice.cut_hole(lattice.graphene(extent, angle, pivot), hole, 0.1 * extent)
    upper = lattice.cut_hole(lattice.graphene(extent, angle + twist, pivot), hole, 0.17 * extent)
    edge = 0.25 * extent
    single = lower[lower[:, 0] < edge]
    upper = upper[upper[:, 0] > edge]

    ring = [(hole, 0.17 * extent + 4)]
    in_bilayer = upper[upper[:, 0] > edge + 4]
    dopants = lattice.places_apart(in_bilayer, 3, 7.0, ring, extent, random)
    four_fold_place = lattice.places_apart(single[single[:, 0] < edge - 3], 1, 0.0, [], extent, random)[0]
    upper_silicon, upper = _take(upper, [lattice.neighbours(upper, place, 1)[0] for place in dopants[:2]])
    lower_silicon, lower = _take(lower, lattice.neighbours(lower, dopants[2], 1))
    four_fold, lower = _take(lower, lattice.bond_nearest(lower, four_fold_place))
    in_plane = four_fold.mean(axis=0, keepdims=True)

    stacking = _stacking(pivot, angle, twist, in_bilayer)
    places = {
        "3-fold silicon 1 (upper layer)": upper_silicon[0],
        "3-fold silicon 2 (upper layer)": upper_silicon[1],
        "3-fold silicon 3 (lower layer)": lower_silicon[0],
        "4-fold silicon (single layer)": in_plane[0],
        "hole": hole,
        "single layer": extent * numpy.array([0.1, 0.5]),
        **stacking,
    }
    return _specimen(
        f"twisted bilayer graphene, {twist_deg:g} degrees",
        extent_nm,
        [
            (CARBON, lattice.make_room(lower, lower_silicon), 0.0),
            (SILICON, in_plane, 0.0),
            # Below its sheet: the upper layer leaves no room above.
            (SILICON, lower_silicon, -lattice.SILICON_HEIGHT_ANGSTROM),
            (CARBON, lattice.make_room(upper, upper_silicon), _INTERLAYER_ANGSTROM),
            (SILICON, upper_silicon, _INTERLAYER_ANGSTROM + lattice.SILICON_HEIGHT_ANGSTROM),
        ],
        places,
    )


@dataclasses.dataclass(frozen=True)
class BumpAndRamp:
    """A displacement field: a Gaussian bump of dilation and a strain e_xx that grows along x. Angstrom inside."""

    centre: tuple[float, float]
    """(x, y) of the bump."""
    width: float
    """Standard deviation of the bump."""
    bump: float
    """Strain at its centre."""
    ramp: float
    """Strain e_xx at the field's right edge, zero at its left."""
    extent: float

    def displaced(self, places: FloatArray) -> FloatArray:
        """Where atoms at (n, 2), x and y, of the unstrained lattice go."""
        away = places - self.centre
        moved = places + self.bump * away * self._envelope(away)
        moved[:, 0] += self.ramp * places[:, 0] ** 2 / (2 * self.extent)
        return moved

    def strain(self, y_nm: numpy.typing.ArrayLike, x_nm: numpy.typing.ArrayLike) -> FloatArray:
        """See specimen.StrainField; small-strain tensor at positions of the strained lattice."""
        y, x = numpy.broadcast_arrays(numpy.asarray(y_nm, float) * 10, numpy.asarray(x_nm, float) * 10)
        target = numpy.stack([x.ravel(), y.ravel()], axis=1)
        origin = target.copy()
        for _ in range(8):
            origin += target - self.displaced(origin)
        away = origin - self.centre
        envelope = self.bump * self._envelope(away)
        # d u_i / d x_j = bump * envelope * (delta_ij - away_i away_j / width^2)
        xx = envelope[:, 0] * (1 - away[:, 0] ** 2 / self.width**2) + self.ramp * origin[:, 0] / self.extent
        yy = envelope[:, 0] * (1 - away[:, 1] ** 2 / self.width**2)
        xy = -envelope[:, 0] * away[:, 0] * away[:, 1] / self.width**2
        return numpy.stack([xx, yy, xy, numpy.zeros_like(xx)], axis=1).reshape(*x.shape, 4)

    def _envelope(self, away: FloatArray) -> FloatArray:
        return typing.cast(FloatArray, numpy.exp(-(away**2).sum(axis=1, keepdims=True) / (2 * self.width**2)))


def strained_bilayer(extent_nm: float = 11.2, seed: int = 0) -> Specimen:
    """Two graphene layers at 27.8 degrees under one strain field, with a hole that is larger in the upper layer.

    A bump of 2.5 % dilation and a ramp of e_xx to 1 %: `Specimen.strain` is the truth.

    Raises UserError for an extent below 6 nm.
    """
    _require_extent(extent_nm, 6.0)
    random = numpy.random.default_rng(seed)
    extent = extent_nm * 10
    angle = random.uniform(0, math.pi / 3)
    bump = extent * numpy.array([0.45, 0.62]) + random.uniform(-5, 5, 2)
    field = BumpAndRamp((float(bump[0]), float(bump[1])), 0.18 * extent, 0.025, 0.01, extent)
    hole = extent * numpy.array([0.8, 0.2])
    layers = []
    for number, (turn, radius) in enumerate(((0.0, 0.12), (math.radians(27.8), 0.18))):
        sheet = lattice.graphene(extent, angle + turn, extent / 2 + random.uniform(0, lattice.GRAPHENE_ANGSTROM, 2))
        sheet = field.displaced(lattice.cut_hole(sheet, hole, radius * extent))
        layers.append((CARBON, sheet, number * _INTERLAYER_ANGSTROM))
    places = {"strain bump": bump, "hole": hole, "single layer": hole + numpy.array([0, 0.15 * extent])}
    specimen = _specimen("strained bilayer graphene", extent_nm, layers, places)
    return dataclasses.replace(specimen, strain=field.strain)


_MNPS3_ANGSTROM = 6.077
_MNPS3_LAYER_ANGSTROM = 6.49
_MNPS3_SHIFT = -1 / 3
"""Of each layer over the one before, in lattice vectors."""
_MNPS3_LAYERS = 3
_MNPS3_CELL: typing.Final = (
    (MANGANESE, 1 / 3, 2 / 3, 0.0),
    (MANGANESE, 2 / 3, 1 / 3, 0.0),
    (PHOSPHORUS, 0.0, 0.0, 1.10),
    (PHOSPHORUS, 0.0, 0.0, -1.10),
    *((SULFUR, x, y, 1.62) for x, y in ((0.33, 0.0), (0.0, 0.33), (-0.33, -0.33))),
    *((SULFUR, x, y, -1.62) for x, y in ((-0.33, 0.0), (0.0, -0.33), (0.33, 0.33))),
)
"""Of one layer: atomic number, fractions of the lattice vectors, height in angstrom."""


def manganese_phosphorus_trisulfide(extent_nm: float = 6.0, seed: int = 0) -> Specimen:
    """Three layers of MnPS3 seen along the layers' normal, with a hole and two columns of missing P2S6 units.

    The structure is that of Ouvrard, Brec and Rouxel, Mater. Res. Bull. 20 (1985) 1181, its layers made exactly
    hexagonal. Out of focus, the overlapping discs interfere in hexagonal patterns much wider than the unit cell.

    Raises UserError for an extent below 4 nm.
    """
    _require_extent(extent_nm, 4.0)
    random = numpy.random.default_rng(seed)
    extent = extent_nm * 10
    vectors = lattice.hexagonal_vectors(_MNPS3_ANGSTROM, random.uniform(0, math.pi / 3))
    cells = lattice.tiled(vectors, extent / 2 + random.uniform(0, _MNPS3_ANGSTROM, 2), extent)
    hole = extent * numpy.array([0.8, 0.2])
    missing = lattice.places_apart(cells, 2, 15.0, [(hole, extent / 5 + 10)], extent, random)
    atoms: list[tuple[int, FloatArray, float]] = []
    for layer in range(_MNPS3_LAYERS):
        shift = layer * _MNPS3_SHIFT * vectors[0]
        for element, i, j, height in _MNPS3_CELL:
            kept = cells if element == MANGANESE else numpy.delete(cells, _nearest_each(cells, missing), axis=0)
            places = kept + i * vectors[0] + j * vectors[1] + shift
            places = places[lattice.over_margin(places, extent)]
            places = places[numpy.linalg.norm(places - hole, axis=1) > extent / 6]
            atoms.append((element, places, height + layer * _MNPS3_LAYER_ANGSTROM))
    places_known = {f"missing P2S6 {number}": place for number, place in enumerate(missing, start=1)}
    return _specimen("MnPS3", extent_nm, atoms, {**places_known, "hole": hole})


PRESETS: Mapping[str, Preset] = {
    each.name: each
    for each in (
        Preset(
            "graphene-si",
            "Graphene with silicon",
            "One layer: 3-fold and 4-fold silicon, a silicon trimer, vacancies, a hole; 30 mrad.",
            lambda seed: graphene_with_silicon(seed=seed),
            Optics(),
            CameraGeometry(),
        ),
        Preset(
            "twisted-bilayer-graphene",
            "Twisted bilayer graphene",
            "9.43 degrees: bilayer with AA and AB stacking, single layer, a hole, silicon in each layer; 30 mrad.",
            lambda seed: twisted_bilayer_graphene(seed=seed),
            Optics(),
            CameraGeometry(),
        ),
        Preset(
            "bilayer-strain",
            "Strained bilayer",
            "First-order Bragg discs at 5 mrad: a known strain field, single layer, a hole.",
            lambda seed: strained_bilayer(seed=seed),
            Optics(convergence_mrad=5.0, source_sigma_angstrom=0.5, haadf_mrad=(50.0, 200.0)),
            CameraGeometry(pixels=64, mrad_per_pixel=1.0),
        ),
        Preset(
            "mnps3",
            "MnPS3, out of focus",
            "Three layers at a defocus of -40 nm and 30 mrad: hexagonal interference; a hole and missing P2S6.",
            lambda seed: manganese_phosphorus_trisulfide(seed=seed),
            Optics(defocus_nm=-40.0),
            CameraGeometry(),
        ),
    )
}


def _require_extent(extent_nm: float, least_nm: float) -> None:
    if not least_nm <= extent_nm < math.inf:
        raise UserError(f"The extent is {extent_nm:g} nm: choose {least_nm:g} nm or more.")


def _take(atoms: FloatArray, indices: list[int]) -> tuple[FloatArray, FloatArray]:
    """Some atoms, and the rest."""
    return atoms[indices], numpy.delete(atoms, indices, axis=0)


def _nearest_each(cells: FloatArray, places: list[FloatArray]) -> list[int]:
    return [lattice.neighbours(cells, place, 1)[0] for place in places]


def _stacking(pivot: FloatArray, angle: float, twist: float, bilayer: FloatArray) -> dict[str, FloatArray]:
    """Places of AA and AB stacking: the upper layer's registry at a place differs from the lower's by the rotation's
    displacement, which is a lattice vector where they are AA and a bond where they are AB."""
    a, b = lattice.hexagonal_vectors(lattice.GRAPHENE_ANGSTROM, angle)
    # Row vectors: place - turned(place, -twist) is the displacement.
    to_place = numpy.linalg.inv(numpy.eye(2) - lattice.turned(numpy.eye(2), -twist))
    steps = numpy.arange(-30, 31)
    lattice_vectors = (steps[:, None, None] * a + steps[:, None] * b).reshape(-1, 2)
    middle = bilayer.mean(axis=0)
    found = {}
    for name, offset in (("AA stacking", 0 * a), ("AB stacking", (2 * a + b) / 3)):
        candidates = pivot + (lattice_vectors + offset) @ to_place
        covered = scipy.spatial.cKDTree(bilayer).query(candidates)[0] < 1.5
        if covered.any():
            inside = candidates[covered]
            found[name] = inside[numpy.linalg.norm(inside - middle, axis=1).argmin()]
    return found


def _specimen(
    name: str,
    extent_nm: float,
    parts: list[tuple[int, FloatArray, float]],
    places: Mapping[str, FloatArray],
) -> Specimen:
    """parts: atomic number, x and y, and height of atoms. places: x and y."""
    atoms = [numpy.insert(positions, 2, height, axis=1) for _, positions, height in parts]
    numbers = [numpy.full(len(positions), element) for element, positions, _ in parts]
    return Specimen(
        name=name,
        atoms_angstrom=numpy.concatenate(atoms),
        atomic_numbers=numpy.concatenate(numbers),
        extent_nm=extent_nm,
        sites={place: (float(y) / 10, float(x) / 10) for place, (x, y) in places.items()},
    )
