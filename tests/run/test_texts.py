"""Laws of what a run says in words."""

from __future__ import annotations

import numpy
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.model import ModelSummary, VarianceFractions
from dkl_ae.records import Position, Reading, Survey
from dkl_ae.run import Dose, StepTimes, dose_text, model_text, position_text, reading_text, times_text


def test_the_model_says_which_of_its_parts_explain_the_readings() -> None:
    summary = ModelSummary(VarianceFractions(0.3, 0.3, 0.021, 0.1, 0.279, 0.01), interval_scale=1.074)
    assert model_text(summary) == (
        "Variance: local structure 30 %, brightness trend 30 %, symmetry breaking 2 %, slow variation 10 %, "
        "residual noise 28 %. Network 1 % of distances. Error bars x 1.07"
    )


def test_a_model_without_parts_says_only_how_wide_its_error_bars_are() -> None:
    assert model_text(ModelSummary(None, 1.0)) == "Error bars x 1.00"


def test_nothing_learned_is_nothing_said() -> None:
    assert model_text(None) == ""


values = st.floats(-1e6, 1e6)


@given(values, st.floats(0, 1e3))
def test_a_reading_is_told_with_its_error_and_unit(value, sigma) -> None:
    assert reading_text(Reading(value, sigma, "mrad")) == f"{value:.4g} ± {sigma:.2g} mrad"
    assert reading_text(Reading(value, sigma, "")) == f"{value:.4g} ± {sigma:.2g}"


def test_the_error_that_readings_share_is_told_with_their_own() -> None:
    assert reading_text(Reading(1.0, 0.03, "mrad", common_sigma=0.04)) == "1 ± 0.05 mrad"


def test_what_is_undefined_says_why() -> None:
    undefined = float("nan")
    assert reading_text(Reading(undefined, undefined, "mrad", "beam is off: 0 counts.")) == (
        "undefined (beam is off: 0 counts)"
    )
    assert reading_text(Reading(undefined, undefined, "mrad")) == "undefined"


def test_a_dose_without_a_current_is_seconds_of_beam() -> None:
    assert dose_text(Dose(1.5, 3e9)) == "3e+09 electrons, 1.50 s of beam"
    assert dose_text(Dose(1.5)) == "1.50 s of beam"


def test_a_step_takes_what_measuring_and_the_model_take() -> None:
    assert times_text(StepTimes(0.010, 0.005, 0.2, 0.1)) == "15 ms measuring, 200 ms model"


def test_positions_are_told_from_the_centre_of_the_survey() -> None:
    survey = Survey(numpy.random.default_rng(0).random((20, 40)), 0.1)
    assert position_text(survey, Position(0.5, 0.5)) == "x 0.000, y 0.000 nm"
    assert position_text(survey, Position(y=0.25, x=1.0)) == "x 2.000, y -0.500 nm"
