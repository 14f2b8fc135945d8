"""A run that is refused has exposed nothing: all that can be known before the survey is checked before it."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.experiment import ACQUISITIONS, deep_kernel_for
from dkl_ae.records import Patches, Survey, Symmetry, UserError
from dkl_ae.run import Event, Outcome, RunEnded, Runner
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.settings import make_plan
from tests.support.counting_instrument import CountingInstrument
from tests.support.surrogates import NearestNeighbour

FEW = {name: SCALARIZERS[name] for name in ("com_magnitude", "charge_density", "bragg_spacing")}
LATER = "Every candidate left is nearer than "
"""That depends on where the model goes."""

values = st.fixed_dictionaries(
    {},
    optional={
        "scalarizer": st.sampled_from(["com_magnitude", "charge_density", "colour"]),
        "seed_points": st.integers(0, 6) | st.integers(0, 10**30),
        "model_points": st.integers(0, 4) | st.integers(0, 10**30),
        "patch_size": st.sampled_from([1, 3, 5, 11, 13, 10**20 + 1]),
        "minimum_spacing_nm": st.sampled_from([0.0, 0.15, 0.5, 1e300]),
        "cross_arm_nm": st.sampled_from([0.001, 0.05, 0.3, 1e300]),
        "random_seed": st.integers(0, 10**40),
        "reference": st.sampled_from(["darkest", "mean", "region", "file"]),
        "reference_frames": st.integers(1, 4),
        "reference_region": st.sampled_from(["0, 0, 1, 1", "0.9, 0.9, 0.01, 0.01"]),
        "reference_file": st.sampled_from(["", "nowhere.npz"]),
        "descan": st.sampled_from(["none", "plane", "quadratic"]),
        "pretrained": st.sampled_from(["", "nowhere.dklmodel"]),
        "batch_size": st.integers(1, 10**20),
        "acquisition": st.sampled_from([*ACQUISITIONS, "luck"]),
    },
)
shapes = st.tuples(st.integers(2, 12), st.integers(2, 12))


def outcome_of(instrument: CountingInstrument, values: dict[str, Any]) -> RunEnded:
    events: list[Event] = []
    try:
        plan = make_plan(**values)
        Runner(instrument, plan, events.append, NearestNeighbour, scalarizers=FEW).run()
    except UserError as error:
        return RunEnded(Outcome.FAILED, str(error))
    return events[-1]


@given(values, shapes, st.floats(1e-3, 10))
def test_what_is_refused_has_exposed_nothing(values, shape, pixel_size_nm) -> None:
    instrument = CountingInstrument(shape, pixel_size_nm)
    ended = outcome_of(instrument, values)
    assert "The program failed" not in ended.message
    if ended.outcome is Outcome.FAILED and not ended.message.startswith(LATER):
        assert (instrument.surveys, instrument.exposures) == (0, 0)


@given(values, shapes)
def test_where_the_survey_is_not_known_before_no_pattern_is_exposed(values, shape) -> None:
    instrument = CountingInstrument(shape, is_known=False)
    ended = outcome_of(instrument, values)
    if ended.outcome is Outcome.FAILED and not ended.message.startswith(LATER):
        assert instrument.exposures == 0


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"model_points": 100},
            "The run asks for 10 seed points and 100 model points but the survey has 64 candidates",
        ),
        ({"patch_size": 13}, "The patch size is 13 px but the survey is 12 x 12 px"),
        ({"minimum_spacing_nm": 2.0}, "There is room for 1 of 10 seed points 2 nm apart"),
        ({"scalarizer": "charge_density", "cross_arm_nm": 2.0}, "The cross's arm of 2 nm would leave the survey"),
    ],
)
def test_the_sentence_is_that_of_what_does_not_fit(values, sentence) -> None:
    instrument = CountingInstrument()
    ended = outcome_of(instrument, {"patch_size": 5, "model_points": 20, **values})
    assert ended.message.startswith(sentence)
    assert (instrument.surveys, instrument.exposures) == (0, 0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_a_run_that_asks_for_one_exposes_nothing() -> None:
    instrument = CountingInstrument()
    plan = make_plan(patch_size=5, seed_points=2, model_points=2, compute_device="gpu")
    ended = Runner(instrument, plan, lambda event: None).run()
    assert ended.message == "No CUDA GPU was found: choose CPU or Automatic to compute on."
    assert (instrument.surveys, instrument.exposures) == (0, 0)


@pytest.mark.parametrize("seed", [2**32, 2**63 - 1, 2**63, 2**64, 10**40])
def test_any_random_seed_makes_a_model(seed) -> None:
    plan = make_plan(patch_size=3, random_seed=seed, compute_device="cpu")
    patches = Patches(Survey(numpy.random.default_rng(0).normal(size=(7, 8)), 0.1), 3)
    first, second = (
        deep_kernel_for(plan, patches, component, Symmetry.NONE).model.state_dict() for component in (1, 1)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
