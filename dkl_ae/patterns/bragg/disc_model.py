"""What the pixels about first-order discs should count, and what they did."""

from __future__ import annotations

import dataclasses
import functools

import numpy

from dkl_ae.patterns.bragg.discs import DiscGeometry, central_radius, disc_profile
from dkl_ae.patterns.bragg.lattice import first_order
from dkl_ae.records import FloatArray, IntArray

EPS_ELECTRONS = 1e-9
"""Electrons a pixel: keeps a logarithm or a weight finite where nothing was counted."""

_RIM_RADII = 0.25
"""Width of the rim about a disc that shows its background, in disc radii."""

_NEAR_NODES = numpy.array([(h, k) for h in range(-2, 3) for k in range(-2, 3) if (h, k) != (0, 0)], numpy.intp)
"""Indices of all discs that can be next to those of the first order, shape (n, 2)."""


@dataclasses.dataclass(frozen=True, eq=False)
class Discs:
    """First-order discs of all lattices. The pixels about each are a row of the arrays of shape (discs, pixels)."""

    lattice: IntArray
    """Shape (discs,): which lattice each belongs to."""
    nodes: FloatArray
    """Shape (discs, 2): their indices."""
    pixel: IntArray
    """Flat index into the pattern."""
    electrons: FloatArray
    y: FloatArray
    x: FloatArray
    """Angles from the centre, mrad."""
    used: FloatArray
    """1 where a pixel shows first-order discs and their background and nothing else, 0 elsewhere."""

    def centres(self, vectors: FloatArray) -> FloatArray:
        """Shape (discs, 2), mrad. vectors: shape (lattices, 2, 2)."""
        centres: FloatArray = numpy.einsum("dj,djk->dk", self.nodes, vectors[self.lattice])
        return centres


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """What the discs should count, arrays of shape (discs, pixels)."""

    y: FloatArray
    x: FloatArray
    distance: FloatArray
    """From the centre of the row's own disc, mrad."""
    profile: FloatArray
    """Part of the pixel its own disc covers."""
    neighbours: FloatArray
    """Electrons of the other discs."""
    expected: FloatArray


def first_order_discs(electrons: FloatArray, geometry: DiscGeometry, vectors: FloatArray) -> Discs:
    """Those with their centre on the detector: of less than half a disc, the edge that is left misleads."""
    orders = [first_order(own) for own in vectors]
    lattice = numpy.repeat(numpy.arange(len(vectors)), [len(nodes) for nodes in orders])
    nodes = numpy.concatenate(orders).astype(numpy.float64)
    centres = numpy.einsum("dj,djk->dk", nodes, vectors[lattice])
    middle = numpy.rint(centres / geometry.mrad_per_pixel + geometry.centre).astype(numpy.intp)
    on_detector = ((middle >= 0) & (middle < geometry.shape)).all(axis=1)
    lattice, nodes, centres, middle = (array[on_detector] for array in (lattice, nodes, centres, middle))
    offsets = _box(geometry)
    row, column = middle[:, :1] + offsets[0], middle[:, 1:] + offsets[1]
    inside = (row >= 0) & (row < geometry.shape[0]) & (column >= 0) & (column < geometry.shape[1])
    pixel = numpy.where(inside, row * geometry.shape[1] + column, 0)
    counts = electrons.ravel()[pixel]
    y = (row - geometry.centre[0]) * geometry.mrad_per_pixel[0]
    x = (column - geometry.centre[1]) * geometry.mrad_per_pixel[1]
    # Discs of higher order may show or not: nothing is asked of their pixels.
    used = inside & (y**2 + x**2 > central_radius(geometry) ** 2) & numpy.isfinite(counts)
    reach = 1.1 * geometry.radius_mrad + 0.5 * max(geometry.mrad_per_pixel)
    others = _higher_order(vectors)
    for disc, centre in enumerate(centres):
        apart = numpy.hypot(others[:, 0] - centre[0], others[:, 1] - centre[1])
        for other in others[apart < 2.5 * reach]:
            used[disc] &= (y[disc] - other[0]) ** 2 + (x[disc] - other[1]) ** 2 > reach**2
    return Discs(lattice, nodes, pixel, numpy.where(used, counts, 0), y, x, used.astype(numpy.float64))


def _higher_order(vectors: FloatArray) -> FloatArray:
    """Positions of the discs of higher order of each lattice, shape (n, 2), mrad."""
    positions = []
    for own in vectors:
        first = first_order(own)
        higher = (_NEAR_NODES[:, numpy.newaxis] != first).any(axis=2).all(axis=1)
        positions.append(_NEAR_NODES[higher] @ own)
    return numpy.concatenate(positions)


@functools.lru_cache(maxsize=4)
def _box(geometry: DiscGeometry) -> IntArray:
    """Row and column, from that of its centre, of the pixels of a disc and its rim: shape (2, pixels)."""
    reach = (1 + _RIM_RADII) * geometry.radius_mrad + max(geometry.mrad_per_pixel)
    half = [int(reach / pixel) + 1 for pixel in geometry.mrad_per_pixel]
    offsets = numpy.mgrid[-half[0] : half[0] + 1, -half[1] : half[1] + 1].reshape(2, -1)
    y, x = offsets * numpy.array(geometry.mrad_per_pixel)[:, numpy.newaxis]
    within: IntArray = offsets[:, y**2 + x**2 <= reach**2]
    return within


def start_levels(discs: Discs, geometry: DiscGeometry, vectors: FloatArray) -> FloatArray:
    """Electrons a pixel of each disc and of its background, shape (discs, 2)."""
    centres = discs.centres(vectors)
    distance = numpy.hypot(discs.y - centres[:, :1], discs.x - centres[:, 1:])
    disc = (distance <= geometry.radius_mrad) * discs.used
    mean = (discs.electrons * disc).sum(axis=1) / numpy.maximum(disc.sum(axis=1), 1)
    return numpy.stack([numpy.maximum(mean, EPS_ELECTRONS), numpy.zeros_like(mean)], axis=1)


def model_of(
    discs: Discs, geometry: DiscGeometry, vectors: FloatArray, levels: FloatArray, edge_mrad: FloatArray
) -> Model:
    centres = discs.centres(vectors)
    y, x = discs.y - centres[:, :1], discs.x - centres[:, 1:]
    distance = numpy.maximum(numpy.sqrt(y**2 + x**2), EPS_ELECTRONS)
    profile = disc_profile(distance, geometry.radius_mrad, edge_mrad[:, numpy.newaxis])
    own = levels[:, :1] * profile
    # Each pixel's sum over all discs, so that discs that touch share it.
    total = numpy.bincount(discs.pixel.ravel(), (own * discs.used).ravel(), geometry.shape[0] * geometry.shape[1])
    neighbours = numpy.maximum(total[discs.pixel] - own, 0)
    return Model(y, x, distance, profile, neighbours, own + neighbours + levels[:, 1:])
