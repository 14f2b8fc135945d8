"""Acquisition functions on the finite set of candidates: how much it is worth to measure there next.

Every score is larger where measuring is worth more, and finite. Expected improvement and the probability of
improvement are scored by their logarithms, which have the same order and do not underflow (Ament et al., "Unexpected
improvements to expected improvement for Bayesian optimization", NeurIPS 2023). A run seeks the largest reading, or the
one closest to a target: what improves is then minus the distance from it, and the confidence bound is the straddle
heuristic of Bryan et al., "Active learning for identifying function threshold boundaries", NeurIPS 2005.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy
import numpy.typing
import scipy.special

from dkl_ae.records import BoolArray, FloatArray, UserError
from dkl_ae.settings import SearchSettings

EXCLUDED = float(numpy.finfo(numpy.float64).min)
"""Score of a candidate that is not to be chosen."""
_LEAST_PROBABILITY = 1e-300
"""Has a logarithm."""
_AS_LIKELY_AS_NOT = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class ObjectivePosterior:
    """What an acquisition function sees, in the reading's unit; of a smallest reading that is sought, the opposite."""

    mean: FloatArray
    """Shape (candidates,)."""
    sigma: FloatArray
    """Shape (candidates,), one standard deviation."""
    best_observed: float
    """The largest reading, or the one closest to the target."""
    scale: float
    """Standard deviation of the readings so far: the unit of the margin xi."""
    target: float | None = None
    """The reading that is sought; None for the largest."""
    sample: FloatArray | None = None
    """Shape (candidates,): one map drawn from the posterior, NaN where it was not drawn; for Thompson sampling."""

    def utility(self, readings: FloatArray) -> FloatArray:
        """What is to be as large as it can: the readings, or minus their distances from the target."""
        return readings if self.target is None else -numpy.abs(readings - self.target)


@dataclasses.dataclass(frozen=True)
class Acquisition:
    """One acquisition function."""

    name: str
    label: str
    tool_tip: str
    default: float
    """Usual value of its parameter."""
    evaluate: Callable[[ObjectivePosterior, float], FloatArray]
    """ObjectivePosterior and parameter -> score of each candidate."""
    logarithmic: bool = False
    """True when the score is the logarithm of what the function is named after."""
    needs_sample: bool = False
    """True when it needs a drawn map."""


def log_expected_improvement(mean: FloatArray, sigma: FloatArray, threshold: float) -> FloatArray:
    """Logarithm of E[max(f - threshold, 0)] for f normal with this mean and sigma.

    With u = (mean - threshold) / sigma it is log(sigma) + log(phi(u) + u Phi(u)), which is
    (mu - y+ - xi) Phi(u) + sigma phi(u) of Roccapriore et al. for threshold = y+ + xi. For u below -1 the sum
    cancels; it is then written with the scaled complementary error function,
    phi(u) + u Phi(u) = phi(u) (1 + u sqrt(pi / 2) erfcx(-u / sqrt 2)).
    """
    with numpy.errstate(divide="ignore", invalid="ignore", over="ignore"):
        u = (mean - threshold) / sigma
        log_phi = _log_density(u)
        direct = numpy.log(numpy.exp(log_phi) + u * scipy.special.ndtr(u))
        ratio = math.sqrt(math.pi / 2) * scipy.special.erfcx(-u / math.sqrt(2))
        tail = log_phi + numpy.log1p(u * ratio)
        # Beyond this the bracket itself cancels to its leading term 1 / u^2.
        far_tail = log_phi - 2 * numpy.log(numpy.abs(u))
    improvement: FloatArray = numpy.where(u > -1, direct, numpy.where(u > -1e5, tail, far_tail))
    return improvement + numpy.log(sigma)


def _log_density(u: FloatArray) -> FloatArray:
    """Of the standard normal distribution."""
    return -0.5 * u * u - 0.5 * math.log(2 * math.pi)


