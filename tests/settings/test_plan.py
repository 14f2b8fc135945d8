"""Plans are pure data: checked, kept exactly, and told in the settings' own words."""

from __future__ import annotations

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.settings import SETTINGS, changed, from_json, make_plan, to_json, to_text, values_of
from tests.support.strategies import plans


@given(plans)
def test_a_plan_survives_its_own_text_exactly(plan) -> None:
    again = from_json(to_json(plan))
    assert again == plan
    # 0.0 equals -0.0, and a float an int.
    assert repr(again) == repr(plan)


@given(st.sampled_from([known for known in SETTINGS.values() if known.kind is float]), st.floats())
def test_every_float_is_read_back_as_it_was_typed(known, value) -> None:
    assert repr(known.read(to_text(value))) == repr(value)


@given(plans)
def test_a_plan_is_made_of_its_values(plan) -> None:
    assert make_plan(**values_of(plan)) == plan
    assert changed(make_plan(), **values_of(plan)) == plan


def test_plans_of_version_0_1_are_read() -> None:
    old = {"scalarizer": "com_x", "steps": 7, "least_spacing_nm": 0.25, "embedding": "patches", "device": "cpu"}
    old |= {"mask_radius": 1.5, "detector_mirrored": True, "reference": "mean", "reference_frames": 9}
    plan = from_json(json.dumps(old))
    assert plan == make_plan(
        scalarizer="com_x",
        model_points=7,
        minimum_spacing_nm=0.25,
        kernel_input="patches",
        compute_device="cpu",
        mask_outer=1.5,
        flip_x=True,
        reference="mean",
        reference_frames=9,
    )


def test_making_a_plan_looks_at_no_file() -> None:
    plan = make_plan(scalarizer="anything", scalarizer_file="nowhere.py", expression="com_x +", pretrained="gone")
    assert plan.objective.scalarizer_file == "nowhere.py"


def test_every_setting_says_what_it_is() -> None:
    for known in SETTINGS.values():
        assert known.label[0].isupper()
        assert known.help.endswith(".")
        known.check(known.default)
    labels = [known.label for known in SETTINGS.values()]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"patch_size": 12}, "The patch size is 12 px, which has no central pixel: choose 13."),
        ({"patch_size": 0}, "Patch size cannot be 0 px: choose 1 or more."),
        ({"patch_size": 3.5}, "Patch size cannot be 3.5 px: give a whole number."),
        ({"seed_points": 0}, "The number of seed points is 0: choose 1 or more, or a saved model to start from."),
        (
            {"seed_points": 0, "model_points": 0, "pretrained": "some"},
            "The run has no seed points and no model points: ask for some.",
        ),
        ({"seed_points": -1}, "Seed points cannot be -1: choose 0 or more."),
        ({"model_points": -1}, "Model points cannot be -1: choose 0 or more."),
        ({"goal": "middle"}, "Optimize cannot be 'middle': choose one of largest, smallest, value."),
        ({"goal_value": math.nan}, "Target value cannot be nan: choose a number."),
        ({"kernel_input": "magic"}, "Model cannot be 'magic': choose one of combined, patches, network."),
        ({"batch_size": 0}, "Batch size cannot be 0: choose 1 or more."),
        ({"travel_cost": -0.5}, "Travel cost cannot be -0.5 per nm: choose 0 or more."),
        ({"minimum_spacing_nm": math.inf}, "Minimum spacing cannot be inf nm: choose a number."),
        ({"compute_device": "abacus"}, "Compute device cannot be 'abacus': choose one of auto, gpu, cpu."),
        ({"acquisition_parameter": -1.0}, "Acquisition parameter cannot be -1: choose 0 or more."),
        ({"exposure_ms": 0.0}, "Exposure cannot be 0 ms: choose more than 0 and at most 60,000 ms."),
        ({"colour": 1}, "There is no setting 'colour': choose one of scalarizer, "),
    ],
)
def test_a_plan_that_cannot_work_is_refused_in_one_sentence(settings_, message) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        make_plan(**settings_)


@pytest.mark.parametrize("text", ["", "{}x", '{"colour": 1}', "[1]"])
def test_a_text_that_is_no_plan_is_refused(text) -> None:
    with pytest.raises(ValueError, match="This is not a plan"):
        from_json(text)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"reference": "moon"}, "Reference cannot be 'moon': choose one of darkest, region, mean, file."),
        ({"reference": "region", "reference_region": "0, 0, 2, 1"}, "The region is '0, 0, 2, 1'"),
        ({"reference": "file"}, "The reference comes from a file but none is named"),
        ({"reference": "file", "reference_file": "a.npz", "descan": "plane"}, "A reference from a file brings its own"),
        ({"descan": "cubic"}, "Descan cannot be 'cubic': choose one of"),
        ({"mask_inner": 1.2}, "The mask of the centre of mass goes from 1.2 to 1.1 disc radii: choose a ring"),
        ({"cross_arm_nm": 0.0}, "Cross arm cannot be 0 nm: choose more than 0."),
        ({"detector_rotation_deg": math.inf}, "Detector rotation cannot be inf deg: choose a number."),
    ],
)
def test_a_plan_of_patterns_that_cannot_work_is_refused(changes, sentence) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the sentence is compared as it is
        make_plan(**changes)
    assert str(raised.value).startswith(sentence)
