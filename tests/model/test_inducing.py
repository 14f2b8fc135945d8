"""Laws of a model of more measurements than it has inducing points."""

from __future__ import annotations

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dkl_ae.model.deep_kernel import DeepKernel, fixed_kernel, inducing, kernel
from dkl_ae.model.deep_kernel.exact import ExactlyConditioned
from dkl_ae.model.deep_kernel.inducing import SparselyConditioned, inducing_points
from dkl_ae.records import Symmetry
from tests.support.lattice import PATCHES, SIZE, TRUTH, assert_equal, fit, measured

FEW = 40


@pytest.fixture
def few_inducing_points(monkeypatch) -> None:
    """The limit as it would be for runs that are a hundred times as long."""
    monkeypatch.setattr(inducing, "MOST_INDUCING", FEW)
    monkeypatch.setattr("dkl_ae.model.deep_kernel.exactness.MOST_INDUCING", FEW)
    monkeypatch.setattr(SparselyConditioned.__init__, "__defaults__", (FEW,))


def deep_kernel() -> DeepKernel:
    return DeepKernel(
        PATCHES.features,
        patch_size=SIZE,
        seed=0,
        symmetry=Symmetry.SCALAR,
        device="cpu",
        positions=PATCHES.relative_positions,
    )


@pytest.mark.parametrize("seed", range(3))
def test_it_knows_more_than_from_as_few_measurements_as_it_has_points_and_says_how_much_less_than_exactly(seed) -> None:
    model, data = deep_kernel(), measured(250, seed)
    fit(model, data)
    parts, coordinates, targets = model.model, model.patches.coordinates, model.targets
    assert targets is not None
    exact, few = (ExactlyConditioned(parts, coordinates, some) for some in (targets, targets.part(slice(100))))
    sparse = SparselyConditioned(parts, coordinates, targets, most=100)
    means, variances = zip(*(conditioned.map() for conditioned in (exact, sparse, few)), strict=True)
    truth = torch.as_tensor((TRUTH - model.standardization.centre) / model.standardization.scale)
    errors = [(mean - truth).square().mean().sqrt() for mean in means]
    assert errors[1] < 0.5 * (errors[0] + errors[2])
    # What the points do not tell is taken for noise: nowhere is it much surer than it may be.
    deviations = [variance + parts.likelihood.second_noise.detach() for variance in variances]
    assert (deviations[1] / deviations[0]).min() > 0.7
    assert ((means[1] - means[0]).square() / deviations[1]).mean() < 0.5


@pytest.mark.usefixtures("few_inducing_points")
def test_a_long_run_still_learns() -> None:
    model = deep_kernel()
    few, many = fit(model, measured(FEW)), fit(model, measured(300))
    errors = [numpy.sqrt(numpy.mean((prediction.mean - TRUTH) ** 2)) for prediction in (few, many)]
    assert errors[1] < 0.7 * errors[0]
    assert numpy.mean(numpy.abs(many.mean - TRUTH) < 2 * many.sigma) > 0.9
    assert not model.contradicted().any()


@pytest.mark.usefixtures("few_inducing_points")
def test_a_false_reading_in_a_long_run_is_doubted_when_it_comes_and_when_the_model_was_trained() -> None:
    data = measured(2 * FEW + 20)
    data.values[2 * FEW + 4] += 1e3
    model = deep_kernel()
    fit(model, data.first(2 * FEW))
    for count in (2 * FEW + 5, 2 * FEW + 6, 2 * FEW + 20):
        prediction = fit(model, data.first(count))
        assert numpy.flatnonzero(model.contradicted()).tolist() == [2 * FEW + 4]
        assert model.unconfirmed()[2 * FEW + 4]
        assert numpy.abs(prediction.mean).max() < 10


@pytest.mark.usefixtures("few_inducing_points")
@settings(max_examples=6)
@given(st.integers(FEW - 5, FEW + 15), st.integers(1, 12))
def test_a_restored_model_says_what_the_interrupted_one_would_have(start, more) -> None:
    """To the bit, whether it was trained below the limit, at it or above."""
    data = measured(start + more)
    model, resumed = deep_kernel(), deep_kernel()
    fit(model, data.first(start))
    resumed.restore(model.parameters(), model.trainings)
    fit(resumed, data.first(start))
    for count in range(start + 1, start + more + 1):
        assert_equal(fit(model, data.first(count)), fit(resumed, data.first(count)), 0.0)


@settings(max_examples=10)
@given(st.integers(1, 120), st.integers(0, 5))
def test_inducing_points_are_few_of_the_measured_and_tell_of_each_other(count, seed) -> None:
    model = deep_kernel()
    candidates = numpy.random.default_rng(seed).choice(30, count)
    with torch.no_grad():
        latent = model.model.embedding(model.patches.coordinates[:, candidates])
        chosen, whitened = inducing_points(model.model, latent, 50)
        covariance = kernel.covariance(model.model, latent[:, chosen], latent)
        torch.testing.assert_close(whitened[:, chosen].T @ whitened, covariance, rtol=0, atol=1e-8)
        assert len(set(candidates[chosen])) == len(chosen) <= 30, "a place that is measured twice tells nothing twice"
        untold = kernel.prior_variance(model.model, latent) - whitened.square().sum(0)
        assert untold.max() < max(0.011 * model.model.likelihood.second_noise.item(), 1e-9 * covariance.max())


@settings(max_examples=10)
@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from(list(Symmetry)), st.booleans())
def test_a_fixed_kernel_is_the_kernel(rows, columns, symmetry, knows_positions) -> None:
    positions = PATCHES.relative_positions if knows_positions else None
    model = DeepKernel(PATCHES.features, patch_size=SIZE, seed=0, symmetry=symmetry, device="cpu", positions=positions)
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(fixed_kernel, "_SMALL", 0)
        latent = model.model.embedding(model.patches.coordinates[:, : rows + columns])
        left, right = latent[:, :rows], latent[:, rows - 1 :]
        expected = kernel.covariance(model.model, left, right)
        torch.testing.assert_close(fixed_kernel.fixed_covariance(model.model, left, right), expected, rtol=0, atol=1e-7)
