"""Laws of the exact Gaussian process."""

import dataclasses

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from dkl_ae.model import ExactGP, Posterior
from tests.support.strategies import Data, Hyperparameters, data_sets, hyperparameters, seeds

CANDIDATES = 40
POINTS = numpy.random.default_rng(1).normal(size=(1, CANDIDATES, 3))


def posterior(data: Data, settings: Hyperparameters, points=POINTS) -> Posterior:
    process = ExactGP(points, **settings.as_arguments())
    process.fit(data.candidates, data.values, data.sigmas)
    return process.predict()


def prior_sigma(settings: Hyperparameters):
    trend = settings.linear + settings.quadratic
    return numpy.sqrt(settings.output_scale + trend * numpy.sum(POINTS[0] ** 2, axis=1))


@given(hyperparameters())
def test_without_data_it_is_the_prior(settings) -> None:
    prediction = ExactGP(POINTS, **settings.as_arguments()).predict()
    numpy.testing.assert_allclose(prediction.mean, settings.mean)
    numpy.testing.assert_allclose(prediction.sigma, prior_sigma(settings))


@given(data_sets(CANDIDATES, sigmas=st.just(0.0)), hyperparameters())
def test_noise_free_data_are_interpolated(data, settings) -> None:
    prediction = posterior(data, dataclasses.replace(settings, noise=0.0))
    numpy.testing.assert_allclose(prediction.mean[data.candidates], data.values, atol=1e-6)
    assert (prediction.sigma[data.candidates] < 1e-4 * prior_sigma(settings)[data.candidates].max()).all()


@given(data_sets(CANDIDATES), hyperparameters())
def test_data_never_make_it_less_certain_than_the_prior(data, settings) -> None:
    assert (posterior(data, settings).sigma <= prior_sigma(settings) * (1 + 1e-9)).all()


@given(data_sets(CANDIDATES, least=2), hyperparameters())
def test_another_measurement_never_raises_the_variance(data, settings) -> None:
    before = posterior(data.first(len(data.values) - 1), settings).sigma
    after = posterior(data, settings).sigma
    assert (after**2 <= before**2 + 1e-9 * prior_sigma(settings) ** 2).all()


@given(data_sets(CANDIDATES), hyperparameters(), seeds)
def test_the_order_of_measurements_does_not_matter(data, settings, seed) -> None:
    order = numpy.random.default_rng(seed).permutation(len(data.values))
    shuffled = Data(data.candidates[order], data.values[order], data.sigmas[order])
    first, second = posterior(data, settings), posterior(shuffled, settings)
    numpy.testing.assert_allclose(first.mean, second.mean, atol=1e-7)
    numpy.testing.assert_allclose(first.sigma, second.sigma, atol=1e-7)


@given(data_sets(CANDIDATES), hyperparameters(), st.floats(0.01, 100), st.floats(-100, 100))
def test_another_unit_of_the_reading_changes_only_the_unit(data, settings, gain, offset) -> None:
    converted = dataclasses.replace(
        settings,
        output_scale=settings.output_scale * gain**2,
        linear=settings.linear * gain**2,
        quadratic=settings.quadratic * gain**2,
        mean=settings.mean * gain + offset,
        noise=settings.noise * gain**2,
    )
    first = posterior(data, settings)
    second = posterior(Data(data.candidates, data.values * gain + offset, data.sigmas * gain), converted)
    numpy.testing.assert_allclose(second.mean, first.mean * gain + offset, atol=1e-6 * gain)
    numpy.testing.assert_allclose(second.sigma, first.sigma * gain, atol=1e-6 * gain)


@given(data_sets(CANDIDATES), hyperparameters(trend="none"), st.floats(-5, 5))
def test_without_a_trend_only_distances_between_points_matter(data, settings, shift) -> None:
    rotation, _ = numpy.linalg.qr(numpy.random.default_rng(2).normal(size=(3, 3)))
    first, second = posterior(data, settings), posterior(data, settings, POINTS @ rotation + shift)
    numpy.testing.assert_allclose(first.mean, second.mean, atol=1e-6)
    numpy.testing.assert_allclose(first.sigma, second.sigma, atol=1e-6)


@given(data_sets(CANDIDATES), hyperparameters())
def test_the_covariance_has_the_variances_on_its_diagonal_and_is_one(data, settings) -> None:
    process = ExactGP(POINTS, **settings.as_arguments())
    process.fit(data.candidates, data.values, data.sigmas)
    everywhere = numpy.arange(CANDIDATES)
    covariance = process.covariance(everywhere, everywhere)
    variance = process.predict().sigma ** 2
    numpy.testing.assert_allclose(covariance.diagonal(), variance, atol=1e-7 * prior_sigma(settings).max() ** 2)
    numpy.testing.assert_allclose(covariance, covariance.T, atol=1e-7)
    assert numpy.linalg.eigvalsh(covariance).min() > -1e-6
    numpy.testing.assert_allclose(process.covariance(everywhere[3:5], everywhere), covariance[3:5], atol=1e-9)


