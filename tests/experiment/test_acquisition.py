"""Laws of the acquisition functions, and numbers from elsewhere."""

import dataclasses

import numpy
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dkl_ae.experiment import ACQUISITIONS, ObjectivePosterior, choose, exploration_fraction, relative_score, score
from dkl_ae.experiment.acquisition import (
    EXCLUDED,
    likely,
    log_expected_closeness,
    log_expected_improvement,
    times_probability,
)

means = st.floats(-1e3, 1e3)
sigmas = st.floats(1e-6, 1e3)
xis = st.floats(0, 2)
names = st.sampled_from(sorted(ACQUISITIONS))


def belief(mean, sigma, best_observed: float = 1.0, scale: float = 1.0) -> ObjectivePosterior:
    return ObjectivePosterior(numpy.asarray(mean, float), numpy.asarray(sigma, float), best_observed, scale)


@st.composite
def beliefs(draw: st.DrawFn) -> ObjectivePosterior:
    count = draw(st.integers(1, 20))
    state = belief(
        draw(arrays(float, count, elements=means)),
        draw(arrays(float, count, elements=sigmas)),
        draw(means),
        draw(st.floats(0, 100)),
    )
    return dataclasses.replace(state, sample=state.mean + state.sigma)


# Six candidates; best 1 plus margin 0.01. botorch 0.18.1, torch 2.13.0: LogExpectedImprovement and
# LogProbabilityOfImprovement with best_f=torch.tensor(1.01, dtype=torch.float64) (a plain 1.01 is rounded to float32),
# and UpperConfidenceBound(beta=4), on a model whose posterior was set to these means and deviations.
BOTORCH = belief([0.3, 1.2, -0.5, 2.0, 0.0, -3.0], [0.5, 0.2, 1.5, 0.05, 0.1, 0.02])
BOTORCH_LOG_EI = [
    -4.043194998208191,
    -1.5687224165675397,
    -2.092367109199812,
    -0.010050335853501569,
    -58.880054068606576,
    -20115.557664652028,
]
BOTORCH_LOG_PI = [
    -2.5535644849217305,
    -0.18760282976788556,
    -1.8512070171145263,
    0.0,
    -54.246047542693624,
    -20106.344777653863,
]
BOTORCH_UCB = [1.3, 1.6, 2.5, 2.1, 0.2, -2.96]


@pytest.mark.parametrize(
    ("name", "parameter", "expected"),
    [
        ("expected_improvement_observed", 0.01, BOTORCH_LOG_EI),
        ("probability_of_improvement", 0.01, BOTORCH_LOG_PI),
        ("upper_confidence_bound", 2.0, BOTORCH_UCB),
    ],
)
def test_it_agrees_with_botorch(name, parameter, expected) -> None:
    numpy.testing.assert_allclose(score(name, BOTORCH, parameter), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("u", "expected"),
    [
        # log(phi(u) + u Phi(u)) by mpmath with 60 to 120 digits.
        (5.0, 1.6094379231264314),
        (-0.5, -1.6205162643873199),
        (-1.0, -2.4851210257126413),
        (-1.0001, -2.4853114564458833),
        (-3.0, -7.8696860596030285),
        (-10.0, -55.553122036122356),
        (-40.0, -808.29856835661996),
        (-1e3, -500014.73445209116),
        (-9.9e4, -4900500023.9246888),
        (-1.1e5, -6050000024.1354098),
        (-1e8, -5000000000000037.8),
    ],
)
def test_the_logarithm_is_right_in_the_extreme_tail(u, expected) -> None:
    assert log_expected_improvement(numpy.array([u]), numpy.ones(1), 0.0)[0] == pytest.approx(expected, rel=1e-12)


@given(st.floats(-6, 6), st.floats(1e-2, 30), st.floats(1e-6, 10))
def test_expected_closeness_is_the_integral(mean, sigma, distance) -> None:
    """Of max(d - |f - t|, 0) over the normal density, by Gauss-Legendre quadrature on both sides of the target."""
    u, weights = numpy.polynomial.legendre.leggauss(200)
    f = 0.5 * distance * (u + 1)  # from the target to either edge
    log_density = [-0.5 * ((side * f - mean) / sigma) ** 2 for side in (1, -1)]
    shift = numpy.max(log_density)
    integral = sum(numpy.sum(weights * (distance - f) * numpy.exp(log - shift)) for log in log_density)
    expected = numpy.log(0.5 * distance * integral / (sigma * numpy.sqrt(2 * numpy.pi))) + shift
    found = log_expected_closeness(numpy.array([mean + 2.5]), numpy.array([sigma]), 2.5, distance)[0]
    assume(distance < 20 * sigma)  # beyond, the quadrature misses the peak
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)