def log_expected_closeness(mean: FloatArray, sigma: FloatArray, target: float, distance: float) -> FloatArray:
    """Logarithm of E[max(distance - |f - target|, 0)] for f normal with this mean and sigma: by how much it is expected
    to come closer to the target than a distance.

    The tent is a sum of three ramps, so this is h(t - d) - 2 h(t) + h(t + d) with h the expected improvement over a
    threshold. Where the tent is narrow beside sigma the sum cancels, and the density at the target stands for it.
    """
    # By symmetry the mean may lie below the target, where the first ramp is the largest.
    below = target - numpy.abs(mean - target)
    first, second, third = (log_expected_improvement(below, sigma, target + step) for step in (-distance, 0, distance))
    with numpy.errstate(all="ignore"):
        ramps = first + numpy.log1p(numpy.exp(third - first) - 2 * numpy.exp(second - first))
        u = (below - target) / sigma
        density = 2 * math.log(distance) - numpy.log(sigma) + _log_density(u)
        # The tent's width in the length on which the density changes.
        narrow = distance * (1 + numpy.abs(u)) < 1e-3 * sigma
    closeness: FloatArray = numpy.where(narrow, density, ramps)
    return closeness


def _expected_improvement(posterior: ObjectivePosterior, xi: float) -> FloatArray:
    return _improvement(posterior, float(posterior.utility(posterior.mean).max()), xi)


def _expected_improvement_observed(posterior: ObjectivePosterior, xi: float) -> FloatArray:
    return _improvement(posterior, float(posterior.utility(numpy.array(posterior.best_observed))), xi)


def _improvement(posterior: ObjectivePosterior, best: float, xi: float) -> FloatArray:
    threshold = best + xi * posterior.scale
    if posterior.target is None:
        return log_expected_improvement(posterior.mean, posterior.sigma, threshold)
    return log_expected_closeness(posterior.mean, posterior.sigma, posterior.target, _distance(posterior, threshold))


def _distance(posterior: ObjectivePosterior, threshold: float) -> float:
    """From the target, within which a reading improves. Nothing is closer than the target itself: what counts there is
    to be close at all."""
    return max(-threshold, 1e-3 * posterior.scale, 1e-12)


def _probability_of_improvement(posterior: ObjectivePosterior, xi: float) -> FloatArray:
    threshold = float(posterior.utility(numpy.array(posterior.best_observed))) + xi * posterior.scale
    if posterior.target is None:
        score: FloatArray = scipy.special.log_ndtr((posterior.mean - threshold) / posterior.sigma)
        return score
    # The lower end's side has the digits: probabilities near 1 have lost theirs.
    below = posterior.target - numpy.abs(posterior.mean - posterior.target)
    distance = _distance(posterior, threshold)
    near, far = ((below - posterior.target + step) / posterior.sigma for step in (distance, -distance))
    with numpy.errstate(all="ignore"):
        first, second = scipy.special.log_ndtr(near), scipy.special.log_ndtr(far)
        between: FloatArray = first + numpy.log1p(-numpy.exp(second - first))
    return between


def _upper_confidence_bound(posterior: ObjectivePosterior, beta: float) -> FloatArray:
    return posterior.utility(posterior.mean) + beta * posterior.sigma


def _maximum_uncertainty(posterior: ObjectivePosterior, unused: float) -> FloatArray:
    return posterior.sigma


def _thompson(posterior: ObjectivePosterior, unused: float) -> FloatArray:
    assert posterior.sample is not None, "Thompson sampling needs a drawn map"
    return posterior.utility(posterior.sample)


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
            "The predicted reading plus a number of standard deviations, the parameter: more of them explore more. "
            "Around a value that is sought it traces the contour (the straddle heuristic).",
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
        Acquisition(
            "thompson",
            "Thompson sampling",
            "The best of one map drawn at random from all that agree with the readings: explores as much as is "
            "unknown. The parameter is unused.",
            0.0,
            _thompson,
            needs_sample=True,
        ),
    )
}


