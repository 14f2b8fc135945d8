"""Laws of the deep kernel. A torch without a GPU is enough."""

import dataclasses
import itertools
from collections.abc import Iterator

import gpytorch
import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dkl_ae.model import ExactGP, Posterior
from dkl_ae.model.deep_kernel import (
    DeepKernel,
    conditioning,
    contradictions,
    kernel,
    single_threaded_torch,
    standardization,
    training,
)
from dkl_ae.model.deep_kernel import exact as exact_conditioning
from dkl_ae.model.deep_kernel.exact import ExactlyConditioned
from dkl_ae.model.descriptors import network, pca
from dkl_ae.model.descriptors.network import LEARNED_FEATURES, LearnedFeatures
from dkl_ae.model.descriptors.pca import COMPONENTS, pca_coordinates
from dkl_ae.records import Patches, Symmetry, symmetry_operations
from tests.support.lattice import PATCHES, SIZE, TRUTH, assert_equal, fit, lattice, measured
from tests.support.strategies import Data, data_sets


def deep_kernel_of(
    features=PATCHES.features,
    size: int = SIZE,
    seed: int = 0,
    symmetry: Symmetry = Symmetry.SCALAR,
    positions: numpy.ndarray | None = None,
) -> DeepKernel:
    return DeepKernel(features, patch_size=size, seed=seed, symmetry=symmetry, device="cpu", positions=positions)


def base_of(symmetry: Symmetry = Symmetry.SCALAR) -> numpy.ndarray:
    return pca_coordinates(PATCHES.features, SIZE, symmetry_operations(symmetry, SIZE))


def credulous(patch: pytest.MonkeyPatch) -> None:
    """Believe every reading, also those that a model contradicts."""
    patch.setattr(contradictions, "CONTRADICTED", numpy.inf)
    patch.setattr(contradictions, "OUTLYING", numpy.inf)


def untrained(patch: pytest.MonkeyPatch) -> None:
    """Leave every parameter as it starts, the network silent, and believe every reading."""
    credulous(patch)
    patch.setattr(network, "INITIAL_WEIGHT", 0.0)
    for name in ("CYCLES_COLD", "CYCLES_WARM"):
        patch.setattr(training, name, 0)


def exact(model: DeepKernel, data: Data, symmetry: Symmetry = Symmetry.SCALAR) -> ExactGP:
    """The exact GP with the hyperparameters that the model has, in the unit of the readings."""
    centre, scale = model.standardization.centre, model.standardization.scale
    parts = model.model
    process = ExactGP(
        base_of(symmetry),
        signs=numpy.array([element.sign for element in symmetry_operations(symmetry, SIZE)]),
        symmetry_breaking_scale=parts.symmetry_breaking_kernel.outputscale.item() * scale**2,
        length=parts.local_kernel.base_kernel.lengthscale.item(),
        output_scale=parts.local_kernel.outputscale.item() * scale**2,
        linear=parts.linear_kernel.variance.item() * scale**2,
        quadratic=parts.quadratic_kernel.variance.item() * scale**2,
        mean=parts.mean_module.constant.item() * scale + centre,
        noise=(parts.likelihood.second_noise.item() + standardization.MIN_NOISE) * scale**2,
    )
    process.fit(data.candidates, data.values, data.sigmas)
    return process


def oracle(model: DeepKernel, data: Data, symmetry: Symmetry = Symmetry.SCALAR) -> Posterior:
    posterior = exact(model, data, symmetry).predict()
    misfit = model.model.likelihood.second_noise.item() * model.standardization.scale**2
    return Posterior(posterior.mean, numpy.sqrt(posterior.sigma**2 + misfit))


def assert_sound(prediction: Posterior) -> None:
    assert prediction.mean.shape == prediction.sigma.shape == (PATCHES.count,)
    assert numpy.isfinite(prediction.mean).all()
    assert numpy.isfinite(prediction.sigma).all()
    assert (prediction.sigma > 0).all()


# The network silent


@settings(max_examples=10)
@given(data_sets(PATCHES.count, least=3, most=30), st.sampled_from(list(Symmetry)))
def test_with_a_silent_network_it_is_the_exact_gp(data, symmetry) -> None:
    with pytest.MonkeyPatch.context() as patch:
        untrained(patch)
        model = deep_kernel_of(symmetry=symmetry)
        assert_equal(fit(model, data), oracle(model, data, symmetry), 1e-6)