@given(beliefs(), xis, means, st.sampled_from(["expected_improvement", "probability_of_improvement"]))
def test_beyond_a_target_is_as_far_as_before_it(state, parameter, target, name) -> None:
    here = dataclasses.replace(state, target=target)
    mirrored = dataclasses.replace(here, mean=2 * target - state.mean, best_observed=2 * target - state.best_observed)
    rounding = 1e-9 + 1e-13 * (numpy.abs(state.mean).max() + abs(target)) / state.sigma.min()
    numpy.testing.assert_allclose(
        score(name, mirrored, parameter), score(name, here, parameter), rtol=1e-6 + rounding, atol=1e-6 + rounding
    )


def test_the_bound_around_a_value_is_the_straddle() -> None:
    """Bryan et al.: 1.96 sigma - |mean - level|."""
    state = dataclasses.replace(belief([1.0, 2.0, 5.0], [0.1, 0.5, 1.0]), target=2.5)
    expected = 1.96 * state.sigma - numpy.array([1.5, 0.5, 2.5])
    numpy.testing.assert_allclose(score("upper_confidence_bound", state, 1.96), expected)


def test_the_probability_to_come_closer_is_that_of_the_interval() -> None:
    """P(|f - 1| < 0.5) for f of mean 0 and deviation 1: Phi(1.5) - Phi(0.5) = 0.2417303374571288."""
    state = dataclasses.replace(belief([0.0], [1.0], best_observed=0.5, scale=0.1), target=1.0)
    assert numpy.exp(score("probability_of_improvement", state, 0.0))[0] == pytest.approx(0.2417303374571288)


def test_expected_improvement_is_the_papers_formula() -> None:
    """a = (mu - y+ - xi) Phi(u) + sigma phi(u) with u = 1: Phi = 0.8413447460685429, phi = 0.24197072451914337."""
    logarithm = log_expected_improvement(numpy.array([3.0]), numpy.array([2.0]), 1.0)
    assert numpy.exp(logarithm[0]) == pytest.approx(2 * 0.8413447460685429 + 2 * 0.24197072451914337, rel=1e-12)


@given(means, st.floats(1e-3, 1e3), means)
def test_expected_improvement_is_at_least_the_certain_one(mean, sigma, threshold) -> None:
    """Jensen's inequality: E[max(f - t, 0)] >= max(E[f] - t, 0)."""
    logarithm = log_expected_improvement(numpy.array([mean]), numpy.array([sigma]), threshold)[0]
    assert not numpy.isnan(logarithm)
    assert numpy.exp(logarithm) >= max(mean - threshold, 0) * (1 - 1e-9)


@given(means, means, sigmas, means)
def test_expected_improvement_grows_with_the_mean(first, second, sigma, threshold) -> None:
    low, high = log_expected_improvement(numpy.array(sorted([first, second])), numpy.full(2, sigma), threshold)
    assert high >= low - 1e-9 * abs(low)


@given(means, st.lists(sigmas, min_size=2, max_size=2).map(sorted), means)
def test_expected_improvement_grows_with_the_uncertainty(mean, pair, threshold) -> None:
    low, high = log_expected_improvement(numpy.full(2, mean), numpy.array(pair), threshold)
    assert high >= low - 1e-9 * abs(low)


@given(means, sigmas, st.floats(-30, 30), st.floats(1e-3, 1e3))
def test_expected_improvement_has_the_readings_unit(mean, sigma, distance, unit) -> None:
    threshold = mean + distance * sigma
    first = log_expected_improvement(numpy.array([mean]), numpy.array([sigma]), threshold)[0]
    second = log_expected_improvement(numpy.array([mean * unit]), numpy.array([sigma * unit]), threshold * unit)[0]
    # The rounding of mean - threshold is amplified by the steepness of the tail.
    rounding = 1e-14 * (abs(mean) + abs(threshold)) / sigma * (1 + abs(distance))
    assert second - first == pytest.approx(numpy.log(unit), abs=1e-9 + rounding)


