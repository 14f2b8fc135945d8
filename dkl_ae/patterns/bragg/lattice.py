"""Which lattice the discs of a diffraction pattern belong to, and its first-order discs."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy
import numpy.typing

from dkl_ae.patterns.bragg.discs import MIN_DISTANCE_RADII, DiscGeometry
from dkl_ae.records import BoolArray, FloatArray, IntArray

MIN_SHARED_DISCS = 3
"""Discs of first order that must be found to try a lattice: two are any two spots. The fit asks for more."""

_MAX_INNER_DISCS = 20
"""Discs among which the shortest vectors are sought: two layers of six, and some more."""

_NODE_TOLERANCE_RADII = 0.5
"""How far from its lattice node a disc may be found, in disc radii, beside a pixel: a disc of 14 electrons is found so
well."""

_MAX_LENGTH_RATIO = 1.2
"""Longest first-order vector over the mean of the two shortest: between 1 for the third pair of a hexagonal lattice
and 1.41 for the second order of a square one."""

_MAX_COSINE = 0.62
"""Of the angle between two shortest vectors, which is 60 degrees or more: a little less, as they are not exact."""


def reduced(vectors: FloatArray) -> FloatArray:
    """The two shortest vectors of the same lattice, 60 to 90 degrees from each other (Gauss' reduction)."""
    shorter, longer = sorted(vectors, key=lambda vector: float(vector @ vector))
    while True:
        longer = longer - round(float(longer @ shorter) / float(shorter @ shorter)) * shorter
        if longer @ longer >= shorter @ shorter:
            break
        shorter, longer = longer, shorter
    return numpy.stack([shorter, longer if longer @ shorter >= 0 else -longer])


def first_order(vectors: FloatArray) -> IntArray:
    """Indices of the first-order discs of a lattice of reduced vectors, shape (4 or 6, 2).

    The two shortest pairs, and the third where it is as short as in a hexagonal lattice under strain.
    """
    pairs = [(1, 0), (0, 1)]
    third = vectors[1] - vectors[0]
    if third @ third < _MAX_LENGTH_RATIO**2 * (vectors**2).sum() / 2:
        pairs.append((-1, 1))
    return numpy.array([(sign * h, sign * k) for h, k in pairs for sign in (1, -1)], numpy.intp)


def symmetry_order(vectors: FloatArray) -> int:
    """Of how many parts of a full turn each takes a lattice of reduced vectors to itself, as far as strain is not
    mistaken for another lattice: lengths within 10 % and angles within 5 degrees."""
    lengths = numpy.hypot(vectors[:, 0], vectors[:, 1])
    angle = numpy.degrees(numpy.arccos(float(vectors[0] @ vectors[1]) / lengths.prod()))
    if lengths[1] > 1.1 * lengths[0]:
        return 2
    return 6 if abs(angle - 60) < 5 else 4 if abs(angle - 90) < 5 else 2


def candidate_lattices(discs: FloatArray, geometry: DiscGeometry) -> Iterator[list[FloatArray]]:
    """Reduced vectors of a lattice that may explain the discs, and of a second layer of it; the best candidate first.

    discs: positions (y, x), shape (n, 2) mrad, the innermost first.
    """
    tolerance = near_node(geometry, _NODE_TOLERANCE_RADII)
    tried: list[FloatArray] = []
    for vectors in _candidates(discs, tolerance):
        nodes = first_order(vectors) @ vectors
        if is_too_short(vectors, geometry) or any((_nearest_node(nodes, t) < tolerance).all() for t in tried):
            continue
        tried.append(nodes)
        second = _turned(vectors, discs[~explained(discs, vectors, tolerance)], tolerance)
        yield [vectors] if second is None else [vectors, second]


def is_too_short(vectors: FloatArray, geometry: DiscGeometry) -> bool:
    """Whether first-order discs would be where none is sought."""
    return bool((vectors**2).sum(axis=1).min() < (MIN_DISTANCE_RADII * geometry.radius_mrad) ** 2)


def near_node(geometry: DiscGeometry, radii: float) -> float:
    """Distance in mrad from a node that is none: so many disc radii, and a pixel."""
    return math.hypot(radii * geometry.radius_mrad, max(geometry.mrad_per_pixel))


def explained(discs: FloatArray, vectors: FloatArray, tolerance_mrad: float) -> BoolArray:
    """Which discs are at nodes of the lattice."""
    misses = discs - numpy.rint(discs @ numpy.linalg.inv(vectors)) @ vectors
    near: BoolArray = (misses**2).sum(axis=1) < tolerance_mrad**2
    return near


def lines(indices: IntArray) -> int:
    """On how many lines through the centre these nodes lie. indices: shape (n, 2), none of them the centre."""
    steps = indices // numpy.gcd(indices[:, :1], indices[:, 1:])
    return len({max((h, k), (-h, -k)) for h, k in steps.tolist()})


def _candidates(discs: FloatArray, tolerance_mrad: float) -> Iterator[FloatArray]:
    """Tries every two of the innermost discs as the shortest vectors.

    Two discs of different layers are not the shortest vectors of any lattice, or explain fewer of the other discs.
    A lattice of higher order leaves the discs inside it unexplained.
    """
    pairs = _possible_pairs(discs[:_MAX_INNER_DISCS])
    indices = numpy.rint(discs @ numpy.linalg.inv(pairs))
    misses = discs - indices @ pairs
    hits = (misses**2).sum(axis=-1) < tolerance_mrad**2
    shortest = (pairs**2).sum(axis=-1).min(axis=1)
    inside = (discs**2).sum(axis=-1) < 0.8**2 * shortest[:, numpy.newaxis]
    score = (hits & ~inside).sum(axis=1) - inside.sum(axis=1)
    for best in numpy.argsort(-score, kind="stable")[: numpy.count_nonzero(score > 0)]:
        on_nodes = hits[best]
        vectors = reduced(_least_squares(indices[best][on_nodes], discs[on_nodes]))
        shared = _nearest_node(first_order(vectors) @ vectors, discs) < tolerance_mrad
        if numpy.count_nonzero(shared) >= MIN_SHARED_DISCS:
            yield vectors


def _possible_pairs(positions: FloatArray) -> FloatArray:
    """Every two positions that can be the shortest vectors of a lattice, shape (pairs, 2, 2)."""
    first, second = numpy.triu_indices(len(positions), 1)
    a, b = positions[first], positions[second]
    product = (a * b).sum(axis=1)
    b = numpy.where(product[:, numpy.newaxis] < 0, -b, b)
    squares = (a**2).sum(axis=1), (b**2).sum(axis=1)
    possible = numpy.abs(product) < _MAX_COSINE * numpy.minimum(*squares)
    return numpy.stack([a[possible], b[possible]], axis=1)


def _turned(vectors: FloatArray, discs: FloatArray, tolerance_mrad: float) -> FloatArray | None:
    """The vectors turned to where their first-order nodes meet most of the discs, or None where these are too few."""
    nodes = first_order(vectors)
    reach = float(numpy.hypot(*(nodes @ vectors).T).max())
    angles = numpy.arange(0, math.pi, 0.4 * tolerance_mrad / reach)
    turns = numpy.stack([numpy.cos(angles), numpy.sin(angles), -numpy.sin(angles), numpy.cos(angles)], axis=1)
    turned = vectors @ turns.reshape(-1, 2, 2)
    offsets = (nodes @ turned)[:, :, numpy.newaxis] - discs
    closeness = numpy.maximum(1 - (offsets**2).sum(axis=-1) / tolerance_mrad**2, 0).max(axis=2, initial=0)
    best = int(closeness.sum(axis=1).argmax())
    found: FloatArray = turned[best]
    return found if numpy.count_nonzero(closeness[best]) >= MIN_SHARED_DISCS else None


def _nearest_node(nodes: FloatArray, positions: FloatArray) -> FloatArray:
    """Distance of each position from the nearest node."""
    offsets = positions[:, numpy.newaxis] - nodes
    nearest: FloatArray = numpy.hypot(offsets[..., 0], offsets[..., 1]).min(axis=1)
    return nearest


def _least_squares(indices: FloatArray, positions: FloatArray) -> FloatArray:
    solution: FloatArray = numpy.linalg.lstsq(indices, positions, rcond=None)[0].astype(numpy.float64, copy=False)
    return solution
