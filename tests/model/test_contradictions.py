"""Laws of readings that all others contradict."""

from __future__ import annotations

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dkl_ae.model import Posterior, ReadingModel, Readings
from dkl_ae.model.deep_kernel import DeepKernel
from dkl_ae.model.deep_kernel.contradictions import MOST_OUTLYING, outlying
from dkl_ae.model.deep_kernel.exact import ExactlyConditioned
from dkl_ae.model.deep_kernel.patch_coordinates import PatchCoordinates
from dkl_ae.model.deep_kernel.standardization import Standardization
from dkl_ae.records import Patches, Survey, Symmetry
from tests.support.lattice import PATCHES, SIZE, TRUTH, fit, lattice, measured
from tests.support.strategies import Data, data_sets

sizes = st.floats(10, 1e6).map(lambda size: size * TRUTH.std())


def deep_kernel_of(patches: Patches = PATCHES) -> DeepKernel:
    return DeepKernel(patches.features, patch_size=patches.size, seed=0, symmetry=Symmetry.NONE, device="cpu")


def with_false(data: Data, false: list[int], off: float) -> Data:
    values = data.values.copy()
    values[false] += off
    return Data(data.candidates, values, data.sigmas)


def r2(prediction: Posterior) -> float:
    return 1 - float(numpy.mean((prediction.mean - TRUTH) ** 2) / TRUTH.var())


@settings(max_examples=4)
@given(st.integers(0, 5), st.sets(st.integers(0, 39), min_size=1, max_size=3), sizes, st.sampled_from([1, -1]))
def test_a_few_false_readings_change_little_however_false_they_are(seed, false, size, sign) -> None:
    data = measured(40, seed)
    model = deep_kernel_of()
    wrong = fit(model, with_false(data, sorted(false), sign * size))
    assert set(numpy.flatnonzero(model.contradicted())) == false
    assert r2(wrong) > r2(fit(deep_kernel_of(), data)) - 0.05


@settings(max_examples=4)
@given(st.integers(0, 5))
def test_readings_that_patches_explain_are_all_believed(seed) -> None:
    model = deep_kernel_of()
    for count in (10, 25, 40):
        fit(model, measured(count, seed))
        assert not model.contradicted().any()
        assert not model.parameters().keys() & {"doubts", "outlying"}


@settings(max_examples=4)
@given(st.integers(0, 5), st.integers(10, 24), st.integers(1, 8), sizes)
def test_a_restored_model_doubts_what_the_interrupted_one_did(seed, start, more, size) -> None:
    data = with_false(measured(start + more, seed), [3, start], size)
    whole = deep_kernel_of()
    parts = [data.first(count) for count in range(start, start + more + 1)]
    kept = []
    for part in parts:
        fit(whole, part)
        if not kept or kept[-1][2] != whole.trainings:
            kept.append((len(part.values), whole.parameters(), whole.trainings))
    measurements, parameters, trainings = kept[-1]
    resumed = deep_kernel_of()
    resumed.restore(parameters, trainings)
    for part in parts:
        if len(part.values) >= measurements:
            fit(resumed, part)
    for name in ("mean", "sigma"):
        numpy.testing.assert_array_equal(getattr(resumed.predict(), name), getattr(whole.predict(), name))
    numpy.testing.assert_array_equal(resumed.contradicted(), whole.contradicted())


def specimen_with_one_dopant() -> tuple[Patches, numpy.ndarray, int]:
    """A lattice with one bright atom: its patches, readings that follow the brightness around, and the atom."""
    survey = lattice(36, 40).image
    row, column = numpy.mgrid[:36, :40]
    dopant = 12 * numpy.exp(-0.5 * ((row - 18) ** 2 + (column - 18) ** 2) / 1.5**2)
    patches = Patches(Survey(survey + dopant, 0.02), SIZE)
    truth = patches.inside(survey + dopant).ravel()
    return patches, truth, patches.candidate(18, 18)


@pytest.mark.parametrize("seed", range(3))
def test_a_dopant_is_believed_at_once_and_is_the_best_when_its_neighbour_agrees(seed) -> None:
    patches, truth, dopant = specimen_with_one_dopant()
    others = numpy.random.default_rng(seed).choice(patches.count, 30, replace=False)
    others = others[(others != dopant) & (others != dopant + 1)]
    sigma = numpy.full(others.size + 2, 0.05)
    candidates = numpy.array([*others, dopant, dopant + 1])
    model = deep_kernel_of(patches)
    for count in (others.size + 1, others.size + 2):
        fit(model, Data(candidates[:count], truth[candidates[:count]], sigma[:count]))
        assert not model.contradicted().any()
    assert not model.unconfirmed().any()