@given(names, beliefs(), xis, st.one_of(st.none(), means))
def test_every_score_is_finite(name, state, parameter, target) -> None:
    scores = score(name, dataclasses.replace(state, target=target), parameter)
    assert scores.shape == state.mean.shape
    assert numpy.isfinite(scores).all()


@given(names)
def test_absurd_beliefs_still_give_finite_scores(name) -> None:
    state = belief([0.0, 1e200, -1e200], [1e-300, 1e-10, 1e10])
    for target in (None, 1.0):
        absurd = dataclasses.replace(state, target=target, sample=numpy.array([numpy.nan, 1e300, -1e300]))
        assert numpy.isfinite(score(name, absurd, 0.01)).all()


def test_the_best_is_the_predicted_or_the_observed_one() -> None:
    state = belief([0.0, 5.0], [1.0, 1.0], best_observed=2.0)
    predicted = score("expected_improvement", state, 0.0)
    observed = score("expected_improvement_observed", state, 0.0)
    numpy.testing.assert_allclose(predicted, log_expected_improvement(state.mean, state.sigma, 5.0))
    numpy.testing.assert_allclose(observed, log_expected_improvement(state.mean, state.sigma, 2.0))


def test_the_margin_is_in_deviations_of_the_readings() -> None:
    wide = belief([0.0, 5.0], [1.0, 1.0], scale=10.0)
    narrow = belief([0.0, 5.0], [1.0, 1.0], scale=1.0)
    for name in ("expected_improvement", "expected_improvement_observed", "probability_of_improvement"):
        numpy.testing.assert_array_equal(score(name, wide, 0.1), score(name, narrow, 1.0))


def test_the_probability_of_improvement_is_a_half_at_the_threshold() -> None:
    assert numpy.exp(score("probability_of_improvement", belief([1.0], [3.0]), 0.0))[0] == pytest.approx(0.5)


@given(beliefs())
def test_the_confidence_bound_without_a_parameter_is_the_mean(state) -> None:
    numpy.testing.assert_array_equal(score("upper_confidence_bound", state, 0.0), state.mean)


@given(beliefs(), xis)
def test_maximum_uncertainty_looks_only_at_sigma(state, parameter) -> None:
    numpy.testing.assert_array_equal(score("maximum_uncertainty", state, parameter), state.sigma)


@given(names, st.integers(0, 2**32 - 1), st.floats(1e-2, 1e2), st.floats(-100, 100))
def test_the_choice_does_not_depend_on_the_readings_unit(name, seed, gain, offset) -> None:
    random = numpy.random.default_rng(seed)
    drawn = random.normal(size=30)
    state = dataclasses.replace(belief(random.normal(size=30), random.uniform(0.1, 1, 30), 1.0, 0.7), sample=drawn)
    converted = belief(state.mean * gain + offset, state.sigma * gain, gain + offset, 0.7 * gain)
    converted = dataclasses.replace(converted, sample=drawn * gain + offset)
    everywhere = numpy.ones(30, bool)
    parameter = ACQUISITIONS[name].default
    assert choose(score(name, state, parameter), everywhere) == choose(score(name, converted, parameter), everywhere)


@given(arrays(float, 15, elements=st.floats(-10, 10)), arrays(bool, 15))
def test_the_choice_is_the_best_of_the_allowed(scores, allowed) -> None:
    if not allowed.any():
        with pytest.raises(ValueError, match="All 15 candidates are measured or too near to one"):
            choose(scores, allowed)
        return
    chosen = choose(scores, allowed)
    assert allowed[chosen]
    assert scores[chosen] == scores[allowed].max()


def test_the_first_of_equals_is_chosen() -> None:
    assert choose(numpy.array([3.0, 7.0, 7.0, 7.0]), numpy.array([True, False, True, True])) == 2


@given(beliefs(), xis)
def test_the_worth_of_an_improvement_lies_between_nothing_and_the_chosen_ones(state, parameter) -> None:
    scores = score("expected_improvement", state, parameter)
    shown = relative_score("expected_improvement", scores, float(scores.max()))
    assert shown.max() == 1
    assert shown.min() >= 0
    assert (numpy.diff(shown[numpy.argsort(scores)]) >= 0).all()


