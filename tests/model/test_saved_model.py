"""Laws of saved models."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from typing import Any

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dkl_ae.model.deep_kernel import DeepKernel
from dkl_ae.model.saved_model import VERSION, ModelState, SavedModel
from dkl_ae.records import Symmetry
from tests.support.lattice import PATCHES, SIZE, TRUTH, assert_equal, fit, measured
from tests.support.strategies import Data


def trained(count: int = 40, symmetry: Symmetry = Symmetry.SCALAR) -> DeepKernel:
    model = DeepKernel(PATCHES.features, patch_size=SIZE, seed=0, symmetry=symmetry, device="cpu")
    fit(model, measured(count))
    return model


def started_from(state: ModelState, features: numpy.ndarray = PATCHES.features) -> DeepKernel:
    return DeepKernel(features, patch_size=SIZE, seed=0, symmetry=Symmetry.SCALAR, transferred=state, device="cpu")


def saved(file: pathlib.Path, **changes: Any) -> SavedModel:
    model = SavedModel("com_magnitude", SIZE, 0.02, (trained().state(),))
    model = dataclasses.replace(model, **changes)
    model.save(file)
    return model


NOTHING = numpy.empty(0, int), numpy.empty(0), numpy.empty(0)


def test_what_was_learned_predicts_before_anything_is_measured() -> None:
    model = started_from(trained().state())
    model.fit(*NOTHING)
    prediction = model.predict()
    error = prediction.mean - TRUTH
    assert 1 - numpy.mean(error**2) / TRUTH.var() > 0.6
    assert numpy.mean(numpy.abs(error) < 1.96 * prediction.sigma) > 0.8


def test_it_sees_another_survey_with_the_same_eyes() -> None:
    """Patches that both surveys hold are predicted alike, whatever else is there."""
    part = PATCHES.features[100:]
    whole, cut = (started_from(trained().state(), features) for features in (PATCHES.features, part))
    for model in (whole, cut):
        model.fit(*NOTHING)
    numpy.testing.assert_allclose(cut.predict().mean, whole.predict().mean[100:], atol=1e-9)


def test_own_measurements_are_learned_on_top() -> None:
    """What it was told before was wrong: ten own readings bring it round there, though the earlier ones were many."""
    state = trained(60).state()
    wrong = dataclasses.replace(state, values=state.values + 5)
    model, data = started_from(wrong), measured(30, seed=7)
    model.fit(*NOTHING)
    before = numpy.abs(model.predict().mean - TRUTH)[data.candidates].mean()
    after = numpy.abs(fit(model, data).mean - TRUTH)[data.candidates].mean()
    assert after < 0.3 * before


@pytest.mark.parametrize("trainings", [1, 2, 3])
def test_a_restored_model_doubts_what_it_started_from_as_the_one_that_was_interrupted(trainings) -> None:
    """How far the earlier readings are doubted follows from what they let one expect, not from what was learned since.

    trainings: of the one that was interrupted; with one it has learned nothing of its own yet.
    """
    start = trained(80 if trainings == 1 else 20).state()
    start = start if trainings == 1 else dataclasses.replace(start, values=start.values + 1)
    model, again, data = started_from(start), started_from(start), measured(40, seed=7)
    for count in range(2, 38):
        fit(model, first(data, count))
        if model.trainings == trainings:
            break
    assert model.trainings == trainings
    again.restore(model.parameters(), model.trainings)
    assert_equal(fit(again, first(data, count)), model.predict(), 0)
    for more in (1, 2):
        assert_equal(*(fit(m, first(data, count + more)) for m in (again, model)), 0)
        assert again.trainings == model.trainings


def first(data: Data, count: int) -> Data:
    return Data(*(part[:count] for part in dataclasses.astuple(data)))


@settings(max_examples=5)
@given(st.integers(5, 20))
def test_rows_and_candidates_are_its_own(count) -> None:
    model, data = started_from(trained().state()), measured(count, seed=3)
    prediction = fit(model, data)
    assert prediction.mean.shape == (PATCHES.count,)
    values, predicted = model.leave_one_out(numpy.arange(count))
    numpy.testing.assert_allclose(values, data.values, atol=1e-9)
    assert predicted.sigma.shape == (count,)
    assert model.covariance(numpy.arange(3), numpy.arange(PATCHES.count)).shape == (3, PATCHES.count)


def test_a_file_says_what_was_saved(tmp_path) -> None:
    file = tmp_path / "graphene.dklmodel"
    kept, read = saved(file), SavedModel.load(file)
    assert (read.scalarizer, read.patch_size, read.pixel_size_nm) == ("com_magnitude", SIZE, 0.02)
    first, second = started_from(kept.components[0]), started_from(read.components[0])
    data = measured(12, seed=1)
    assert_equal(fit(first, data), fit(second, data), 0)


def test_a_file_of_the_first_version_is_read() -> None:
    """Its parameters have the names of that time; its reading was learned as it would be today."""
    file = pathlib.Path(__file__).parents[1] / "data" / "model-1.dklmodel"
    (state,) = SavedModel.load(file).components
    model = started_from(state)
    assert "free_kernel.raw_outputscale" in state.parameters
    assert model.parameters()["symmetry_breaking_kernel.raw_outputscale"] == pytest.approx(
        state.parameters["free_kernel.raw_outputscale"].numpy()
    )
    model.fit(*NOTHING)
    assert numpy.corrcoef(model.predict().mean, TRUTH)[0, 1] > 0.5


def test_parameters_of_the_first_version_are_restored() -> None:
    """As a session's checkpoint has them."""
    model = trained()
    parameters = {
        name.replace("symmetry_breaking_kernel", "free_kernel"): value for name, value in model.parameters().items()
    }
    assert set(parameters) != set(model.parameters())
    again = DeepKernel(PATCHES.features, patch_size=SIZE, seed=1, symmetry=Symmetry.SCALAR, device="cpu")
    again.restore(parameters, model.trainings)
    assert_equal(fit(again, measured(40)), model.predict(), 0)


