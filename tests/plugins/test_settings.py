"""What the panel asks for."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.reports.run_tables import settings_table
from dkl_ae.session import open_session
from dkl_ae.settings import (
    FILE,
    NO_DESCAN,
    REGION,
    SETTINGS,
    Plan,
    Setting,
    Value,
    changed,
    from_json,
    make_plan,
    to_json,
    to_text,
)
from nionswift_plugin.dkl_ae_ui.run_panel.settings import (
    about_patch_size,
    default_parameter,
    plan_of,
    remembered_texts,
    texts_of,
)
from nionswift_plugin.dkl_ae_ui.run_panel.view import build_view
from tests.support.recorded_patterns import DATA

FLOATS = [known for known in SETTINGS.values() if known.kind is float]


def values(known: Setting) -> st.SearchStrategy[Value]:
    """Whatever one setting can be, by what is known of it."""
    if known.choices is not None:
        return st.sampled_from(list(known.choices))
    if known.kind is bool:
        return st.booleans()
    if known.kind is str:
        return st.text(max_size=8)
    if known.kind is int:
        return st.integers(known.minimum)
    return st.floats(
        known.minimum if known.above is None else known.above,
        known.maximum,
        exclude_min=known.above is not None,
        allow_nan=False,
        allow_infinity=known.may_be_infinite,
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Any plan: each setting as it can be, and those that depend on each other in accord."""
    drawn = {key: draw(values(known), key) for key, known in SETTINGS.items()}
    drawn["patch_size"] = drawn["patch_size"] // 2 * 2 + 1
    drawn["seed_points"] += not drawn["pretrained"]
    drawn["model_points"] += not drawn["seed_points"]
    if drawn["mask_inner"] >= drawn["mask_outer"]:
        drawn["mask_outer"] = draw(st.floats(drawn["mask_inner"], exclude_min=True), "mask_outer")
    if drawn["reference"] == REGION:
        drawn["reference_region"] = draw(st.sampled_from(["0.8, 0, 0.2, 0.3", " 0,0,1,1"]), "reference_region")
    if drawn["reference"] == FILE:  # which brings its own descan
        drawn["reference_file"] = draw(st.text(min_size=1, max_size=8), "reference_file")
        drawn["descan"] = NO_DESCAN
    return make_plan(**drawn)


@given(plans())
def test_a_plan_survives_its_texts(plan) -> None:
    assert plan_of(texts_of(plan)) == plan


@given(plans())
def test_a_plan_survives_being_stored(plan) -> None:
    assert from_json(to_json(plan)) == plan


@given(st.sampled_from(FLOATS), st.floats(allow_nan=False))
def test_every_number_survives_its_text(known, value) -> None:
    assert known.read(to_text(value)) == value


@given(plans())
def test_a_plan_is_changed_by_all_of_its_values_into_itself(plan) -> None:
    texts = texts_of(plan)
    assert set(texts) == set(SETTINGS)
    assert changed(make_plan(), **{key: SETTINGS[key].read(text) for key, text in texts.items()}) == plan


def test_an_even_patch_size_is_met_by_the_next_odd_one_and_said_so() -> None:
    plan = plan_of({"patch_size": "12"})
    assert plan.search.patch_size == 13
    assert about_patch_size(plan, "12") == "Ready. A patch of 12 px has no central pixel: 13 px are used."
    assert about_patch_size(plan, "13") == ""


def test_what_is_missing_has_its_default_and_what_is_unknown_is_passed_over() -> None:
    assert plan_of({}) == make_plan()
    assert plan_of({"model_points": " 7 ", "of another version": "1"}) == make_plan(model_points=7)


@pytest.fixture
def yours(tmp_path) -> str:
    """A file with a scalarizer of the user's."""
    file = tmp_path / "yours.py"
    file.write_text(
        "from dkl_ae.scalarizers import scalarizer\n\n"
        "@scalarizer(unit='electrons')\ndef brightest(electrons, reference):\n    return electrons.max()\n"
    )
    return str(file)


def test_your_own_scalarizers_are_remembered(yours) -> None:
    texts = texts_of(make_plan(scalarizer="brightest", scalarizer_file=yours))
    assert remembered_texts(json.dumps(texts)) == texts


def test_a_file_that_is_gone_is_forgotten_alone() -> None:
    texts = texts_of(make_plan(model_points=7)) | {"scalarizer_file": "gone.py", "scalarizer": "brightest"}
    remembered = remembered_texts(json.dumps(texts))
    kept = ("model_points", "scalarizer_file", "scalarizer")
    assert tuple(remembered[key] for key in kept) == ("7", "", "com_magnitude")


def test_what_an_earlier_version_remembered_is_taken_over() -> None:
    stored = {"steps": "7", "least_spacing_nm": "0.2", "embedding": "network", "device": "cpu", "mask_radius": "inf"}
    remembered = remembered_texts(json.dumps(stored | {"detector_mirrored": "True"}))
    assert plan_of(remembered) == make_plan(
        model_points=7,
        minimum_spacing_nm=0.2,
        kernel_input="network",
        compute_device="cpu",
        mask_outer=float("inf"),
        flip_x=True,
    )


@given(st.text(max_size=40) | st.dictionaries(st.sampled_from(list(SETTINGS)), st.text(max_size=8)).map(json.dumps))
def test_whatever_is_stored_the_panel_can_start(stored) -> None:
    remembered = remembered_texts(stored)
    assert set(remembered) == set(SETTINGS)
    plan_of(remembered)


@pytest.mark.parametrize("expression", ["com_", "f(abf)", "com_x +", "ellipse(1)", '"abf"'])
def test_an_expression_that_cannot_be_used_is_forgotten_alone(expression) -> None:
    remembered = remembered_texts(json.dumps({"expression": expression, "random_seed": "7"}))
    assert (remembered["expression"], remembered["random_seed"]) == ("", "7")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nan", "Exposure cannot be nan ms: choose a number."),
        ("inf", "Exposure cannot be inf ms: choose a number."),
        ("-inf", "Exposure cannot be -inf ms: choose a number."),
        ("1e9", "Exposure cannot be 1e+09 ms: choose more than 0 and at most 60,000 ms."),
        ("0", "Exposure cannot be 0 ms: choose more than 0 and at most 60,000 ms."),
    ],
)
def test_an_exposure_that_no_camera_has_is_refused(text, sentence) -> None:
    with pytest.raises(ValueError, match="cannot be") as refused:
        plan_of({"exposure_ms": text})
    assert str(refused.value) == sentence


def test_the_usual_parameter_of_each_acquisition_function() -> None:
    assert default_parameter("expected_improvement") == "0.01"
    assert default_parameter("upper_confidence_bound") == "2"


def names_in(description: Any) -> Iterator[str]:
    """The names of all widgets that a description makes."""
    if isinstance(description, Mapping):
        if "name" in description:
            yield description["name"]
        description = list(description.values())
    if isinstance(description, list):
        for part in description:
            yield from names_in(part)


def test_every_setting_has_one_row_in_the_panel() -> None:
    rows = [name for name in names_in(build_view()) if name.endswith(("_edit", "_combo"))]
    assert sorted(name.rpartition("_")[0] for name in rows) == sorted(SETTINGS)


def test_every_setting_is_told_in_the_report() -> None:
    with open_session(DATA / "session-1.h5") as session:
        table = settings_table(session)
    assert [label for label, _ in table.rows] == [known.label for known in SETTINGS.values()]
