"""Steps of lattice vectors from the counts about their discs, and how far these are to be believed."""

from __future__ import annotations

import dataclasses

import numpy

from dkl_ae.patterns.bragg.disc_model import EPS_ELECTRONS, Discs, Model
from dkl_ae.records import FloatArray

_WEIGHT_FLOOR = 0.5
"""Part of the disc's electrons a pixel that is added to the variance in every weight. At an edge over no background
at all, one stray electron would outweigh the disc; and a real edge is not the model's: more bias for less scatter on
paper only."""


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """Of each disc by its n parameters."""

    score: FloatArray
    """Shape (discs, n, 1)."""
    information: FloatArray
    """Its derivative, shape (discs, n, n)."""
    noise: FloatArray
    """Its covariance from counting noise, shape (discs, n, n)."""


def scores_of(
    discs: Discs, model: Model, levels: FloatArray, edge_mrad: FloatArray, read_noise_e: float, *, tilted: bool = False
) -> Scores:
    """Of each disc by its y, x, electrons a pixel, and background; where tilted, by two more: how its electrons grow
    along y and x."""
    amplitude = levels[:, :1]
    variance = model.expected + read_noise_e**2 + EPS_ELECTRONS
    weight = discs.used / (variance + _WEIGHT_FLOOR * amplitude)
    slope = amplitude / edge_mrad[:, numpy.newaxis] * ((model.profile > 0) & (model.profile < 1)) / model.distance
    rows = [slope * model.y, slope * model.x, model.profile, numpy.ones(1)]
    if tilted:
        rows += [model.profile * model.y, model.profile * model.x]
    derivatives = numpy.empty((len(slope), len(rows), slope.shape[1]))
    for row, by in enumerate(rows):
        derivatives[:, row] = by
    weighted = derivatives * weight[:, numpy.newaxis]
    return Scores(
        score=weighted @ (discs.electrons - model.expected)[..., numpy.newaxis],
        information=weighted @ derivatives.transpose(0, 2, 1),
        noise=(weighted * variance[:, numpy.newaxis]) @ weighted.transpose(0, 2, 1),
    )


def step_of_vectors(discs: Discs, scores: Scores) -> tuple[FloatArray, FloatArray]:
    """Step of the vectors of each lattice (lattices, 4), and their covariance (lattices, 4, 4)."""
    lattices = int(discs.lattice.max()) + 1
    onto = _by_vectors(discs).transpose(0, 2, 1) @ _efficient(scores)
    step, covariance = numpy.zeros((lattices, 4)), numpy.zeros((lattices, 4, 4))
    for number in range(lattices):
        which = discs.lattice == number
        to_vectors = onto[which]
        from_vectors = to_vectors.transpose(0, 2, 1)
        inverse = _inverse((to_vectors @ scores.information[which] @ from_vectors).sum(axis=0))
        step[number] = inverse @ (to_vectors @ scores.score[which]).sum(axis=0)[:, 0]
        covariance[number] = inverse @ (to_vectors @ scores.noise[which] @ from_vectors).sum(axis=0) @ inverse
    return step, covariance


def change_of_levels(discs: Discs, scores: Scores, step: FloatArray) -> FloatArray:
    """What the discs' levels change by with a step of the vectors, shape (discs, 2)."""
    moved = _moved(discs, step)
    change = _inverse(scores.information[:, 2:, 2:]) @ (scores.score[:, 2:] - scores.information[:, 2:, :2] @ moved)
    of_each: FloatArray = change[..., 0]
    return of_each


def with_misfit(discs: Discs, scores: Scores, tilted: Scores, step: FloatArray, covariance: FloatArray) -> FloatArray:
    """The covariance of the vectors, wider by what shows that the model is not the pattern.

    Discs may lie off the nodes of their lattice by more than counting explains: then all errors are larger in
    proportion. And they may be brighter on one side, as at the edge of a crystal or where the strain changes: what
    vectors differ by when that is allowed for, beyond what counting explains (Hausman, Econometrica 46 (1978) 1251),
    is an error of theirs.
    """
    other, other_covariance = step_of_vectors(discs, tilted)
    efficient = _efficient(scores)
    left = efficient @ scores.score - (efficient @ scores.information)[:, :, :2] @ _moved(discs, step)
    noise = efficient @ scores.noise @ efficient.transpose(0, 2, 1)
    off_nodes = (left.transpose(0, 2, 1) @ _inverse(noise) @ left)[:, 0, 0]
    wider = covariance.copy()
    for number, difference in enumerate(other - step):
        which = discs.lattice == number
        freedom = 2 * numpy.count_nonzero(which) - covariance.shape[-1]
        wider[number] *= max(1.0, off_nodes[which].sum() / max(freedom, 1))
        explained = _inverse(other_covariance[number] - covariance[number])
        chance = len(difference) / max(float(difference @ explained @ difference), EPS_ELECTRONS)
        wider[number] += max(0.0, 1 - chance) * numpy.outer(difference, difference)
    return wider


def _by_vectors(discs: Discs) -> FloatArray:
    """Derivative of each disc's position by the vectors of its lattice, shape (discs, 2, 4)."""
    derivative: FloatArray = numpy.einsum("di,jk->djik", discs.nodes, numpy.eye(2)).reshape(-1, 2, 4)
    return derivative


def _moved(discs: Discs, step: FloatArray) -> FloatArray:
    """How far a step of the vectors moves each disc, shape (discs, 2, 1)."""
    moved: FloatArray = _by_vectors(discs) @ step[discs.lattice][..., numpy.newaxis]
    return moved


def _efficient(scores: Scores) -> FloatArray:
    """What makes of a score that of the position less what the disc's other parameters explain of it, shape
    (discs, 2, n)."""
    explained = -scores.information[:, :2, 2:] @ _inverse(scores.information[:, 2:, 2:])
    return numpy.concatenate([numpy.broadcast_to(numpy.eye(2), (len(explained), 2, 2)), explained], axis=2)


def _inverse(information: FloatArray) -> FloatArray:
    """Of a matrix that may know nothing of some direction: then large, but finite."""
    known = information + EPS_ELECTRONS * numpy.eye(information.shape[-1])
    inverse: FloatArray = numpy.linalg.inv(known).astype(numpy.float64, copy=False)
    return inverse
