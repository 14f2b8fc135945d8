"""Laws of what a run says in words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.model import ModelSummary, VarianceFractions
from dkl_ae.run import model_text

fractions = st.builds(VarianceFractions, *[st.floats(0, 1)] * 5)


def test_the_model_says_which_of_its_parts_explain_the_readings() -> None:
    summary = ModelSummary(VarianceFractions(0.4, 0.3, 0.021, 0.279, 0.01), interval_scale=1.074)
    assert model_text(summary) == (
        "Variance: local structure 40 %, brightness trend 30 %, symmetry breaking 2 %, residual noise 28 %. "
        "Network 1 % of distances. Error bars x 1.07"
    )


def test_a_model_without_parts_says_only_how_wide_its_error_bars_are() -> None:
    assert model_text(ModelSummary(None, 1.0)) == "Error bars x 1.00"


def test_nothing_learned_is_nothing_said() -> None:
    assert model_text(None) == ""


@given(fractions, st.floats(1, 1e6))
def test_a_session_has_room_for_it(parts, scale) -> None:
    assert len(model_text(ModelSummary(parts, scale)).encode()) <= 200