@settings(max_examples=10)
@given(data_sets(PATCHES.count, least=3, most=30))
def test_with_trained_hyperparameters_and_a_silent_network_it_is_the_exact_gp(data) -> None:
    with pytest.MonkeyPatch.context() as patch:
        credulous(patch)
        patch.setattr(LearnedFeatures, "forward", lambda network, base: base + 0 * network.last.sum())
        model = deep_kernel_of()
        prediction = fit(model, data)
        assert_equal(prediction, oracle(model, data), 1e-6)


@settings(max_examples=10)
@given(data_sets(PATCHES.count, least=3, most=30), st.sampled_from(list(Symmetry)))
def test_covariance_of_beliefs_and_what_is_left_out_are_those_of_the_exact_gp(data, symmetry) -> None:
    with pytest.MonkeyPatch.context() as patch:
        untrained(patch)
        model = deep_kernel_of(symmetry=symmetry)
        fit(model, data)
        process = exact(model, data, symmetry)
        left, right, rows = numpy.arange(5), numpy.arange(3, 40), numpy.arange(0, len(data.values), 2)
        numpy.testing.assert_allclose(model.covariance(left, right), process.covariance(left, right), atol=1e-6)
        values, predicted = model.leave_one_out(rows)
        numpy.testing.assert_allclose(values, data.values[rows], atol=1e-9)
        assert_equal(predicted, process.leave_one_out(rows)[1], 1e-6)


@pytest.mark.parametrize("kernel_input", ["combined", "patches", "network"])
def test_each_part_can_be_forced_and_says_its_share(kernel_input) -> None:
    model = DeepKernel(
        PATCHES.features, patch_size=SIZE, seed=0, symmetry=Symmetry.SCALAR, kernel_input=kernel_input, device="cpu"
    )
    assert model.variance_fractions() is None
    data = measured(60)
    prediction = fit(model, data)
    assert_sound(prediction)
    assert numpy.corrcoef(prediction.mean, TRUTH)[0, 1] > 0.5
    fractions = dataclasses.asdict(model.variance_fractions())
    assert list(fractions) == ["local", "trend", "symmetry_breaking", "slow_variation", "residual_noise", "network"]
    assert all(0 <= fraction <= 1 for fraction in fractions.values())
    network = fractions.pop("network")
    assert sum(fractions.values()) == pytest.approx(1)
    assert {"combined": network < 1, "patches": network == 0, "network": network == pytest.approx(1)}[kernel_input]


def test_what_patches_do_not_tell_is_in_the_uncertainty() -> None:
    """A truth that varies from place to place by what no patch shows is covered, however exact its readings are."""
    random = numpy.random.default_rng(0)
    truth = TRUTH + 0.3 * TRUTH.std() * random.normal(size=TRUTH.size)
    candidates = random.choice(PATCHES.count, 150, replace=False)
    prediction = fit(deep_kernel_of(), Data(candidates, truth[candidates], numpy.full(150, 1e-4)))
    unseen = numpy.setdiff1d(numpy.arange(PATCHES.count), candidates)
    covered = numpy.abs(prediction.mean - truth)[unseen] < 1.96 * prediction.sigma[unseen]
    assert 0.88 < covered.mean() < 0.99


def test_what_changes_slowly_over_the_survey_is_learned_where_patches_do_not_tell_it() -> None:
    """A strain that the position alone tells is predicted; where patches tell all, positions cost next to nothing."""
    y, x = PATCHES.relative_positions.T
    strain = TRUTH.std() * 3 * numpy.sin(4 * y + 3 * x)
    unexplained: dict[tuple[bool, bool], float] = {}
    for is_strained, knows_positions in itertools.product((True, False), repeat=2):
        truth = TRUTH + strain if is_strained else TRUTH
        candidates = numpy.random.default_rng(1).choice(PATCHES.count, 60, replace=False)
        model = deep_kernel_of(positions=PATCHES.relative_positions if knows_positions else None)
        prediction = fit(model, Data(candidates, truth[candidates], numpy.full(60, 1e-3)))
        unexplained[is_strained, knows_positions] = numpy.mean((prediction.mean - truth) ** 2) / truth.var()
        assert (model.variance_fractions().slow_variation > 0.05) == (is_strained and knows_positions)
    assert unexplained[True, True] < 0.3 * unexplained[True, False]
    assert unexplained[False, True] < unexplained[False, False] + 0.02


