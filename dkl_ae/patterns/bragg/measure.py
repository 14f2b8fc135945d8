"""The Bragg discs of a nano-beam diffraction pattern: their distance from the central disc, and their lattice."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy
import numpy.typing

from dkl_ae.patterns.bragg.discs import DiscGeometry, find_discs, summed
from dkl_ae.patterns.bragg.fit import FittedLattice, fit_lattices
from dkl_ae.patterns.bragg.lattice import (
    candidate_lattices,
    explained,
    first_order,
    is_too_short,
    lines,
    near_node,
    reduced,
    symmetry_order,
)
from dkl_ae.records import FloatArray

MIN_DISCS = 4
"""First-order discs a lattice needs: two are any two spots, and three any triangle."""

MIN_LINES = 3
"""Lines through the centre on which its discs must lie."""

_NODE_RADII = 0.25
"""How far from its node a disc may be found once the vectors are fitted, in disc radii, beside a pixel."""

_MAX_BACKGROUND = 0.2
"""Electrons under its discs, as a part of those in them, above which a lattice may be one of streaks."""

_MAX_CANDIDATES = 4
"""Lattices that are tried, the best first."""

MIN_EVIDENCE = 10.0
"""Log likelihood by which discs must explain a pattern better than an amorphous halo: one lattice would do so by chance
once in twenty thousand patterns."""

_SURE_EVIDENCE = 30.0
"""The same where nothing else speaks for the lattice: streaks explain a pattern better than a halo, too."""

_FIT_RADIUS = 10.0
"""Pixels of a disc's radius for the fit. Finer pixels are summed: this takes a quarter of the time or less, and costs
precision only where an edge is sharper than a tenth of the radius."""

_EQUIVALENTS = numpy.array(
    [((a, b), (c, d)) for a, b, c, d in itertools.product((-2, -1, 0, 1, 2), repeat=4) if abs(a * d - b * c) == 1],
    numpy.float64,
)
"""All changes to another pair of vectors of the same lattice, as far as they are short: shape (n, 2, 2)."""


@dataclasses.dataclass(frozen=True, eq=False)
class Lattice:
    """The lattice of a pattern's first-order discs. Numbers are NaN where there is `reason`."""

    vectors: FloatArray
    """Shape (2, 2): each row a reciprocal vector (y, x), mrad; the two shortest, 60 to 90 degrees from each other."""
    covariance: FloatArray
    """Shape (4, 4), of the vectors row by row, mrad^2, from counting statistics."""
    spacing_mrad: float
    """Mean distance of the first-order discs from the centre, of all layers that lie on each other."""
    spacing_sigma_mrad: float
    discs: int
    """First-order discs that stand out, of all layers."""
    order: int
    """Of how many parts of a full turn each takes the lattice to itself: 2, 4 or 6; 0 where there is none."""
    reason: str = ""
    """Why its numbers are undefined, one sentence; empty where they are not."""

    def seen_through(self, matrix: FloatArray) -> Lattice:
        """The same lattice in other axes: the matrix, shape (2, 2), takes (y, x) here to (y, x) there."""
        if self.reason:
            return self
        both = numpy.kron(numpy.eye(2), matrix)
        vectors = self.vectors @ matrix.T
        scale = _mean_length(vectors) / _mean_length(self.vectors)
        return dataclasses.replace(
            self,
            vectors=vectors,
            covariance=both @ self.covariance @ both.T,
            spacing_mrad=self.spacing_mrad * scale,
            spacing_sigma_mrad=self.spacing_sigma_mrad * scale,
            order=symmetry_order(reduced(vectors)),
        )


@dataclasses.dataclass(frozen=True)
class Strain:
    """Strain of the lattice in real space, in the axes of its vectors."""

    values: tuple[float, float, float, float]
    """xx, yy, xy (no units; extension is positive), and the rotation from +x towards +y in radian."""
    sigmas: tuple[float, float, float, float]