def test_what_was_learned_from_a_start_can_be_saved_again() -> None:
    model = started_from(trained(20).state())
    fit(model, measured(15, seed=4))
    assert len(model.state().values) == 35


def test_nothing_learned_cannot_be_saved() -> None:
    model = DeepKernel(PATCHES.features, patch_size=SIZE, seed=0, device="cpu")
    with pytest.raises(RuntimeError, match="has learned nothing yet"):
        model.state()


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pathlib.Path.touch, (pathlib.Path("evil"),))


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04 neither", "pickle", "list", "cut"])
def test_a_file_that_is_no_model_is_refused_in_one_sentence_and_never_executed(content, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "wrong.dklmodel"
    if content == "pickle":
        torch.save({"format": "dkl-ae model", "parts": Evil()}, file)
    elif content == "list":
        torch.save([1, 2], file)
    elif content == "cut":
        saved(file)
        file.write_bytes(file.read_bytes()[:1000])
    else:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=r"is not a saved model(, or is damaged)?: choose another\.$"):
        SavedModel.load(file)
    assert not pathlib.Path("evil").exists()


def test_a_file_that_is_not_there_or_too_new_is_refused(tmp_path, monkeypatch) -> None:
    with pytest.raises(ValueError, match=r"cannot be read \(No such file or directory\): choose another"):
        SavedModel.load(tmp_path / "none.dklmodel")
    monkeypatch.setattr("dkl_ae.model.saved_model.VERSION", VERSION + 1)
    saved(tmp_path / "new.dklmodel")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="saved by a newer version of dkl-ae"):
        SavedModel.load(tmp_path / "new.dklmodel")


def test_a_model_that_does_not_fit_the_run_is_refused(tmp_path) -> None:
    model = saved(tmp_path / "model.dklmodel")
    model.require_scalarizer("com_magnitude", SIZE)
    model.require_pixel_size(0.0205)
    for call, sentence in (
        (lambda: model.require_scalarizer("abf", SIZE), "The saved model predicts com_magnitude but the run optimizes"),
        (lambda: model.require_scalarizer("com_magnitude", 13), "The saved model sees patches of 5 px but the run has"),
        (
            lambda: model.require_pixel_size(0.04),
            "The saved model was trained on pixels of 0.02 nm but the survey",
        ),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
            call()
