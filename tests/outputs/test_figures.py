"""Texts in figures mean what they say."""

from __future__ import annotations

import pathlib
import tempfile
import warnings

from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from dkl_ae.outputs import save_figure


@given(text=st.text("ab$\\_^{}% \n", max_size=12))
def test_a_text_of_any_signs_is_drawn(text) -> None:
    figure = Figure(figsize=(2, 2))
    axes = figure.subplots()
    axes.set(xlabel=text, ylabel=text, title=text, xticks=[], yticks=[])
    axes.plot([1, 2], [1, 1000], label=f"a{text}")
    axes.annotate(text, (1, 1))
    axes.legend()
    figure.suptitle(text)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # So many texts leave no room for the axes.
        warnings.simplefilter("ignore")
        save_figure(figure, pathlib.Path(folder, "figure"), dpi=20)


def test_a_dollar_is_a_dollar_and_powers_of_ten_are_written_as_such(tmp_path) -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.set(title="$price$", yscale="log", ylim=(1, 1e6))
    save_figure(figure, tmp_path / "figure.svg", "svg")
    drawn = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert "<!-- $price$ -->" in drawn
    assert "<!-- $\\mathdefault{10^{4}}$ -->" in drawn
    assert not axes.title.get_parse_math()
    assert all(tick.label1.get_parse_math() for tick in axes.yaxis.get_major_ticks())
