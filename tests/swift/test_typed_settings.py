"""Settings are checked as they are typed; one panel serves all, for each test puts back what it has typed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.swift_in_process import opened_panels, simulated_microscope

pytestmark = pytest.mark.swift


@pytest.fixture(scope="module")
def handler(tmp_path_factory) -> Iterator[Any]:
    """The panel."""
    with simulated_microscope(tmp_path_factory.mktemp("swift")) as context, opened_panels() as open_panel:
        yield open_panel(context)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("patch_size", "0", "Patch size cannot be 0 px: choose 1 or more."),
        ("patch_size", "a", "Patch size cannot be 'a': type a whole number such as 13."),
        ("seed_points", "0", "The number of seed points is 0: choose 1 or more, or a saved model to start from."),
        ("exposure_ms", "-1", "Exposure cannot be -1 ms: choose more than 0 and at most 60,000 ms."),
        ("acquisition_parameter", "", "Acquisition parameter cannot be '': type a number such as 0.01."),
        ("random_seed", "1.5", "Random seed cannot be '1.5': type a whole number such as 0."),
        ("cross_arm_nm", "0", "Cross arm cannot be 0 nm: choose more than 0."),
    ],
)
def test_a_setting_is_checked_as_it_is_typed(handler, name, text, sentence) -> None:
    getattr(handler, f"{name}_edit").on_text_edited(text)
    assert handler.message.value == sentence
    assert not handler.start_button.enabled
    getattr(handler, f"{name}_edit").on_text_edited("9")
    assert handler.message.value == "Ready."
    assert handler.start_button.enabled


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("expression", "com_magnitude /", "The expression 'com_magnitude /' cannot be understood: write one such as"),
        ("expression", "ellipse(1)", "The expression gives ellipse 1 numbers: write ellipse(x, y, width, height)."),
        ("scalarizer_file", "nowhere.py", "There is no file nowhere.py of scalarizers: check its name."),
    ],
)
def test_a_file_or_an_expression_that_cannot_be_used_is_told(handler, name, text, sentence) -> None:
    edit = getattr(handler, f"{name}_edit")
    edit.on_text_edited(text)
    assert handler.message.value.startswith(sentence)
    assert not handler.start_button.enabled
    assert "Virtual ABF (fraction of the beam)" in handler.scalarizer_labels.value
    edit.on_text_edited("")
    assert handler.message.value == "Ready."
    assert handler.start_button.enabled