def test_fitting_again_replaces_the_data() -> None:
    process = ExactGP(POINTS, length=1.0)
    sigma = numpy.full(1, 1e-3)
    process.fit(numpy.array([3]), numpy.array([5.0]), sigma)
    process.fit(numpy.array([7]), numpy.array([-5.0]), sigma)
    alone = ExactGP(POINTS, length=1.0)
    alone.fit(numpy.array([7]), numpy.array([-5.0]), sigma)
    numpy.testing.assert_array_equal(process.predict().mean, alone.predict().mean)


def test_a_repeated_measurement_counts_as_the_mean_of_both() -> None:
    twice, once = ExactGP(POINTS, length=1.0), ExactGP(POINTS, length=1.0)
    twice.fit(numpy.array([3, 3]), numpy.array([1.0, 2.0]), numpy.full(2, 0.3))
    once.fit(numpy.array([3]), numpy.array([1.5]), numpy.array([0.3 / 2**0.5]))
    numpy.testing.assert_allclose(twice.predict().mean, once.predict().mean)
    numpy.testing.assert_allclose(twice.predict().sigma, once.predict().sigma)


def test_one_measurement_by_hand() -> None:
    """Two points one length apart: correlation (1 + sqrt 3) exp(-sqrt 3) = 0.4833577245965077."""
    process = ExactGP(numpy.array([[[0.0], [2.0]]]), length=2.0, output_scale=4.0, mean=1.0)
    process.fit(numpy.array([0]), numpy.array([3.0]), numpy.array([1.0]))
    prediction = process.predict()
    gain = 4 * 0.4833577245965077 / 5
    assert prediction.mean[1] == pytest.approx(1 + gain * 2, rel=1e-12)
    assert prediction.sigma[1] ** 2 == pytest.approx(4 - gain * 4 * 0.4833577245965077, rel=1e-12)


@given(data_sets(CANDIDATES, most=5), hyperparameters())
def test_it_is_the_conditional_of_a_joint_normal(data, settings) -> None:
    """Bayes' rule by densities: p(f | y) / p(f) = p(y | f) / p(y), for the first candidate not measured."""
    process = ExactGP(POINTS, **settings.as_arguments())
    process.fit(data.candidates, data.values, data.sigmas)
    prediction = process.predict()
    new = next(c for c in range(CANDIDATES) if c not in data.candidates)
    everything = numpy.array([*data.candidates, new])
    covariance = process.prior_covariance(everything, everything)
    covariance[:-1, :-1] += numpy.diag(data.sigmas**2 + settings.noise)
    value = prediction.mean[new] + 0.7 * prediction.sigma[new]
    joint = multivariate_normal(numpy.full(len(everything), settings.mean), covariance, allow_singular=True)
    marginal = multivariate_normal(
        numpy.full(len(data.values), settings.mean), covariance[:-1, :-1], allow_singular=True
    )
    conditional = multivariate_normal(prediction.mean[new], prediction.sigma[new] ** 2)
    expected = joint.logpdf([*data.values, value]) - marginal.logpdf(data.values)
    assert conditional.logpdf(value) == pytest.approx(expected, abs=1e-5)


@given(data_sets(CANDIDATES, most=10), hyperparameters(), st.sampled_from([1.0, -1.0]))
def test_an_image_of_a_patch_reads_the_same_or_the_opposite(data, settings, sign) -> None:
    """Candidates come in pairs that are each other's mirror image; the mean is zero, as it must be for a sign."""
    random = numpy.random.default_rng(5)
    halves = random.normal(size=(CANDIDATES // 2, 3))
    own = numpy.stack([halves, halves * [1, 1, -1]], axis=1).reshape(CANDIDATES, 3)
    other = own.reshape(-1, 2, 3)[:, ::-1].reshape(CANDIDATES, 3)
    arguments = {**settings.as_arguments(), "mean": 0.0, "signs": numpy.array([1.0, sign])}
    process = ExactGP(numpy.stack([own, other]), **arguments)
    process.fit(data.candidates, data.values, data.sigmas)
    mean, sigma = process.predict().mean.reshape(-1, 2).T, process.predict().sigma.reshape(-1, 2).T
    numpy.testing.assert_allclose(mean[1], sign * mean[0], atol=1e-6)
    numpy.testing.assert_allclose(sigma[1], sigma[0], atol=1e-5)
