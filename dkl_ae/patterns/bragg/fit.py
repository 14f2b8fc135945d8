"""Lattice vectors fitted to the counts about the first-order discs."""

from __future__ import annotations

import dataclasses
import functools

import numpy
import numpy.typing

from dkl_ae.patterns.bragg.discs import (
    MIN_BACKGROUND_ELECTRONS,
    DiscGeometry,
    central_radius,
    disc_profile,
    significance,
)
from dkl_ae.patterns.bragg.lattice import first_order
from dkl_ae.records import BoolArray, FloatArray, IntArray

_FOUND_SIGMAS = 3.0
"""Standard deviations above the background at which a disc whose place is known counts as found."""

_RIM_RADII = 0.25
"""Width of the rim about a disc that shows its background, in disc radii."""

_WEIGHT_FLOOR = 0.5
"""Part of the disc's electrons a pixel that is added to the variance in every weight. At an edge over no background
at all, one stray electron would outweigh the disc; and a real edge is not the model's: more bias for less scatter on
paper only."""

_STRAY_FRACTION = 0.1
"""Part of the disc's electrons a pixel that may be anywhere, where discs and halo are compared: one electron outside
the discs does not disprove them."""

_EPS_ELECTRONS = 1e-9
"""Electrons a pixel: keeps a logarithm or a weight finite where nothing was counted."""

_NEAR_NODES = numpy.array([(h, k) for h in range(-2, 3) for k in range(-2, 3) if (h, k) != (0, 0)], numpy.intp)
"""Indices of all discs that can be next to those of the first order, shape (n, 2)."""

_MAX_STEPS = 10
_CONVERGED_SIGMAS = 0.2
"""Largest step, in standard deviations, after which no other follows."""