def test_patches_of_another_survey_have_no_position_in_this_one() -> None:
    """A model starts from what another saw: where that lay says nothing of this survey."""
    first = deep_kernel_of(positions=PATCHES.relative_positions)
    fit(first, measured(40))
    second = DeepKernel(
        PATCHES.features,
        patch_size=SIZE,
        seed=1,
        symmetry=Symmetry.SCALAR,
        transferred=first.state(),
        device="cpu",
        positions=PATCHES.relative_positions,
    )
    own, others = (
        second.patches.coordinates[0, : PATCHES.count, -2:],
        second.patches.coordinates[0, PATCHES.count :, -2:],
    )
    together = torch.cdist(others, torch.cat([own, others]))
    together[:, PATCHES.count :].fill_diagonal_(torch.inf)
    assert together.min() > 100
    assert_sound(fit(second, measured(10)))


def test_the_network_earns_its_place_where_distances_do_not_suffice() -> None:
    """A reading that swings along one component is far from its neighbours: the learned features bring it together."""
    truth = numpy.sin(6 * base_of()[0, :, 0])
    candidates = numpy.random.default_rng(0).choice(PATCHES.count, 60, replace=False)
    data = Data(candidates, truth[candidates], numpy.full(60, 0.01))
    explained = []
    for weight in (0.0, network.INITIAL_WEIGHT):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(network, "INITIAL_WEIGHT", weight)
            explained.append(1 - numpy.mean((fit(deep_kernel_of(), data).mean - truth) ** 2) / truth.var())
    assert explained[1] > explained[0] + 0.1


@settings(max_examples=10)
@given(data_sets(PATCHES.count, least=2, most=20), st.booleans())
def test_covariance_and_evidence_are_those_of_gpytorch(data, knows_positions) -> None:
    model = deep_kernel_of(positions=PATCHES.relative_positions if knows_positions else None)
    fit(model, data)
    parts = model.model
    base = model.patches.coordinates[:, data.candidates]
    targets, known = torch.as_tensor(data.values), torch.as_tensor(data.sigmas**2)
    with torch.no_grad():
        prior = parts.forward(base)
        latent = parts.embedding(base)
        ours = kernel.covariance(parts, latent, latent)
        torch.testing.assert_close(ours, ours.T, rtol=0, atol=1e-9)
        assert torch.linalg.eigvalsh(ours).min() > -1e-9
        torch.testing.assert_close(ours, prior.covariance_matrix, rtol=0, atol=1e-6)
        torch.testing.assert_close(kernel.prior_variance(parts, latent), prior.variance, rtol=0, atol=1e-9)
        noise = torch.diag(known + parts.likelihood.second_noise)
        evidence = torch.distributions.MultivariateNormal(prior.mean, prior.covariance_matrix + noise).log_prob(targets)
        for _, module, log_prior, value, _ in parts.named_priors():
            evidence = evidence + log_prior.log_prob(value(module)).sum()
        weights = sum(p.square().sum() for p in parts.embedding.parameters())
        expected = -(evidence - 0.5 * kernel.WEIGHT_PRECISION * weights) / len(targets)
        loss = kernel.negative_log_posterior(parts, base, targets, known)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)


def test_it_is_defined_by_gpytorch() -> None:
    assert isinstance(deep_kernel_of().model, gpytorch.models.ExactGP)


# The embedding


def test_the_base_is_principal_components_of_mean_squared_norm_one() -> None:
    for symmetry in Symmetry:
        base = base_of(symmetry)
        assert base.shape[:2] == (len(symmetry_operations(symmetry, SIZE)), PATCHES.count)
        assert COMPONENTS - 1 <= base.shape[2] <= COMPONENTS
        assert numpy.mean(numpy.sum(base**2, axis=2)) == pytest.approx(1)
        images = base.reshape(-1, base.shape[2])
        covariance = images.T @ images
        numpy.testing.assert_allclose(covariance, numpy.diag(covariance.diagonal()), atol=1e-6)
        assert (numpy.diff(covariance.diagonal()) <= 1e-9).all()