def measure_lattice(
    electrons: FloatArray,
    centre: tuple[float, float],
    mrad_per_pixel: tuple[float, float],
    radius_mrad: float,
    read_noise_e: float = 0.0,
) -> Lattice:
    """Measure the lattice of one pattern.

    electrons: shape (ky, kx); read noise may make some negative, and pixels that are not numbers are left out.
    centre: of the undeflected central disc, (y, x) pixels. radius_mrad: of every disc, the convergence angle.
    read_noise_e: of each pixel, root mean square electrons.

    Where two layers of a crystal lie on each other the vectors are those with more electrons in their discs, and the
    spacing is the mean of both, each with the weight of its counting statistics.
    """
    geometry = DiscGeometry(
        (electrons.shape[0], electrons.shape[1]),
        (float(centre[0]), float(centre[1])),
        (float(mrad_per_pixel[0]), float(mrad_per_pixel[1])),
        float(radius_mrad),
    )
    if radius_mrad < max(mrad_per_pixel):
        return _no_lattice(
            0,
            f"no diffraction here: discs of {radius_mrad:.3g} mrad are narrower than two pixels; use a longer camera "
            "length",
        )
    if min(size * pixel for size, pixel in zip(electrons.shape, mrad_per_pixel, strict=True)) < 2 * radius_mrad:
        return _no_lattice(0)
    geometry, binning = geometry.coarser(_FIT_RADIUS)
    electrons = summed(electrons, binning)
    read_noise_e *= math.sqrt(binning[0] * binning[1])
    discs = find_discs(electrons, geometry, read_noise_e)
    best = _no_lattice(len(discs))
    for rank, starts in enumerate(itertools.islice(candidate_lattices(discs, geometry), _MAX_CANDIDATES)):
        lattice = _fitted_lattice(electrons, geometry, read_noise_e, discs, starts)
        if not lattice.reason:
            return lattice
        best = best if rank else lattice
    return best


def _fitted_lattice(
    electrons: FloatArray, geometry: DiscGeometry, read_noise_e: float, discs: FloatArray, starts: list[FloatArray]
) -> Lattice:
    """One candidate lattice, or why it is none."""
    fitted, evidence = fit_lattices(electrons, geometry, read_noise_e, starts)
    seen = [lattice for lattice in fitted if len(lattice.found) >= MIN_DISCS]
    if not seen:
        return _no_lattice(max(len(lattice.found) for lattice in fitted))
    on_nodes = [explained(discs, lattice.vectors, near_node(geometry, _NODE_RADII)) for lattice in seen]
    most = bool(2 * numpy.count_nonzero(numpy.any(on_nodes, axis=0)) > len(discs)) and evidence >= _SURE_EVIDENCE
    told = [
        lattice
        for lattice, on_node in zip(seen, on_nodes, strict=True)
        if not is_too_short(lattice.vectors, geometry) and _is_told(lattice, discs[on_node], most)
    ]
    if not told:
        return _no_lattice(
            sum(len(lattice.found) for lattice in seen),
            "no lattice can be told here: the discs that stand out are any two and their opposites",
        )
    if len(told) < len(fitted):
        # A second layer that is not there would take electrons from the discs of the first.
        return _fitted_lattice(electrons, geometry, read_noise_e, discs, [lattice.vectors for lattice in told])
    if evidence < MIN_EVIDENCE:
        return _no_lattice(
            0, "no diffraction here: the electrons lie in a halo about the central disc and not in discs"
        )
    return _summary(told)


def _is_told(lattice: FittedLattice, on_node: FloatArray, most: bool) -> bool:
    """Whether there is more than the discs that the two vectors were free to pass through.

    Opposite discs come together, so that two of them and their opposites are a lattice whatever they are: one more must
    be on a third line through the centre. At the edge of a crystal, streaks and hollow discs are near the nodes of some
    lattice too. What is neither hexagonal nor square, stands in streaks, or has its third line in a higher order is
    told only where most discs of the pattern are at nodes and the evidence is strong; any other where three are.

    on_node: positions (y, x) of the discs at its nodes, shape (n, 2).
    most: whether most discs of the pattern are at nodes of it or of another layer, on strong evidence.
    """
    regular = symmetry_order(lattice.vectors) > 2 and lattice.background < _MAX_BACKGROUND
    if regular and len(on_node) >= MIN_LINES and lines(lattice.found) >= MIN_LINES:
        return True
    indices = numpy.rint(on_node @ numpy.linalg.inv(lattice.vectors)).astype(numpy.intp)
    higher = indices[~(indices[:, numpy.newaxis] == first_order(lattice.vectors)).all(axis=2).any(axis=1)]
    return most and lines(numpy.concatenate([lattice.found, higher])) >= MIN_LINES