@dataclasses.dataclass(frozen=True, eq=False)
class FittedLattice:
    vectors: FloatArray
    """Shape (2, 2): each row a reciprocal vector (y, x), mrad."""
    covariance: FloatArray
    """Shape (4, 4), of the vectors row by row, mrad^2."""
    found: int
    """First-order discs that stand above their background."""
    electrons: float
    """In its discs."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Discs:
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
class _Model:
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


def fit_lattices(
    electrons: FloatArray, geometry: DiscGeometry, read_noise_e: float, starts: list[FloatArray]
) -> tuple[list[FittedLattice], float]:
    """Fit the vectors of each lattice by Fisher scoring; also the log likelihood by which discs are better than a halo.

    Discs are uniform, with electrons and a background of their own, over pixels that integrate; those of a lattice
    share its two vectors. A step is the efficient score over its information, with the nuisance parameters of each
    disc projected out (van der Vaart, Asymptotic Statistics, 1998, 25.4). The edges carry the position, and can be
    no sharper than it is known: their ramp is widened by the uncertainty of the step before, so that the fit starts
    with electrons half a radius away and ends at the pixel.

    The covariance is that of the weighted score (the sandwich), as the weights are not quite the inverse variance.

    electrons: shape (ky, kx). starts: reduced vectors of each lattice, (2, 2) mrad.
    """
    vectors = numpy.stack(starts)
    discs = _first_order_discs(electrons, geometry, vectors)
    levels = _start_levels(discs, geometry, vectors)
    uncertainty = numpy.full(len(discs.nodes), geometry.radius_mrad / numpy.sqrt(12))
    pixel = max(geometry.mrad_per_pixel)
    for _ in range(_MAX_STEPS):
        edge = numpy.hypot(pixel, numpy.sqrt(12) * uncertainty)
        model = _model(discs, geometry, vectors, levels, edge)
        step, covariance, levels = _step(discs, model, levels, edge, read_noise_e, len(vectors))
        vectors = vectors + step
        uncertainty = _position_sigma(discs, covariance)
        sigma = numpy.sqrt(numpy.diagonal(covariance, axis1=1, axis2=2))
        if (numpy.abs(step.reshape(-1, 4)) <= _CONVERGED_SIGMAS * sigma).all():
            break
    model = _model(discs, geometry, vectors, levels, numpy.full(len(edge), pixel))
    found = _found(discs, model, geometry, read_noise_e)
    area = numpy.pi * geometry.radius_mrad**2 / numpy.prod(geometry.mrad_per_pixel)
    lattices = [
        FittedLattice(
            vectors[number],
            covariance[number],
            int(numpy.count_nonzero(found[discs.lattice == number])),
            float(levels[discs.lattice == number, 0].sum() * area),
        )
        for number in range(len(vectors))
    ]
    return lattices, _evidence(electrons, discs, model, levels, geometry, read_noise_e)


def _first_order_discs(electrons: FloatArray, geometry: DiscGeometry, vectors: FloatArray) -> _Discs:
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
    return _Discs(lattice, nodes, pixel, numpy.where(used, counts, 0), y, x, used.astype(numpy.float64))


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


def _start_levels(discs: _Discs, geometry: DiscGeometry, vectors: FloatArray) -> FloatArray:
    """Electrons a pixel of each disc and of its background, shape (discs, 2)."""
    centres = discs.centres(vectors)
    distance = numpy.hypot(discs.y - centres[:, :1], discs.x - centres[:, 1:])
    disc = (distance <= geometry.radius_mrad) * discs.used
    mean = (discs.electrons * disc).sum(axis=1) / numpy.maximum(disc.sum(axis=1), 1)
    return numpy.stack([numpy.maximum(mean, _EPS_ELECTRONS), numpy.zeros_like(mean)], axis=1)


def _model(
    discs: _Discs, geometry: DiscGeometry, vectors: FloatArray, levels: FloatArray, edge_mrad: FloatArray
) -> _Model:
    centres = discs.centres(vectors)
    y, x = discs.y - centres[:, :1], discs.x - centres[:, 1:]
    distance = numpy.maximum(numpy.sqrt(y**2 + x**2), _EPS_ELECTRONS)
    profile = disc_profile(distance, geometry.radius_mrad, edge_mrad[:, numpy.newaxis])
    own = levels[:, :1] * profile
    # Each pixel's sum over all discs, so that discs that touch share it.
    total = numpy.bincount(discs.pixel.ravel(), (own * discs.used).ravel(), geometry.shape[0] * geometry.shape[1])
    neighbours = numpy.maximum(total[discs.pixel] - own, 0)
    return _Model(y, x, distance, profile, neighbours, own + neighbours + levels[:, 1:])


def _step(
    discs: _Discs, model: _Model, levels: FloatArray, edge_mrad: FloatArray, read_noise_e: float, lattices: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Change of the vectors (lattices, 2, 2), their covariance (lattices, 4, 4), and the discs' new levels."""
    score, information, noise = _scores(discs, model, levels, edge_mrad, read_noise_e)
    # The score of the position less what the disc's own levels explain of it.
    nuisance = _inverse(information[:, 2:, 2:])
    explained = -information[:, :2, 2:] @ nuisance
    efficient = numpy.concatenate([numpy.broadcast_to(numpy.eye(2), explained.shape), explained], axis=2)
    design = numpy.einsum("di,jk->djik", discs.nodes, numpy.eye(2)).reshape(-1, 2, 4)
    onto = design.transpose(0, 2, 1) @ efficient
    step, covariance = numpy.zeros((lattices, 4)), numpy.zeros((lattices, 4, 4))
    for number in range(lattices):
        which = discs.lattice == number
        to_vectors = onto[which]
        from_vectors = to_vectors.transpose(0, 2, 1)
        inverse = _inverse((to_vectors @ information[which] @ from_vectors).sum(axis=0))
        step[number] = inverse @ (to_vectors @ score[which]).sum(axis=0)[:, 0]
        covariance[number] = inverse @ (to_vectors @ noise[which] @ from_vectors).sum(axis=0) @ inverse
    # Beyond the ramp the score knows nothing.
    step *= min(1.0, 0.5 * float(edge_mrad.min()) / (float(numpy.abs(step).max()) + _EPS_ELECTRONS))
    moved = design @ step[discs.lattice][..., numpy.newaxis]
    change = nuisance @ (score[:, 2:] - information[:, 2:, :2] @ moved)
    return step.reshape(-1, 2, 2), covariance, numpy.maximum(levels + change[..., 0], [_EPS_ELECTRONS, 0])


