"""Figures as files."""

from __future__ import annotations

import pathlib
import typing

from dkl_ae.records import UserError

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure


def require_picture(picture: pathlib.Path, option: str) -> None:
    """Raises UserError, one sentence, for a name that does not end with a known format of pictures."""
    from matplotlib.figure import Figure

    known = Figure().canvas.get_supported_filetypes()
    if picture.suffix.lower().removeprefix(".") not in known:
        raise UserError(f"{picture} is of no format that is known: choose a .png or .svg file with {option}.")


def save_figure(figure: Figure, file: pathlib.Path, form: str = "png", dpi: float | None = None) -> None:
    """Write a figure; its texts mean what they say, for a dollar in them begins no formula.

    form: what a name of a picture ends with, without the dot.

    Raises OSError when it cannot be written.
    """
    from matplotlib.text import Text

    # Those numbers are the only formulas: matplotlib writes powers of ten so.
    of_ticks = {text for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for text in axis.findobj(Text)}
    of_ticks -= {axis.label for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)}
    for text in figure.findobj(Text):
        if text not in of_ticks:
            text.set_parse_math(False)
    figure.savefig(file, format=form, dpi="figure" if dpi is None else dpi)
