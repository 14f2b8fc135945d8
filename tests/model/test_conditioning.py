"""Laws of the posterior of a model that nobody has trained."""

from __future__ import annotations

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dkl_ae.model.deep_kernel import inducing
from dkl_ae.model.deep_kernel.conditioning import Conditioned
from dkl_ae.model.deep_kernel.exact import ExactlyConditioned
from dkl_ae.model.deep_kernel.inducing import SparselyConditioned
from dkl_ae.model.deep_kernel.kernel import covariance, prior_variance
from dkl_ae.model.deep_kernel.patch_coordinates import PatchCoordinates
from dkl_ae.model.deep_kernel.standardization import Standardization, Targets
from dkl_ae.records import Symmetry
from tests.support.strategies import Data, data_sets

SIZE, COUNT = 3, 60
FEATURES = numpy.random.default_rng(2).normal(size=(COUNT, SIZE**2)).astype(numpy.float32)
PATCHES = PatchCoordinates.of(FEATURES, SIZE, Symmetry.SCALAR, "combined", None)
MODEL = PATCHES.fresh_model(seed=0)


def sparsely(targets: Targets) -> Conditioned:
    """Every measurement is an inducing point, whatever little it tells."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inducing, "_NOTHING_LEFT", 0.0)
        return SparselyConditioned(MODEL, PATCHES.coordinates, targets)


def exactly(targets: Targets) -> Conditioned:
    return ExactlyConditioned(MODEL, PATCHES.coordinates, targets)


in_both_forms = pytest.mark.parametrize("conditioned_on", [exactly, sparsely])


def targets_of(data: Data) -> Targets:
    return Standardization().targets(data.candidates, data.values, data.sigmas)


@settings(max_examples=20)
@given(data_sets(COUNT, least=2, most=20), st.integers(1, 19))
def test_it_is_the_conditional_of_a_joint_normal_however_the_data_come(data, first) -> None:
    """Inverted as it stands, without a factor."""
    targets = targets_of(data)
    conditioned = exactly(targets.part(slice(first)))
    if first < len(targets):
        conditioned.map()
        conditioned.append(targets.part(slice(first, None)))
    mean, variance = conditioned.map()
    with torch.no_grad():
        latent = MODEL.embedding(PATCHES.coordinates)
        measured = latent[:, data.candidates]
        noise = targets.known_variance + MODEL.likelihood.second_noise
        gain = covariance(MODEL, latent, measured) @ torch.linalg.inv(
            covariance(MODEL, measured, measured) + torch.diag(noise)
        )
        constant = MODEL.mean_module.constant
        expected = covariance(MODEL, latent, latent) - gain @ covariance(MODEL, measured, latent)
        # The map is kept in single precision.
        torch.testing.assert_close(mean, constant + gain @ (targets.values - constant), rtol=0, atol=1e-5)
        torch.testing.assert_close(variance, expected.diagonal(), rtol=0, atol=1e-5)
    everywhere = numpy.arange(COUNT)
    rows = conditioned.covariance(everywhere[:7], everywhere)
    numpy.testing.assert_allclose(rows, expected[:7].numpy(), atol=1e-5)


@settings(max_examples=20)
@given(data_sets(COUNT, least=2, most=20), st.integers(0, 20), st.booleans())
def test_with_an_inducing_point_at_every_measurement_it_is_exact(data, again, is_mapped_before) -> None:
    """Also of what comes later, where it is measured where the points are."""
    targets = targets_of(data)
    later = targets_of(Data(data.candidates, data.values[::-1] + 0.3, data.sigmas[::-1])).part(slice(again))
    sparse, expected = sparsely(targets), exactly(targets)
    for conditioned in (sparse, expected):
        if is_mapped_before:
            conditioned.map()
    if len(later):
        errors = [conditioned.append(later) for conditioned in (sparse, expected)]
        # Each by those before it, in either form: the whitened ones of a joint normal are.
        torch.testing.assert_close(*errors, rtol=0, atol=1e-6)
    for part, other in zip(sparse.map(), expected.map(), strict=True):
        torch.testing.assert_close(part, other, rtol=0, atol=1e-5)
    everywhere = numpy.arange(COUNT)
    covariances = [conditioned.covariance(everywhere[:7], everywhere) for conditioned in (sparse, expected)]
    numpy.testing.assert_allclose(*covariances, atol=1e-5)
    whole = Targets(
        *(numpy.concatenate([targets.candidates, later.candidates]),),
        *(torch.cat([getattr(targets, name), getattr(later, name)]) for name in ("values", "known_variance")),
    )
    doubts, outlying = torch.zeros(len(whole), dtype=torch.float64), torch.zeros(len(whole), dtype=torch.bool)
    left_out = [conditioned.left_out(whole, doubts, outlying) for conditioned in (sparse, expected)]
    for name in ("residuals", "variances", "noise", "prior"):
        torch.testing.assert_close(*(getattr(one, name) for one in left_out), rtol=1e-6, atol=1e-6)


@in_both_forms
@settings(max_examples=20)
@given(data_sets(COUNT, least=3, most=20))
def test_what_is_left_out_is_predicted_by_the_others(conditioned_on, data) -> None:
    targets = targets_of(data)
    rows = numpy.arange(len(targets))
    left_out = conditioned_on(targets).leave_one_out(rows, targets.values.numpy())
    for row in rows[:3]:
        others = conditioned_on(targets.part(rows[rows != row]))
        mean, variance = (part[data.candidates[row]].item() for part in others.map())
        noise = (targets.known_variance[row] + MODEL.likelihood.second_noise).item()
        assert left_out.mean[row] == pytest.approx(mean, abs=1e-5)
        assert left_out.sigma[row] ** 2 == pytest.approx(variance + noise, abs=1e-5)


def test_nothing_measured_is_the_prior() -> None:
    nothing = Data(numpy.empty(0, int), numpy.empty(0), numpy.empty(0))
    conditioned = exactly(targets_of(nothing))
    mean, variance = conditioned.map()
    with torch.no_grad():
        prior = prior_variance(MODEL, MODEL.embedding(PATCHES.coordinates))
    torch.testing.assert_close(variance, prior)
    assert (mean == MODEL.mean_module.constant).all()


def test_what_cannot_be_appended_leaves_it_as_it_was(monkeypatch) -> None:
    data = Data(numpy.arange(6), numpy.arange(6.0), numpy.full(6, 0.1))
    conditioned = exactly(targets_of(data))
    before = [part.clone() for part in conditioned.map()]

    def singular(*arguments) -> torch.Tensor:
        raise torch.linalg.LinAlgError("not positive definite")

    monkeypatch.setattr("dkl_ae.model.deep_kernel.exact.safe_cholesky", singular)
    with pytest.raises(torch.linalg.LinAlgError):
        conditioned.append(targets_of(Data(numpy.array([9]), numpy.array([1.0]), numpy.array([0.1]))))
    assert len(conditioned) == 6
    for part, kept in zip(conditioned.map(), before, strict=True):
        torch.testing.assert_close(part, kept, rtol=0, atol=0)