def _scores(
    discs: _Discs, model: _Model, levels: FloatArray, edge_mrad: FloatArray, read_noise_e: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of each disc by its y, x, electrons a pixel, and background: the score (discs, 4, 1), its derivative, and its
    covariance from counting noise, both (discs, 4, 4)."""
    amplitude = levels[:, :1]
    variance = model.expected + read_noise_e**2 + _EPS_ELECTRONS
    weight = discs.used / (variance + _WEIGHT_FLOOR * amplitude)
    slope = amplitude / edge_mrad[:, numpy.newaxis] * ((model.profile > 0) & (model.profile < 1)) / model.distance
    derivatives = numpy.empty((len(slope), 4, slope.shape[1]))
    for row, by in enumerate((slope * model.y, slope * model.x, model.profile, numpy.ones(1))):
        derivatives[:, row] = by
    weighted = derivatives * weight[:, numpy.newaxis]
    score = weighted @ (discs.electrons - model.expected)[..., numpy.newaxis]
    information = weighted @ derivatives.transpose(0, 2, 1)
    noise = (weighted * variance[:, numpy.newaxis]) @ weighted.transpose(0, 2, 1)
    return score, information, noise


def _inverse(information: FloatArray) -> FloatArray:
    """Of a matrix that may know nothing of some direction: then large, but finite."""
    known = information + _EPS_ELECTRONS * numpy.eye(information.shape[-1])
    inverse: FloatArray = numpy.linalg.inv(known).astype(numpy.float64, copy=False)
    return inverse


def _position_sigma(discs: _Discs, covariance: FloatArray) -> FloatArray:
    """Uncertainty of each disc's position along one axis, mrad."""
    blocks = covariance[discs.lattice].reshape(-1, 2, 2, 2, 2)
    variance = numpy.einsum("di,dj,dikjk->d", discs.nodes, discs.nodes, blocks) / 2
    sigma: FloatArray = numpy.sqrt(numpy.maximum(variance, 0))
    return sigma


def _found(discs: _Discs, model: _Model, geometry: DiscGeometry, read_noise_e: float) -> BoolArray:
    """Which discs stand above the background of their rims and what their neighbours spill."""
    disc = (model.distance <= geometry.radius_mrad) * discs.used
    rim = (model.distance > geometry.radius_mrad + max(geometry.mrad_per_pixel)) * discs.used
    area = disc.sum(axis=1)
    density = ((discs.electrons - model.neighbours) * rim).sum(axis=1) / numpy.maximum(rim.sum(axis=1), 1)
    background = numpy.maximum(density, 0) * area + (model.neighbours * disc).sum(axis=1)
    variance = area * read_noise_e**2
    standing = significance(
        numpy.maximum((discs.electrons * disc).sum(axis=1) + variance, 0),
        numpy.maximum(background, MIN_BACKGROUND_ELECTRONS) + variance,
    )
    found: BoolArray = standing >= _FOUND_SIGMAS
    return found


def _evidence(
    electrons: FloatArray, discs: _Discs, model: _Model, levels: FloatArray, geometry: DiscGeometry, read_noise_e: float
) -> float:
    """Log likelihood by which discs explain the counts better than a halo, the mean of each ring about the centre.

    An amorphous halo has more electrons than the background too, but the same all round.
    """
    ring, pixels = _rings(geometry)
    halo = numpy.bincount(ring, numpy.nan_to_num(electrons.ravel()), len(pixels)) / pixels
    times = numpy.bincount(discs.pixel.ravel(), discs.used.ravel(), ring.size)
    once = discs.used / numpy.maximum(times[discs.pixel], 1)
    least = _STRAY_FRACTION * levels[:, :1] + read_noise_e**2 + _EPS_ELECTRONS
    as_discs, as_halo = model.expected + least, numpy.maximum(halo[ring[discs.pixel]], 0) + least
    counted = numpy.maximum(discs.electrons + read_noise_e**2, 0)
    return float((once * (counted * numpy.log(as_discs / as_halo) - as_discs + as_halo)).sum())


@functools.lru_cache(maxsize=4)
def _rings(geometry: DiscGeometry) -> tuple[IntArray, FloatArray]:
    """Ring about the centre of each pixel, flat, and how many pixels each ring has."""
    ring = (
        (numpy.hypot(geometry.y[:, numpy.newaxis], geometry.x) / max(geometry.mrad_per_pixel))
        .astype(numpy.intp)
        .ravel()
    )
    return ring, numpy.maximum(numpy.bincount(ring), 1).astype(numpy.float64)
