"""What the panel asks for."""

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.experiment import Plan
from nionswift_plugin.dkl_ae_ui.run_panel.settings import (
    NUMBER_FIELDS,
    TEXT_FIELDS,
    Settings,
    default_parameter,
    remembered_texts,
)

# A reference from a file brings its own descan.
references = st.sampled_from([("darkest", "plane"), ("region", "none"), ("mean", "quadratic"), ("file", "none")])


def plans(reference: tuple[str, str]) -> st.SearchStrategy[Plan]:
    return st.builds(
        Plan,
        reference=st.just(reference[0]),
        descan=st.just(reference[1]),
        scalarizer=st.sampled_from(["com_x", "charge_density", "composite"]),
        expression=st.sampled_from(["com_x / abf", "ellipse(20, -5, 8, 10)"]),
        cross_arm_nm=st.sampled_from([0.03, 0.06]),
        mask_inner=st.sampled_from([0.0, 0.9]),
        mask_radius=st.sampled_from([1.1, math.inf]),
        reference_frames=st.integers(1, 100),
        reference_region=st.just("0.8, 0, 0.2, 0.3"),
        reference_file=st.text(min_size=1, max_size=5),
        detector_rotation_deg=st.sampled_from([-90.0, 0.0, 12.5]),
        detector_mirrored=st.booleans(),
        patch_size=st.integers(0, 40).map(lambda n: 2 * n + 1),
        seed_points=st.integers(1, 10**4),
        steps=st.integers(0, 10**5),
        acquisition_parameter=st.sampled_from([0.0, 0.01, 2.5]),
        goal=st.sampled_from(["largest", "value"]),
        goal_value=st.sampled_from([-1.5, 0.0, 3.0]),
        batch_size=st.integers(1, 20),
        travel_cost=st.sampled_from([0.0, 0.5]),
        least_spacing_nm=st.sampled_from([0.0, 0.2]),
        embedding=st.sampled_from(["combined", "network"]),
        random_seed=st.integers(0, 2**32),
        device=st.sampled_from(["auto", "cpu", "gpu"]),
    )


settings_of_all_kinds = st.builds(
    Settings,
    plan=references.flatmap(plans),
    exposure_ms=st.sampled_from([0.5, 10.0, 250.0]),
    survey_source=st.sampled_from(["acquire", "selected"]),
    instrument_id=st.text(max_size=5),
    channel=st.integers(0, 7),
)


@given(settings_of_all_kinds)
def test_settings_survive_their_texts(settings) -> None:
    assert Settings.from_texts(settings.to_texts()) == settings


def test_an_even_patch_size_is_met_by_the_next_odd_one_and_said_so() -> None:
    settings = Settings.from_texts({"patch_size": "12"})
    assert settings.plan.patch_size == 13
    assert settings.about_patch_size("12") == "Ready. A patch of 12 px has no central pixel: 13 px are used."
    assert settings.about_patch_size("13") == ""


def test_every_number_of_the_panel_is_a_setting() -> None:
    names = {field.name for field in dataclasses.fields(Settings)} | {field.name for field in dataclasses.fields(Plan)}
    assert {field.name for field in NUMBER_FIELDS} | set(TEXT_FIELDS) <= names


def test_your_own_scalarizers_survive_their_texts(tmp_path) -> None:
    file = tmp_path / "yours.py"
    file.write_text(
        "from dkl_ae.scalarizers import scalarizer\n\n"
        "@scalarizer(unit='electrons')\ndef brightest(electrons, reference):\n    return electrons.max()\n"
    )
    settings = Settings(Plan(scalarizer="brightest", scalarizer_file=str(file)))
    assert Settings.from_texts(settings.to_texts()) == settings


def test_a_file_that_is_gone_is_forgotten_alone() -> None:
    texts = Settings(Plan(steps=7)).to_texts() | {"scalarizer_file": "gone.py", "scalarizer": "brightest"}
    remembered = remembered_texts(json.dumps(texts))
    assert (remembered["steps"], remembered["scalarizer_file"], remembered["scalarizer"]) == ("7", "", "com_magnitude")


@given(st.text(max_size=40))
def test_whatever_is_stored_the_panel_can_start(stored) -> None:
    Settings.from_texts(remembered_texts(stored))


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e9", "0"])
def test_an_exposure_that_no_camera_has_is_refused(text) -> None:
    with pytest.raises(ValueError, match="choose more than 0 and at most 60,000 ms"):
        Settings.from_texts({"exposure_ms": text})


def test_the_usual_parameter_of_each_acquisition_function() -> None:
    assert default_parameter("expected_improvement") == "0.01"
    assert default_parameter("upper_confidence_bound") == "2"
