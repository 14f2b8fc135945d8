"""The deep kernel against trusted peers, and the laws of any surrogate."""

import gpytorch
import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern

from dkl_ae import deep_kernel
from dkl_ae.deep_kernel import DeepKernel
from dkl_ae.embedding import ResidualNetwork, structured_base
from dkl_ae.survey import Patches, Survey

PATCH_SIZE = 5


@pytest.fixture(scope="module")
def features() -> numpy.ndarray:
    y, x = numpy.mgrid[:20, :20]
    image = numpy.sin(y / 2) * numpy.cos(x / 3) + 0.1 * numpy.random.default_rng(0).normal(size=(20, 20))
    return Patches(Survey(image, 0.1), PATCH_SIZE).features


def target(features: numpy.ndarray) -> numpy.ndarray:
    """Something local and nonlinear: the square of the central pixel."""
    return features[:, features.shape[1] // 2].astype(float) ** 2


def data(features: numpy.ndarray, n: int, seed: int = 0):
    candidates = numpy.random.default_rng(seed).choice(len(features), n, replace=False)
    return candidates, target(features)[candidates], numpy.full(n, 0.01)


def surrogate(features: numpy.ndarray, seed: int = 0) -> DeepKernel:
    return DeepKernel(features, patch_size=PATCH_SIZE, seed=seed, device="cpu")


def test_with_an_identity_network_it_is_scikit_learns_gaussian_process(features, monkeypatch) -> None:
    monkeypatch.setattr(deep_kernel, "CYCLES_COLD", 1)
    monkeypatch.setattr(deep_kernel, "LEARNING_RATE", 0.0)
    candidates, values, sigmas = data(features, 30)
    model = surrogate(features)
    model.fit(candidates, values, sigmas)
    found = model.predict()
    scale = values.std()
    learned = model._model
    kernel = ConstantKernel(learned.local_kernel.outputscale.item()) * Matern(
        learned.local_kernel.base_kernel.lengthscale.item(), nu=2.5
    ) + ConstantKernel(learned.trend_kernel.variance.item()) * DotProduct(sigma_0=0.0)
    noise = (sigmas / scale) ** 2 + deep_kernel.LEAST_NOISE + learned.likelihood.second_noise.item()
    peer = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None)
    base = structured_base(features, PATCH_SIZE)
    peer.fit(base[candidates], (values - values.mean()) / scale)
    mean, sigma = peer.predict(base, return_std=True)
    numpy.testing.assert_allclose(found.mean, mean * scale + values.mean(), atol=1e-6)
    numpy.testing.assert_allclose(found.sigma, sigma * scale, atol=1e-6)


def test_the_direct_covariance_is_the_gpytorch_models_own(features) -> None:
    model = surrogate(features)
    model.fit(*data(features, 20))
    base = torch.as_tensor(structured_base(features, PATCH_SIZE)[:50])
    with torch.no_grad():
        latent = model._model.embedding(base)
        direct = deep_kernel.covariance(model._model, latent, latent)
        variance = deep_kernel.prior_variance(model._model, latent)
        peer = model._model(base) if not model._model.training else model._model.forward(base)
        numpy.testing.assert_allclose(direct, peer.covariance_matrix, atol=1e-6)
        numpy.testing.assert_allclose(variance, peer.variance, atol=1e-6)


def test_the_loss_is_gpytorchs_marginal_likelihood_and_the_prior_of_the_network(features) -> None:
    candidates, values, _ = data(features, 20)
    model = surrogate(features)._model
    base = torch.as_tensor(structured_base(features, PATCH_SIZE)[candidates])
    targets = torch.as_tensor(values)
    known = torch.full((20,), 0.01, dtype=torch.float64)
    model.likelihood.noise_covar.noise = known
    peer = gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)(model.forward(base), targets)
    weights = sum(p.square().sum() for p in model.embedding.parameters())
    expected = -peer + 0.5 * deep_kernel.WEIGHT_PRECISION * weights / 20
    found = deep_kernel.negative_log_posterior(model, base, targets, known)
    assert found.item() == pytest.approx(expected.item(), abs=1e-6)


def test_it_learns(features) -> None:
    model = surrogate(features)
    model.fit(*data(features, 60))
    posterior = model.predict()
    truth = target(features)
    assert 1 - numpy.mean((posterior.mean - truth) ** 2) / truth.var() > 0.8
    assert numpy.mean(numpy.abs(posterior.mean - truth) < 1.96 * posterior.sigma) > 0.85


def test_new_data_replace_the_old(features) -> None:
    """The published tool kept the first data in a second fit."""
    candidates, values, sigmas = data(features, 30)
    model = surrogate(features)
    model.fit(candidates, values, sigmas)
    first = model.predict().mean
    model.fit(candidates, -values, sigmas)
    assert numpy.corrcoef(first, model.predict().mean)[0, 1] < -0.9


def test_measured_candidates_are_predicted_closely_and_surely(features) -> None:
    candidates, values, sigmas = data(features, 30)
    model = surrogate(features)
    model.fit(candidates, values, sigmas)
    posterior = model.predict()
    assert numpy.abs(posterior.mean[candidates] - values).max() < 0.3 * values.std()
    assert posterior.sigma[candidates].mean() < posterior.sigma.mean()