def acquisition_of(search: SearchSettings) -> Acquisition:
    """The function that a plan asks for; raises UserError, one sentence, when there is none of its name."""
    if search.acquisition not in ACQUISITIONS:
        raise UserError(
            f"There is no acquisition function '{search.acquisition}': choose one of {', '.join(ACQUISITIONS)}."
        )
    return ACQUISITIONS[search.acquisition]


def score(acquisition: str, posterior: ObjectivePosterior, parameter: float) -> FloatArray:
    """Score of each candidate, shape (candidates,), finite."""
    scores = ACQUISITIONS[acquisition].evaluate(posterior, parameter)
    return numpy.nan_to_num(scores, nan=EXCLUDED)


def times_probability(acquisition: str, scores: FloatArray, probability: FloatArray) -> FloatArray:
    """Scores times the probability that there is a reading at all, shape (candidates,).

    Of an improvement function it is a factor of what the score is the logarithm of; of the others, whose zero means
    nothing, a factor of what a score is above the lowest one.
    """
    known = scores > EXCLUDED
    if ACQUISITIONS[acquisition].logarithmic:
        weighted = scores + numpy.log(numpy.maximum(probability, _LEAST_PROBABILITY))
    else:
        lowest = scores[known].min() if known.any() else 0.0
        # This way the scores stay as they are, to the bit, where a reading is certain.
        weighted = scores - (1 - probability) * (scores - lowest)
    weighted_where_known: FloatArray = numpy.where(known, weighted, EXCLUDED)
    return weighted_where_known


def likely(allowed: BoolArray, probability: FloatArray) -> BoolArray:
    """Of the allowed candidates those that are at least as likely to give a number as not; all where there is none.

    A factor alone does not keep a run out of a vacuum in which it expects a thousand times the improvement of all other
    places (Gelbart, Snoek & Adams, "Bayesian optimization with unknown constraints", UAI 2014).
    """
    restricted = allowed & (probability >= _AS_LIKELY_AS_NOT)
    return restricted if restricted.any() else allowed


def relative_score(acquisition: str, scores: FloatArray, chosen: float) -> FloatArray:
    """Scores as a person reads them, shape (candidates,).

    Those of an improvement function relative to the chosen candidate's, which is 1, and at most 1; others are in the
    reading's unit already. NaN where the function says nothing.
    """
    if not ACQUISITIONS[acquisition].logarithmic:
        return numpy.where(scores == EXCLUDED, numpy.nan, scores)
    relative: FloatArray = numpy.exp(numpy.minimum(scores - chosen, 0.0))
    return relative


def exploration_fraction(acquisition: str, posterior: ObjectivePosterior, parameter: float, place: int) -> float:
    """Which share of a candidate's attraction is that little is known of it, between 0 and 1.

    What explores is the standard deviation there, as far as the function counts it; what exploits is by how much the
    expected reading is better than at the usual candidate, the median of all.
    """
    mean = posterior.utility(posterior.mean)
    exploited = max(float(mean[place] - numpy.median(mean)), 0.0)
    explored = float(posterior.sigma[place])
    if acquisition == "maximum_uncertainty":
        return 1.0
    if acquisition == "upper_confidence_bound":
        explored *= parameter
    elif posterior.sample is not None:
        explored = max(float(posterior.utility(posterior.sample)[place] - mean[place]), 0.0)
    return explored / (explored + exploited) if explored + exploited > 0 else 0.0


def choose(scores: FloatArray, allowed: numpy.typing.NDArray[numpy.bool_]) -> int:
    """The allowed candidate with the highest score, the first of equals.

    Raises UserError when none is allowed.
    """
    candidates = numpy.flatnonzero(allowed)
    if not candidates.size:
        raise UserError(f"All {allowed.size} candidates are measured or too near to one: start a new run.")
    return int(candidates[numpy.argmax(scores[candidates])])