@given(st.integers(1, SIZE**2), st.sampled_from(list(Symmetry)))
@settings(max_examples=40)
def test_images_keep_their_distances(components, symmetry) -> None:
    """What two patches are apart, their images under one symmetry are; else the averaged kernel were none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pca, "COMPONENTS", components)
        base = base_of(symmetry)
    first, second = base[:, :50], base[:, 50:100]
    distances = numpy.linalg.norm(first - second, axis=2)
    numpy.testing.assert_allclose(distances, distances[:1].repeat(len(base), 0), atol=1e-9)


@pytest.mark.parametrize("size", [1, 3])
def test_small_patches_have_fewer_components(size) -> None:
    patches = Patches(lattice(), size)
    base = pca_coordinates(patches.features, size, symmetry_operations(Symmetry.X, size))
    assert base.shape[1:] == (patches.count, min(size**2, base.shape[2]))
    data = Data(numpy.arange(5), numpy.arange(5.0), numpy.full(5, 0.1))
    assert numpy.isfinite(fit(deep_kernel_of(patches.features, size), data).mean).all()


def test_the_network_says_the_same_of_every_image() -> None:
    base = torch.randn(8, 7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    network = LearnedFeatures(4, torch.Generator().manual_seed(0))
    torch.testing.assert_close(network(base)[..., :4], base, rtol=0, atol=0)
    latent = network(base)
    assert latent.shape == (8, 7, 4 + LEARNED_FEATURES)
    assert latent[0, :, 4:].abs().max() > 0.01
    for image in latent:
        torch.testing.assert_close(image[:, 4:], latent[0, :, 4:], rtol=0, atol=0)


# Learning


def test_it_explains_what_it_did_not_see() -> None:
    prediction = fit(deep_kernel_of(), measured(100))
    error = prediction.mean - TRUTH
    assert 1 - numpy.mean(error**2) / TRUTH.var() > 0.8
    assert numpy.mean(numpy.abs(error) < 1.96 * prediction.sigma) > 0.8


def test_refitting_uses_the_new_data_alone() -> None:
    model = deep_kernel_of()
    first, second = measured(20, seed=0), measured(20, seed=1)
    moved = Data(second.candidates, second.values + 100, second.sigmas)
    fit(model, first)
    prediction = fit(model, moved)
    assert prediction.mean.min() > 80
    assert numpy.abs(prediction.mean[moved.candidates] - moved.values).max() < 2


def test_each_measurement_that_is_believed_is_learned_at_once(monkeypatch) -> None:
    credulous(monkeypatch)
    model = deep_kernel_of()
    data = measured(30)
    fit(model, data.first(29))
    outlier = float(data.values.max() + 5)
    values = data.values.copy()
    values[29] = outlier
    before = model.predict().mean[data.candidates[29]]
    after = fit(model, Data(data.candidates, values, data.sigmas)).mean[data.candidates[29]]
    assert after > before + 1


@settings(max_examples=10)
@given(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_another_unit_of_the_reading_changes_only_the_unit(gain, offset) -> None:
    data = measured(15)
    first = fit(deep_kernel_of(), data)
    second = fit(deep_kernel_of(), Data(data.candidates, data.values * gain + offset, data.sigmas * gain))
    # An offset costs digits of the readings themselves.
    tolerance = 1e-4 * gain + 1e-9 * abs(offset)
    numpy.testing.assert_allclose(second.mean, first.mean * gain + offset, rtol=0, atol=tolerance)
    numpy.testing.assert_allclose(second.sigma, first.sigma * gain, rtol=0, atol=tolerance)


def test_noisier_readings_are_believed_less(monkeypatch) -> None:
    # With hyperparameters that learn, an exact outlier may raise the noise of all readings.
    untrained(monkeypatch)
    exact, noisy = measured(20), measured(20)
    exact.sigmas[0], noisy.sigmas[0] = 0.01, 3.0
    exact.values[0] = noisy.values[0] = exact.values.mean() + 3
    place = exact.candidates[0]
    assert fit(deep_kernel_of(), exact).mean[place] > fit(deep_kernel_of(), noisy).mean[place]
    assert fit(deep_kernel_of(), exact).sigma[place] < fit(deep_kernel_of(), noisy).sigma[place]


# Conditioning between trainings


@settings(max_examples=10)
@given(st.integers(21, 29), st.integers(1, 8), st.sampled_from(list(Symmetry)))
def test_appended_measurements_equal_a_solution_from_scratch(start, steps, symmetry) -> None:
    with pytest.MonkeyPatch.context() as patch:
        credulous(patch)
        patch.setattr(training, "GROWTH_BEFORE_TRAINING", 100.0)
        patch.setattr(training, "SURPRISE", 1e9)
        data = measured(start + steps)
        model = deep_kernel_of(symmetry=symmetry)
        fit(model, data.first(start))
        for count in range(start + 1, start + steps):
            model.fit(*(getattr(data.first(count), name) for name in ("candidates", "values", "sigmas")))
            if count % 2:
                model.predict()
        appended = fit(model, data)
        assert model.trainings == 1
        anew = ExactlyConditioned(model.model, model.patches.coordinates, model.targets)
        mean, variance = anew.map()
        sigma = (variance + model.model.likelihood.second_noise).sqrt()
        # The map's parts are kept in single precision.
        assert_equal(appended, model.standardization.posterior(mean.numpy(), sigma.detach().numpy()), 1e-5)


def test_training_waits_for_more_data_or_a_surprise() -> None:
    model, data = deep_kernel_of(), measured(60)
    fit(model, data.first(50))
    fit(model, data.first(51))
    fit(model, data.first(54))
    assert model.trainings == 1
    fit(model, data.first(56))
    assert model.trainings == 2
    values = data.values.copy()
    values[56] += 50
    fit(model, Data(data.candidates[:57], values[:57], data.sigmas[:57]))
    assert model.trainings == 3


def test_other_data_are_never_taken_for_more_of_the_same() -> None:
    data = measured(40)
    for change in ("candidates", "values", "sigmas"):
        model = deep_kernel_of()
        fit(model, data.first(39))
        changed = {name: getattr(data, name).copy() for name in ("candidates", "values", "sigmas")}
        changed[change][3] += 1
        fit(model, Data(**changed))
        assert model.trainings == 2


def test_restored_parameters_are_taken_instead_of_a_training_whatever_was_fitted_before() -> None:
    data = measured(31)
    learned = deep_kernel_of(seed=1)
    fit(learned, data)
    models = [deep_kernel_of(), deep_kernel_of()]
    fit(models[0], data.first(30))
    for model in models:
        model.restore(learned.parameters(), learned.trainings)
        assert_equal(fit(model, data), learned.predict(), 0)
        assert model.trainings == learned.trainings


# Symmetry


def rolled(symmetry: Symmetry) -> numpy.ndarray:
    """A reading with that symmetry: brightness around the centre, or its slope along x or y."""
    y, x = numpy.indices((SIZE, SIZE)) - SIZE // 2
    weight = {Symmetry.SCALAR: numpy.exp(-(x**2 + y**2) / 2), Symmetry.X: x, Symmetry.Y: y}[symmetry]
    reading = PATCHES.features.astype(float) @ weight.ravel()
    return numpy.tanh(reading / reading.std())


@pytest.mark.parametrize("symmetry", [Symmetry.SCALAR, Symmetry.X, Symmetry.Y])
def test_knowing_the_symmetry_helps(symmetry) -> None:
    truth = rolled(symmetry)
    errors = {known: [] for known in (symmetry, Symmetry.NONE)}
    for seed in range(4):
        candidates = numpy.random.default_rng(seed).choice(PATCHES.count, 15, replace=False)
        data = Data(candidates, truth[candidates], numpy.full(15, 0.01))
        for known, found in errors.items():
            prediction = fit(deep_kernel_of(symmetry=known), data)
            found.append(numpy.mean((prediction.mean - truth) ** 2) / truth.var())
    assert numpy.mean(errors[symmetry]) < numpy.mean(errors[Symmetry.NONE])


def test_a_symmetry_that_does_not_hold_is_given_up() -> None:
    """A slope along x told to be a scalar: the evidence finds the part of the kernel that breaks the symmetry."""
    truth = rolled(Symmetry.X)
    candidates = numpy.random.default_rng(0).choice(PATCHES.count, 120, replace=False)
    data = Data(candidates, truth[candidates], numpy.full(120, 0.01))
    model = deep_kernel_of(symmetry=Symmetry.SCALAR)
    error = numpy.mean((fit(model, data).mean - truth) ** 2) / truth.var()
    assert error < 0.1
    assert model.model.symmetry_breaking_kernel.outputscale > model.model.local_kernel.outputscale


# Determinism, and the state of others


def run(seed: int, disturb: bool) -> Posterior:
    model = deep_kernel_of(seed=seed)
    data = measured(30)
    for count in range(24, 31):
        if disturb:
            torch.randn(count)
            numpy.random.standard_normal(count)
        fit(model, data.first(count))
    return model.predict()


def test_the_same_seed_and_data_give_the_same_prediction_whatever_others_draw() -> None:
    first, second = run(0, disturb=False), run(0, disturb=True)
    numpy.testing.assert_array_equal(first.mean, second.mean)
    numpy.testing.assert_array_equal(first.sigma, second.sigma)


def test_another_seed_gives_another_network() -> None:
    assert (run(0, disturb=False).mean != run(1, disturb=False).mean).any()


@pytest.fixture
def two_threads() -> Iterator[None]:
    """The tests run on one thread, as the model does: to leave one would not show that it is given back."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_it_leaves_the_state_of_torch_and_numpy_alone() -> None:
    torch_state, numpy_state = torch.get_rng_state(), numpy.random.get_state()[1]
    threads, kind, gradients = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
    fit(deep_kernel_of(), measured(10))
    with pytest.raises(ValueError, match="not a number"):
        fit(deep_kernel_of(), Data(numpy.array([0]), numpy.array([numpy.nan]), numpy.array([1.0])))
    assert torch.equal(torch.get_rng_state(), torch_state)
    numpy.testing.assert_array_equal(numpy.random.get_state()[1], numpy_state)
    assert torch.get_num_threads() == threads
    assert torch.get_default_dtype() == kind
    assert torch.is_grad_enabled() == gradients


