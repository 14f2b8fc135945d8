"""Readings that the model and all other readings contradict: how far they are doubted.

A reading is contradicted when it is far from what all others let one expect there, and when they know the place, or
when there is more evidence that it is false than that it is true: where little is known a reading is news, as that of a
dopant is, and is believed. It is doubted by as much as it is off, so that others outweigh it; what confirms it later
ends the doubt.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy
import torch

from dkl_ae.records import BoolArray, FloatArray

CONTRADICTED = 4.0
"""A reading farther off than this many deviations is contradicted, where the place is known."""
CONFIRMED = 2.0
"""One that was contradicted and is nearer than this is believed again."""
KNOWN = 0.5
"""A place is known when the others explain at least this share of its prior variance."""
OUTLYING = 4.0
"""Readings farther from the bulk than this many deviations are tried without."""
MOST_OUTLYING = 0.4
"""At most this share of the readings is tried without."""
_TREND = 0.4
"""By how much the variance of readings grows with the squared distance from the mean patch: the modes of the kernel's
priors."""
_DEVIATION_OF_MEDIAN = 1.4826
"""One standard deviation of a normal distribution, in median absolute deviations."""
_FALSE = 0.05
"""Share of readings that may be false, as far as is known before."""
MOST_DOUBTED = 0.25
"""At most this share of the readings is doubted: of more it is not clear who contradicts whom."""


@dataclasses.dataclass(frozen=True, eq=False)
class LeftOut:
    """Each reading beside what all others let one expect of it, in the model's units; each of shape (n,)."""

    residuals: torch.Tensor
    """The reading less what is expected."""
    variances: torch.Tensor
    """Of the residual; without the doubt of the reading itself."""
    noise: torch.Tensor
    """Part of the variance: of the reading itself, without its doubt."""
    prior: torch.Tensor
    """Variance at the place before anything was measured."""

    doubts: torch.Tensor
    """Variance by which each is doubted."""

    @property
    def deviations(self) -> torch.Tensor:
        """How far off each is."""
        return self.residuals.abs() / self.variances.clamp_min(1e-300).sqrt()

    @property
    def unexpected(self) -> torch.Tensor:
        """Which are far from what the others let one expect, whether they know the place or not."""
        return self.deviations > CONTRADICTED

    outlying: torch.Tensor
    """Which the model was not trained on, for it was more likely that they are false."""

    @property
    def to_doubt(self) -> torch.Tensor:
        """Which are contradicted and not doubted yet."""
        known = 1 - (self.variances - self.noise) / self.prior
        return self.unexpected & ((known > KNOWN) | self.outlying) & (self.doubts == 0)

    @property
    def to_believe(self) -> torch.Tensor:
        """Which are doubted and confirmed."""
        return (self.deviations < CONFIRMED) & (self.doubts > 0)

    @property
    def is_settled(self) -> bool:
        """Whether the doubts are those that follow from this."""
        return not bool((self.to_doubt | self.to_believe).any())


def outlying(values: FloatArray, sigmas: FloatArray, squares: FloatArray, *, centred: bool) -> BoolArray:
    """Which readings are far from the bulk of them although their patches are not: they might be false, and are to be
    tried without. A rare structure's reading may be as far off as its patch is.

    They are those beyond the widest gap, of those gaps beyond which all are far from what is usual among the others:
    several false readings would hide each other if they all counted.

    squares: squared distance of each patch from the mean patch, 1 in the mean of all.
    centred: whether readings have a centre other than zero.
    """
    centre = middle_of_shortest_half(values) if centred else 0.0
    off = numpy.abs(values - centre) / numpy.sqrt((1 + _TREND * squares) / (1 + _TREND))
    farthest = numpy.argsort(-off, kind="stable")
    ordered = off[farthest]
    error = numpy.median(sigmas) if values.size else 0.0
    gaps = {
        count: ordered[count - 1] - ordered[count]
        for count in range(1, int(MOST_OUTLYING * values.size) + 1)
        if ordered[count - 1] > OUTLYING * numpy.hypot(_DEVIATION_OF_MEDIAN * numpy.median(ordered[count:]), error)
    }
    are_beyond = numpy.zeros(values.size, numpy.bool_)
    if gaps:
        are_beyond[farthest[: max(gaps, key=lambda count: gaps[count])]] = True
    return are_beyond


def middle_of_shortest_half(values: FloatArray) -> float:
    """A centre that readings on one side of the others do not move (the shorth); 0 of none."""
    if not values.size:
        return 0.0
    ordered = numpy.sort(values)
    half = values.size // 2 + 1
    start = int(numpy.argmin(ordered[half - 1 :] - ordered[: values.size - half + 1]))
    return float(numpy.mean(ordered[start : start + half]))


def cost_of_leaving_out(values: FloatArray, centre: float) -> float:
    """Minus the logarithm of the probability density of readings that are false.

    Of a false reading nothing is known, not even its size: its density falls as one over its distance from the others,
    over a million-fold range.
    """
    distances = numpy.maximum(numpy.abs(values - centre), 1e-300)
    return float(numpy.sum(numpy.log(2 * math.log(1e6) * distances) - math.log(_FALSE)))


def left_out_of(
    precision: torch.Tensor,
    weighted: torch.Tensor,
    doubts: torch.Tensor,
    outlying: torch.Tensor,
    noise: torch.Tensor,
    prior: torch.Tensor,
) -> LeftOut:
    """By Rasmussen & Williams, equation 5.12.

    precision: the diagonal of the inverse of the readings' covariance; weighted: that inverse times the readings less
    their prior mean; doubts: variances that are part of that covariance, beside the noise; outlying: see `LeftOut`.
    """
    return LeftOut(weighted / precision, 1 / precision - doubts, noise, prior, doubts, outlying)


@torch.no_grad()
def doubts_of(left_out: Callable[[torch.Tensor], LeftOut], doubts: torch.Tensor, first: int) -> torch.Tensor:
    """Variances by which each reading is doubted, shape (n,), in the model's units.

    The one that is farthest off is doubted first, for it makes its neighbours look false.

    left_out: what all others let one expect of each reading, by these variances.
    doubts: those of before, shape (n,).
    first: the first reading that may be doubted.
    """
    doubts = doubts.clone()
    may_be = torch.arange(len(doubts), device=doubts.device) >= first
    most = int(MOST_DOUBTED * (len(doubts) - first))
    for _ in range(2 * most):
        each = left_out(doubts)
        suspects = each.to_doubt & may_be
        if suspects.any() and int((doubts > 0).sum()) < most:
            worst = int(torch.where(suspects, each.deviations, 0.0).argmax())
            # In powers of two, so that it does not change with every reading.
            doubts[worst] = 4.0 ** torch.ceil(torch.log2(each.residuals[worst].abs()))
        elif each.to_believe.any():
            doubts[each.to_believe] = 0.0
        else:
            break
    return doubts