def test_a_contradicted_reading_makes_the_model_look_beside_it_and_what_agrees_there_ends_the_doubt() -> None:
    data, size = measured(60), 10 * TRUTH.std()
    wrong = with_false(data, [50], size)
    model = deep_kernel_of()
    plain, doubtful = fit(deep_kernel_of(), data), fit(model, wrong)
    assert model.contradicted()[50]
    place = data.candidates[50]
    assert doubtful.sigma[place] > 2 * plain.sigma[place]
    alike = numpy.argsort(numpy.linalg.norm(PATCHES.features - PATCHES.features[place], axis=1))
    alike = alike[~numpy.isin(alike, data.candidates)][:40]
    agreeing = Data(
        numpy.array([*data.candidates, *alike]),
        numpy.array([*wrong.values, *(TRUTH[alike] + size)]),
        numpy.full(100, 0.05),
    )
    fit(model, agreeing)
    assert not model.contradicted()[50]


@given(st.integers(0, 1000), st.integers(10, 40), st.data())
def test_false_readings_do_not_hide_each_other(seed, count, data) -> None:
    """However many they are, up to two fifths, and though all are off to one side."""
    random = numpy.random.default_rng(seed)
    false = random.choice(count, data.draw(st.integers(1, int(MOST_OUTLYING * count))), replace=False)
    values = random.normal(size=count)
    values[false] += data.draw(st.sampled_from([1, -1])) * data.draw(st.floats(25, 1e6))
    found = outlying(values, numpy.full(count, 0.1), numpy.ones(count), centred=True)
    assert set(numpy.flatnonzero(found)) == set(false)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_read_beside_a_false_reading_belies_it_and_is_believed_itself(seed) -> None:
    """Three of twelve readings are false, so that they pass for what is usual; beside each a true one is read."""
    data = measured(12, seed)
    free = [place for place in range(PATCHES.count) if place not in data.candidates]
    beside = [min(free, key=lambda place: PATCHES.distances_nm(one)[place]) for one in data.candidates[:3]]
    wrong = with_false(data, [0, 1, 2], 10 * TRUTH.std())
    candidates = numpy.array([*wrong.candidates, *beside])
    values = numpy.array([*wrong.values, *TRUTH[beside]])
    model = deep_kernel_of()
    for told in range(12, 16):
        fit(model, Data(candidates[:told], values[:told], numpy.full(told, 0.05)))
    assert set(numpy.flatnonzero(model.contradicted())) == {0, 1, 2}


FEATURES = numpy.random.default_rng(2).normal(size=(60, 9)).astype(numpy.float32)
COORDINATES = PatchCoordinates.of(FEATURES, 3, Symmetry.SCALAR, "combined", None)


@settings(max_examples=20)
@given(data_sets(60, least=3, most=20), st.integers(1, 19))
def test_what_is_left_out_is_the_same_however_the_data_come(data, first) -> None:
    model = COORDINATES.fresh_model(seed=0)
    targets = Standardization().targets(data.candidates, data.values, data.sigmas)
    nothing = torch.zeros(len(targets), dtype=torch.float64)
    whole = ExactlyConditioned(model, COORDINATES.coordinates, targets)
    appended = ExactlyConditioned(model, COORDINATES.coordinates, targets.part(slice(first)))
    if first < len(targets):
        appended.append(targets.part(slice(first, None)))
    rows = numpy.arange(len(targets))
    expected = whole.leave_one_out(rows, targets.values.numpy())
    for conditioned in (whole, appended):
        left_out = conditioned.left_out(targets, nothing, nothing > 0)
        numpy.testing.assert_allclose(left_out.residuals, targets.values.numpy() - expected.mean, atol=1e-8)
        numpy.testing.assert_allclose(left_out.variances.sqrt(), expected.sigma, atol=1e-8)


def test_the_operator_is_told_and_the_goal_is_not_set_by_what_is_contradicted() -> None:
    data = with_false(measured(40), [7], 1e3)
    model = ReadingModel(PATCHES.features, lambda *unused: deep_kernel_of(), symmetry=Symmetry.NONE, circular=False)
    learned = model.fit(Readings(data.candidates, data.values, data.sigmas, numpy.ones(40, bool)), 40)
    assert model.contradicted.tolist() == [data.candidates[7]]
    assert data.candidates[7] in model.unconfirmed
    assert learned.targets[0].max() < 100
    assert model.notices == (
        "1 reading is contradicted by the model and all other readings: weighed down, and not taken for the best.",
    )