@pytest.mark.usefixtures("two_threads")
def test_the_number_of_threads_is_restored_after_a_failure() -> None:
    with pytest.raises(RuntimeError, match="disk"), single_threaded_torch():
        raise RuntimeError("disk")
    assert torch.get_num_threads() == 2


# Hard data


@settings(max_examples=10)
@given(data_sets(PATCHES.count, sigmas=st.floats(0, 2)))
def test_any_data_give_a_sound_prediction(data) -> None:
    assert_sound(fit(deep_kernel_of(), data))


def test_one_measurement_is_enough() -> None:
    prediction = fit(deep_kernel_of(), Data(numpy.array([4]), numpy.array([7.0]), numpy.array([0.1])))
    assert_sound(prediction)
    assert prediction.mean[4] == pytest.approx(7, abs=0.1)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_constant_readings_give_a_constant_map(value, sigma) -> None:
    data = Data(numpy.arange(3), numpy.full(3, value), numpy.full(3, sigma))
    prediction = fit(deep_kernel_of(), data)
    assert_sound(prediction)
    # The optimiser turns the rounding of equal values into steps far below the uncertainty.
    numpy.testing.assert_allclose(prediction.mean, value, rtol=0, atol=1e-3 * prediction.sigma.max())


def test_a_candidate_measured_twice_is_no_trouble() -> None:
    data = Data(numpy.array([4, 4, 4, 9]), numpy.array([1.0, 2.0, 3.0, 0.0]), numpy.zeros(4))
    model = deep_kernel_of()
    assert_sound(fit(model, data))
    assert not model.notices