def test_the_worth_of_a_bound_is_the_bound() -> None:
    scores = numpy.array([1.0, -2.0])
    numpy.testing.assert_array_equal(relative_score("upper_confidence_bound", scores, 1.0), scores)


def test_what_was_not_drawn_is_not_shown_and_not_chosen() -> None:
    state = dataclasses.replace(belief([0.0] * 3, [1.0] * 3), sample=numpy.array([numpy.nan, -2.0, -1.0]))
    scores = score("thompson", state, 0.0)
    assert choose(scores, numpy.ones(3, bool)) == 2
    numpy.testing.assert_array_equal(relative_score("thompson", scores, -1.0), [numpy.nan, -2, -1])


def test_names_labels_and_tool_tips_are_there_for_the_panel() -> None:
    for name, acquisition in ACQUISITIONS.items():
        assert name == acquisition.name
        assert acquisition.tool_tip.endswith(".")
    assert len({a.label for a in ACQUISITIONS.values()}) == len(ACQUISITIONS)


@given(beliefs(), names, st.floats(0, 5), st.data())
def test_exploration_is_a_share(state, name, parameter, data) -> None:
    place = data.draw(st.integers(0, state.mean.size - 1))
    for target in (None, 0.5):
        assert 0 <= exploration_fraction(name, dataclasses.replace(state, target=target), parameter, place) <= 1


@given(st.floats(0.01, 3), st.floats(0.01, 2), st.sampled_from(["expected_improvement", "upper_confidence_bound"]))
def test_what_exploits_is_the_advantage_over_the_usual_candidate(advantage, sigma, name) -> None:
    state = belief([1.0 + advantage, 1.0, 1.0], [sigma, 1.0, 1.0])
    counted = 2 * sigma if name == "upper_confidence_bound" else sigma
    assert exploration_fraction(name, state, 2.0, 0) == pytest.approx(counted / (counted + advantage))
    assert exploration_fraction(name, state, 2.0, 1) == 1


def test_maximum_uncertainty_only_explores() -> None:
    assert exploration_fraction("maximum_uncertainty", belief([5.0, 0.0, 0.0], [0.2] * 3), 0.0, 0) == 1


@given(beliefs(), names, xis)
def test_where_a_reading_is_certain_the_scores_stay_as_they_are_to_the_bit(state, name, parameter) -> None:
    scores = score(name, state, parameter)
    numpy.testing.assert_array_equal(times_probability(name, scores, numpy.ones(scores.size)), scores)


@given(beliefs(), names, xis, st.data())
def test_no_score_grows_where_there_may_be_no_reading(state, name, parameter, data) -> None:
    scores = score(name, state, parameter)
    probability = data.draw(arrays(float, scores.size, elements=st.floats(0, 1)))
    weighted = times_probability(name, scores, probability)
    assert numpy.isfinite(weighted).all()
    assert (weighted <= scores).all()
    less = times_probability(name, scores, probability / 2)
    assert (less <= weighted).all()


def test_an_improvement_is_multiplied_by_the_probability_of_a_reading() -> None:
    scores, probability = numpy.log([3.0, 2.0, 8.0]), numpy.array([1.0, 0.5, 0.25])
    weighted = numpy.exp(times_probability("expected_improvement", scores, probability))
    numpy.testing.assert_allclose(weighted, [3.0, 1.0, 2.0])


def test_what_lies_above_the_lowest_bound_is_multiplied_by_the_probability_of_a_reading() -> None:
    scores, probability = numpy.array([-1.0, 1.0, 3.0, EXCLUDED]), numpy.array([0.1, 0.5, 0.25, 1.0])
    weighted = times_probability("upper_confidence_bound", scores, probability)
    numpy.testing.assert_allclose(weighted[:3], [-1.0, 0.0, 0.0])
    assert weighted[3] == EXCLUDED


@given(arrays(bool, 6), arrays(float, 6, elements=st.floats(0, 1)))
def test_a_likely_candidate_is_chosen_while_there_is_one(allowed, probability) -> None:
    restricted = likely(allowed, probability)
    assert not (restricted & ~allowed).any()
    assert restricted.any() == allowed.any()
    if (allowed & (probability >= 0.5)).any():
        assert (probability[restricted] >= 0.5).all()
