"""Acquisition functions on the finite set of candidates: how much it is worth to measure there next.

Every score is larger where measuring is worth more, and finite. Expected improvement and the probability of
improvement are scored by their logarithms, which have the same order and do not underflow (Ament et al., "Unexpected
improvements to expected improvement for Bayesian optimization", NeurIPS 2023).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy
import numpy.typing
import scipy.special

from dkl_ae.survey import FloatArray


@dataclasses.dataclass(frozen=True, eq=False)
class Belief:
    """What an acquisition function sees, in the reading's unit."""

    mean: FloatArray
    """Shape (candidates,)."""
    sigma: FloatArray
    """Shape (candidates,), one standard deviation."""
    best_observed: float
    scale: float
    """Standard deviation of the readings so far: the unit of the margin xi."""


@dataclasses.dataclass(frozen=True)
class Acquisition:
    """One acquisition function."""

    name: str
    label: str
    tool_tip: str
    default: float
    """Usual value of its parameter."""
    evaluate: Callable[[Belief, float], FloatArray]
    """Belief and parameter -> score of each candidate."""
    logarithmic: bool = False
    """True when the score is the logarithm of what the function is named after."""


def log_expected_improvement(mean: FloatArray, sigma: FloatArray, threshold: float) -> FloatArray:
    """Logarithm of E[max(f - threshold, 0)] for f normal with this mean and sigma.

    With u = (mean - threshold) / sigma it is log(sigma) + log(phi(u) + u Phi(u)), which is
    (mu - y+ - xi) Phi(u) + sigma phi(u) of Roccapriore et al. for threshold = y+ + xi. For u below -1 the sum
    cancels; it is then written with the scaled complementary error function,
    phi(u) + u Phi(u) = phi(u) (1 + u sqrt(pi / 2) erfcx(-u / sqrt 2)).
    """
    with numpy.errstate(divide="ignore", invalid="ignore", over="ignore"):
        u = (mean - threshold) / sigma
        log_phi = -0.5 * u * u - 0.5 * math.log(2 * math.pi)
        direct = numpy.log(numpy.exp(log_phi) + u * scipy.special.ndtr(u))
        ratio = math.sqrt(math.pi / 2) * scipy.special.erfcx(-u / math.sqrt(2))
        tail = log_phi + numpy.log1p(u * ratio)
        # Beyond this the bracket itself cancels to its leading term 1 / u^2.
        far_tail = log_phi - 2 * numpy.log(numpy.abs(u))
    improvement: FloatArray = numpy.where(u > -1, direct, numpy.where(u > -1e5, tail, far_tail))
    return improvement + numpy.log(sigma)


def _expected_improvement(belief: Belief, xi: float) -> FloatArray:
    threshold = float(belief.mean.max()) + xi * belief.scale
    return log_expected_improvement(belief.mean, belief.sigma, threshold)


def _expected_improvement_observed(belief: Belief, xi: float) -> FloatArray:
    return log_expected_improvement(belief.mean, belief.sigma, belief.best_observed + xi * belief.scale)


def _probability_of_improvement(belief: Belief, xi: float) -> FloatArray:
    threshold = belief.best_observed + xi * belief.scale
    score: FloatArray = scipy.special.log_ndtr((belief.mean - threshold) / belief.sigma)
    return score


def _upper_confidence_bound(belief: Belief, beta: float) -> FloatArray:
    return belief.mean + beta * belief.sigma


def _maximum_uncertainty(belief: Belief, unused: float) -> FloatArray:
    return belief.sigma


_MARGIN = "The parameter is the least improvement that counts, in standard deviations of the readings so far."

ACQUISITIONS: Mapping[str, Acquisition] = {
    acquisition.name: acquisition
    for acquisition in (
        Acquisition(
            "expected_improvement",
            "Expected improvement",
            f"By how much the reading is expected to exceed the best predicted one. {_MARGIN}",
            0.01,
            _expected_improvement,
            logarithmic=True,
        ),
        Acquisition(
            "expected_improvement_observed",
            "Expected improvement (observed)",
            f"By how much the reading is expected to exceed the best one measured. {_MARGIN}",
            0.01,
            _expected_improvement_observed,
            logarithmic=True,
        ),
        Acquisition(
            "probability_of_improvement",
            "Probability of improvement",
            f"How likely the reading is to exceed the best one measured. {_MARGIN}",
            0.01,
            _probability_of_improvement,
            logarithmic=True,
        ),
        Acquisition(
            "upper_confidence_bound",
            "Upper confidence bound",
            "The predicted reading plus a number of standard deviations, the parameter: more of them explore more.",
            2.0,
            _upper_confidence_bound,
        ),
        Acquisition(
            "maximum_uncertainty",
            "Maximum uncertainty",
            "The standard deviation of the prediction: learns the whole map, not its maximum. The parameter is unused.",
            0.0,
            _maximum_uncertainty,
        ),
    )
}


def score(acquisition: str, belief: Belief, parameter: float) -> FloatArray:
    """Score of each candidate, shape (candidates,), finite."""
    scores = ACQUISITIONS[acquisition].evaluate(belief, parameter)
    return numpy.nan_to_num(scores, nan=numpy.finfo(numpy.float64).min)


def worth(acquisition: str, scores: FloatArray, chosen: float) -> FloatArray:
    """Scores as a person reads them, shape (candidates,).

    Those of an improvement function relative to the chosen candidate's, which is 1, and at most 1; others are in the
    reading's unit already.
    """
    if not ACQUISITIONS[acquisition].logarithmic:
        return scores
    relative: FloatArray = numpy.exp(numpy.minimum(scores - chosen, 0.0))
    return relative


def choose(scores: FloatArray, allowed: numpy.typing.NDArray[numpy.bool_]) -> int:
    """The allowed candidate with the highest score, the first of equals.

    Raises ValueError when none is allowed.
    """
    candidates = numpy.flatnonzero(allowed)
    if not candidates.size:
        raise ValueError(f"All {allowed.size} candidates are measured: start a new run.")
    return int(candidates[numpy.argmax(scores[candidates])])
