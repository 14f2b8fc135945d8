"""Laws of the candidates of a plan on a survey."""

from __future__ import annotations

import dataclasses
import re

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.experiment import candidates_text, patches_for
from dkl_ae.model import model_cost, most_candidates
from dkl_ae.records import Survey
from dkl_ae.settings import Plan, make_plan


def survey(height: int, width: int) -> Survey:
    return Survey(numpy.arange(height * width, dtype=float).reshape(height, width), 0.02)


def plan_of(points: int, patch_size: int = 13, spacing: int = 0) -> Plan:
    return make_plan(seed_points=points, model_points=0, patch_size=patch_size, candidate_spacing=spacing)


@given(
    st.integers(30, 1100), st.integers(30, 1100), st.integers(1, 3000), st.sampled_from([1, 13, 29]), st.integers(0, 9)
)
def test_there_are_as_many_candidates_as_a_step_can_predict_and_no_fewer(height, width, points, size, chosen) -> None:
    patches = patches_for(plan_of(points, size, chosen), survey(height, width))
    if chosen:
        assert patches.spacing == chosen
        return
    assert patches.count <= most_candidates(points)
    if patches.spacing > 1:
        assert dataclasses.replace(patches, spacing=patches.spacing - 1).count > most_candidates(points)


@pytest.mark.parametrize(("side", "spacing"), [(64, 1), (128, 1), (256, 1), (512, 2), (1024, 4)])
def test_the_usual_run_measures_at_any_pixel_of_a_usual_survey(side, spacing) -> None:
    """10 + 60 points, patches of 13 pixels."""
    assert patches_for(Plan(), survey(side, side)).spacing == spacing


def test_it_is_told_which_pixels_are_candidates() -> None:
    told = candidates_text(patches_for(Plan(), survey(1024, 1024)))
    assert told == "64,009 candidates, every 4th of 1012 x 1012 pixels each way"
    assert candidates_text(patches_for(Plan(), survey(64, 64))) == "2,704 candidates"


@given(st.integers(1, 130))
def test_ordinal_numbers_are_english(spacing) -> None:
    """As the usual rule has them: 1st, 2nd, 3rd, all others and the teens with th."""
    if spacing == 1:
        return
    told = candidates_text(patches_for(plan_of(1, 1, spacing), survey(131, 131)))
    number = re.search(r"every (\d+)(st|nd|rd|th) ", told)
    assert number is not None
    teens = spacing % 100 in (11, 12, 13)
    assert number[2] == ("th" if teens else {1: "st", 2: "nd", 3: "rd"}.get(spacing % 10, "th"))


@given(st.integers(1, 3000), st.integers(1, 2**20), st.integers(0, 30))
def test_more_of_anything_costs_no_less(points, candidates, half) -> None:
    cost = model_cost(candidates, points, 2 * half + 1)
    for more in (
        model_cost(candidates + 1, points, 2 * half + 1),
        model_cost(candidates, points + 1, 2 * half + 1),
        model_cost(candidates, points, 2 * half + 3),
    ):
        assert more.longest_step_s >= cost.longest_step_s
        assert more.memory_bytes >= cost.memory_bytes


@pytest.mark.parametrize(
    ("candidates", "points", "patch_size", "longest_s", "memory_gb"),
    [(64_009, 70, 13, 1.96, 0.77), (55_696, 70, 41, 1.74, 1.14), (13_456, 2000, 13, 2.65, 0.52)],
)
def test_the_estimate_is_what_was_measured_within_a_factor_of_two(
    candidates, points, patch_size, longest_s, memory_gb
) -> None:
    """See docs/performance.md."""
    cost = model_cost(candidates, points, patch_size)
    assert 0.5 < cost.longest_step_s / longest_s < 2
    assert 0.5 < cost.memory_bytes / 1e9 / memory_gb < 2