@settings(max_examples=10)
@given(st.floats(-100, 100), st.floats(0.01, 100))
def test_the_prediction_follows_the_unit_of_the_readings(features, offset, unit) -> None:
    candidates, values, sigmas = data(features, 15)
    one, other = surrogate(features), surrogate(features)
    one.fit(candidates, values, sigmas)
    other.fit(candidates, values * unit + offset, sigmas * unit)
    numpy.testing.assert_allclose(other.predict().mean, one.predict().mean * unit + offset, rtol=1e-3, atol=1e-3 * unit)
    numpy.testing.assert_allclose(other.predict().sigma, one.predict().sigma * unit, rtol=1e-2)


def test_equal_seeds_give_equal_predictions_whatever_others_draw(features) -> None:
    predictions = []
    for other_seed in (1, 2):
        torch.manual_seed(other_seed)
        model = surrogate(features, seed=5)
        for n in (10, 11, 12):
            model.fit(*data(features, n))
        predictions.append(model.predict().mean)
    numpy.testing.assert_array_equal(*predictions)


def test_no_global_state_is_touched(features) -> None:
    torch.manual_seed(3)
    state, dtype, threads = torch.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads()
    numpy_state = numpy.random.get_state()[1].copy()
    model = surrogate(features)
    model.fit(*data(features, 10))
    model.predict()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_default_dtype() is dtype
    assert torch.get_num_threads() == threads
    numpy.testing.assert_array_equal(numpy.random.get_state()[1], numpy_state)


@pytest.mark.parametrize(
    ("candidates", "values"),
    [([3], [1.0]), ([3, 3, 3], [1.0, 1.0, 1.0]), ([1, 2, 3, 4], [5.0, 5.0, 5.0, 5.0]), ([1, 1], [0.0, 1e6])],
)
def test_awkward_data_give_finite_predictions(features, candidates, values) -> None:
    model = surrogate(features)
    model.fit(numpy.array(candidates), numpy.array(values), numpy.zeros(len(values)))
    posterior = model.predict()
    assert numpy.isfinite(posterior.mean).all()
    assert (posterior.sigma > 0).all()


def test_a_training_that_fails_leaves_the_last_good_settings_and_says_so(features, monkeypatch) -> None:
    model = surrogate(features)
    model.fit(*data(features, 20))

    def fail(*args: object) -> float:
        raise torch.linalg.LinAlgError

    monkeypatch.setattr(model, "_train", fail)
    model.fit(*data(features, 21))
    assert model.notices == (
        "The model could not be trained on the last measurement: its last good settings are used.",
    )
    assert numpy.isfinite(model.predict().mean).all()


def test_a_gpu_out_of_memory_goes_on_on_the_cpu_and_says_so(features, monkeypatch) -> None:
    model = surrogate(features)
    learn, calls = model._learn, []

    def out_of_memory_once(*args: torch.Tensor) -> None:
        calls.append(args)
        if len(calls) == 1:
            raise torch.OutOfMemoryError
        learn(*args)

    monkeypatch.setattr(model, "_learn", out_of_memory_once)
    model.fit(*data(features, 20))
    assert model.notices == ("The GPU is out of memory: the model continues on the CPU.",)
    assert model.device_name == "CPU"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_in_one_sentence(features) -> None:
    with pytest.raises(ValueError, match="No CUDA GPU was found: choose CPU or Automatic"):
        DeepKernel(features, patch_size=PATCH_SIZE, seed=0, device="gpu")


def test_a_value_that_is_no_number_is_refused(features) -> None:
    with pytest.raises(ValueError, match="not a number"):
        surrogate(features).fit(numpy.array([1, 2]), numpy.array([1.0, numpy.nan]), numpy.zeros(2))


def test_the_untrained_network_is_the_identity() -> None:
    base = torch.randn(7, 16, dtype=torch.float64)
    network = ResidualNetwork(16, torch.Generator().manual_seed(0))
    assert torch.equal(network(base), base)


def test_the_base_keeps_the_distances_of_windowed_patches(features) -> None:
    """Sixteen components of the 25 pixels of these patches hold nearly all of the distance."""
    base = structured_base(features, PATCH_SIZE)
    offset = numpy.arange(PATCH_SIZE) - PATCH_SIZE // 2
    window = numpy.exp(-0.5 * (offset / (PATCH_SIZE / 5)) ** 2)
    windowed = features * numpy.outer(window, window).ravel()
    pairs = numpy.random.default_rng(0).choice(len(features), (200, 2))
    exact = numpy.linalg.norm(windowed[pairs[:, 0]] - windowed[pairs[:, 1]], axis=1)
    found = numpy.linalg.norm(base[pairs[:, 0]] - base[pairs[:, 1]], axis=1)
    assert numpy.corrcoef(exact, found)[0, 1] > 0.999
    assert numpy.mean(numpy.sum(base**2, axis=1)) == pytest.approx(1)
