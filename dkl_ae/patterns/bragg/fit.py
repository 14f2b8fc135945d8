"""Lattice vectors fitted to the counts about the first-order discs."""

from __future__ import annotations

import dataclasses

import numpy

from dkl_ae.patterns.bragg.disc_model import EPS_ELECTRONS, Discs, first_order_discs, model_of, start_levels
from dkl_ae.patterns.bragg.discs import DiscGeometry
from dkl_ae.patterns.bragg.evidence import evidence_of, found_discs
from dkl_ae.patterns.bragg.scores import change_of_levels, scores_of, step_of_vectors, with_misfit
from dkl_ae.records import FloatArray, IntArray

_MAX_STEPS = 10
_CONVERGED_SIGMAS = 0.2
"""Largest step, in standard deviations, after which no other follows."""


@dataclasses.dataclass(frozen=True, eq=False)
class FittedLattice:
    vectors: FloatArray
    """Shape (2, 2): each row a reciprocal vector (y, x), mrad."""
    covariance: FloatArray
    """Shape (4, 4), of the vectors row by row, mrad^2."""
    found: IntArray
    """Indices of the first-order discs that stand above their background, shape (n, 2)."""
    electrons: float
    """In its discs."""
    background: float
    """Under its discs, as a part of these electrons."""


def fit_lattices(
    electrons: FloatArray, geometry: DiscGeometry, read_noise_e: float, starts: list[FloatArray]
) -> tuple[list[FittedLattice], float]:
    """Fit the vectors of each lattice by Fisher scoring; also the log likelihood by which discs are better than a halo.

    Discs are uniform, with electrons and a background of their own, over pixels that integrate; those of a lattice
    share its two vectors. A step is the efficient score over its information, with the nuisance parameters of each
    disc projected out (van der Vaart, Asymptotic Statistics, 1998, 25.4). The edges carry the position, and can be
    no sharper than it is known: their ramp is widened by the uncertainty of the step before, so that the fit starts
    with electrons half a radius away and ends at the pixel.

    The covariance is that of the weighted score (the sandwich), as the weights are not quite the inverse variance; and
    wider where discs are not where their lattice has them, or not uniform (see `with_misfit`).

    electrons: shape (ky, kx). starts: reduced vectors of each lattice, (2, 2) mrad.
    """
    vectors = numpy.stack(starts)
    discs = first_order_discs(electrons, geometry, vectors)
    levels = start_levels(discs, geometry, vectors)
    uncertainty = numpy.full(len(discs.nodes), geometry.radius_mrad / numpy.sqrt(12))
    pixel = max(geometry.mrad_per_pixel)
    for _ in range(_MAX_STEPS):
        edge = numpy.hypot(pixel, numpy.sqrt(12) * uncertainty)
        model = model_of(discs, geometry, vectors, levels, edge)
        scores = scores_of(discs, model, levels, edge, read_noise_e)
        whole_step, covariance = step_of_vectors(discs, scores)
        # Beyond the ramp the score knows nothing.
        step = whole_step * min(1.0, 0.5 * float(edge.min()) / (float(numpy.abs(whole_step).max()) + EPS_ELECTRONS))
        vectors = vectors + step.reshape(-1, 2, 2)
        before, levels = levels, numpy.maximum(levels + change_of_levels(discs, scores, step), [EPS_ELECTRONS, 0])
        uncertainty = _position_sigma(discs, covariance)
        sigma = numpy.sqrt(numpy.diagonal(covariance, axis1=1, axis2=2))
        if (numpy.abs(step) <= _CONVERGED_SIGMAS * sigma).all():
            break
    tilted = scores_of(discs, model, before, edge, read_noise_e, tilted=True)
    covariance = with_misfit(discs, scores, tilted, whole_step, covariance)
    model = model_of(discs, geometry, vectors, levels, numpy.full(len(edge), pixel))
    found = found_discs(discs, model, geometry, read_noise_e)
    area = numpy.pi * geometry.radius_mrad**2 / numpy.prod(geometry.mrad_per_pixel)
    lattices = []
    for number in range(len(vectors)):
        which = discs.lattice == number
        in_discs, under = levels[which].sum(axis=0).tolist()
        nodes = discs.nodes[found & which].astype(numpy.intp)
        lattices.append(FittedLattice(vectors[number], covariance[number], nodes, in_discs * area, under / in_discs))
    return lattices, evidence_of(electrons, discs, model, levels, geometry, read_noise_e)


def _position_sigma(discs: Discs, covariance: FloatArray) -> FloatArray:
    """Uncertainty of each disc's position along one axis, mrad."""
    blocks = covariance[discs.lattice].reshape(-1, 2, 2, 2, 2)
    variance = numpy.einsum("di,dj,dikjk->d", discs.nodes, discs.nodes, blocks) / 2
    sigma: FloatArray = numpy.sqrt(numpy.maximum(variance, 0))
    return sigma