def _summary(fitted: list[FittedLattice]) -> Lattice:
    strongest = max(fitted, key=lambda lattice: lattice.electrons)
    spacings = numpy.array([_mean_length(lattice.vectors) for lattice in fitted])
    gradients = [_mean_length_gradient(lattice.vectors) for lattice in fitted]
    weights = numpy.array(
        [1 / (gradient @ lattice.covariance @ gradient) for gradient, lattice in zip(gradients, fitted, strict=True)]
    )
    return Lattice(
        vectors=strongest.vectors,
        covariance=strongest.covariance,
        spacing_mrad=float(weights @ spacings / weights.sum()),
        spacing_sigma_mrad=float(weights.sum() ** -0.5),
        discs=sum(len(lattice.found) for lattice in fitted),
        order=symmetry_order(strongest.vectors),
    )


def _no_lattice(discs: int, why: str = "") -> Lattice:
    stand = "1 disc stands" if discs == 1 else f"{discs} discs stand"
    too_few = f"no diffraction here: {stand} out where at least {MIN_DISCS} of a lattice are needed"
    return Lattice(
        vectors=numpy.full((2, 2), math.nan),
        covariance=numpy.full((4, 4), math.nan),
        spacing_mrad=math.nan,
        spacing_sigma_mrad=math.nan,
        discs=discs,
        order=0,
        reason=f"{why or too_few}.",
    )


def _mean_length(vectors: FloatArray) -> float:
    """Mean distance of the first-order discs of a lattice from the centre, mrad."""
    return float(numpy.hypot(*(first_order(vectors) @ vectors).T).mean())


def _mean_length_gradient(vectors: FloatArray) -> FloatArray:
    """Its derivative by the vectors, row by row, shape (4,)."""
    nodes = first_order(vectors)
    positions = nodes @ vectors
    directions = positions / numpy.hypot(positions[:, :1], positions[:, 1:])
    gradient: FloatArray = (nodes[:, :, numpy.newaxis] * directions[:, numpy.newaxis, :]).mean(axis=0).ravel()
    return gradient


def strain(lattice: Lattice, reference_vectors: FloatArray) -> Strain:
    """Strain in real space that takes the lattice of the reference to this one, with one-sigma counting errors.

    Reciprocal vectors g deform to g F^-1 (as rows) where real space deforms by F: discs farther out are compression.
    F = V R is split into a stretch and a rotation, which to first order are its symmetric and antisymmetric parts
    (Hytch et al., Ultramicroscopy 74 (1998) 131). Of equivalent pairs of vectors the nearest to the reference are
    compared: of a hexagonal lattice no rotation beyond 30 degrees can be told.

    reference_vectors: shape (2, 2), rows (y, x), mrad, in the same axes.
    """
    vectors = _nearest_equivalent(lattice.vectors, reference_vectors)
    deformation = numpy.linalg.inv(vectors) @ reference_vectors
    left, stretches, right = numpy.linalg.svd(deformation)
    stretch = (left * stretches) @ left.T
    turn = left @ right
    # A change dG of the vectors adds the deformation -G^-1 dG.
    yy, yx, xy, xx = -numpy.kron(numpy.linalg.inv(lattice.vectors), numpy.eye(2))
    rows = numpy.stack([xx, yy, (xy + yx) / 2, (yx - xy) / 2])
    sigmas = numpy.sqrt(numpy.einsum("ij,jk,ik->i", rows, lattice.covariance, rows))
    return Strain(
        values=(
            float(stretch[1, 1] - 1),
            float(stretch[0, 0] - 1),
            float(stretch[0, 1]),
            math.atan2(turn[0, 1] - turn[1, 0], turn[0, 0] + turn[1, 1]),
        ),
        sigmas=(float(sigmas[0]), float(sigmas[1]), float(sigmas[2]), float(sigmas[3])),
    )


def _nearest_equivalent(vectors: FloatArray, reference_vectors: FloatArray) -> FloatArray:
    candidates = _EQUIVALENTS @ vectors
    nearest: FloatArray = candidates[((candidates - reference_vectors) ** 2).sum(axis=(1, 2)).argmin()]
    return nearest