def test_equal_patches_are_no_trouble() -> None:
    features = numpy.ones((PATCHES.count, SIZE**2), numpy.float32)
    model = deep_kernel_of(features)
    assert_sound(fit(model, measured(12)))


def test_hundreds_of_measurements_are_no_trouble(monkeypatch) -> None:
    patches = Patches(lattice(40, 40), SIZE)
    candidates = numpy.arange(1000)
    values = patches.features[candidates, 12].astype(float)
    prediction = fit(deep_kernel_of(patches.features), Data(candidates, values, numpy.full(1000, 1e-3)))
    assert numpy.isfinite(prediction.mean).all()
    assert (prediction.sigma > 0).all()


@pytest.mark.parametrize("bad", [numpy.nan, numpy.inf])
@pytest.mark.parametrize("field", ["values", "sigmas"])
def test_a_reading_that_is_not_a_number_is_refused(bad, field) -> None:
    data = measured(5)
    getattr(data, field)[2] = bad
    with pytest.raises(ValueError, match="leave it out"):
        fit(deep_kernel_of(), data)


def test_nothing_can_be_predicted_before_a_fit() -> None:
    with pytest.raises(RuntimeError, match="fit it first"):
        deep_kernel_of().predict()


# Failures that are worked around


def test_more_jitter_rescues_a_singular_covariance() -> None:
    matrix = torch.ones(4, 4, dtype=torch.float64) - 1e-7 * torch.eye(4, dtype=torch.float64)
    factor = kernel.safe_cholesky(matrix, torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(factor @ factor.T, matrix, rtol=0, atol=1e-4)


def test_a_failed_training_keeps_the_last_good_model(monkeypatch) -> None:
    model = deep_kernel_of()
    data = measured(20)
    fit(model, data.first(19))
    before = {name: value.clone() for name, value in model.model.state_dict().items()}

    def ruin(model, *_arguments) -> torch.Tensor:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(torch.nan)
        raise torch.linalg.LinAlgError("not positive definite")

    monkeypatch.setattr(training, "negative_log_posterior", ruin)
    monkeypatch.setattr(training, "GROWTH_BEFORE_TRAINING", 1.0)
    prediction = fit(model, data)
    assert_sound(prediction)
    assert model.notices == (
        "The model could not be trained on the last measurement: its last good settings are used.",
    )
    for name, value in model.model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert prediction.mean[data.candidates[19]] == pytest.approx(data.values[19], abs=1), "the data are the new ones"

    monkeypatch.undo()
    fit(model, data)
    assert model.notices == (), "a notice belongs to one fit"


def test_a_measurement_that_cannot_be_appended_brings_a_training(monkeypatch) -> None:
    model, data = deep_kernel_of(), measured(31)
    fit(model, data.first(30))
    honest, calls = exact_conditioning.safe_cholesky, []

    def once_singular(*arguments) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 1:
            raise torch.linalg.LinAlgError("not positive definite")
        return honest(*arguments)

    monkeypatch.setattr(exact_conditioning, "safe_cholesky", once_singular)
    assert_sound(fit(model, data))
    assert model.trainings == 2
    assert not model.notices


def test_parameters_ruined_by_the_last_training_step_are_taken_back(monkeypatch) -> None:
    model = deep_kernel_of()
    data = measured(20)
    fit(model, data.first(19))

    class Ruinous(training.LBFGS):
        def step(self, closure) -> torch.Tensor:
            loss = closure()
            for parameter in self.param_groups[0]["params"]:
                parameter.data.fill_(torch.nan)
            return loss

    monkeypatch.setattr(training, "LBFGS", Ruinous)
    monkeypatch.setattr(training, "GROWTH_BEFORE_TRAINING", 1.0)
    assert_sound(fit(model, data))
    assert len(model.notices) == 1


@pytest.mark.parametrize(("module", "name"), [(training, "negative_log_posterior"), (conditioning, "prior_variance")])
def test_without_gpu_memory_it_continues_on_the_cpu(monkeypatch, module, name) -> None:
    """The error is made up: `negative_log_posterior` stands for a fit, `prior_variance` for a prediction."""
    expected = fit(deep_kernel_of(), measured(10))
    honest = getattr(module, name)
    calls = []

    def once_out_of_memory(*arguments) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(*arguments)

    monkeypatch.setattr(module, name, once_out_of_memory)
    model = deep_kernel_of()
    prediction = fit(model, measured(10))
    assert model.notices == ("The GPU is out of memory: the model continues on the CPU.",)
    assert model.patches.coordinates.device.type == "cpu"
    numpy.testing.assert_array_equal(prediction.mean, expected.mean)


# Devices


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_asking_for_it_is_an_error_and_automatic_takes_the_cpu() -> None:
    with pytest.raises(ValueError, match="No CUDA GPU was found: choose CPU"):
        DeepKernel(PATCHES.features, patch_size=SIZE, seed=0, device="gpu")
    assert DeepKernel(PATCHES.features, patch_size=SIZE, seed=0).patches.coordinates.device.type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_gpu_and_cpu_agree() -> None:
    model = DeepKernel(PATCHES.features, patch_size=SIZE, seed=0, device="gpu")
    assert model.patches.coordinates.is_cuda
    assert_equal(fit(model, measured(30)), fit(deep_kernel_of(), measured(30)), 1e-3)
