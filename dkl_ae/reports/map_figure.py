"""A picture of the maps in a file, one panel a scalarizer, with a scale bar and the unit of each."""

from __future__ import annotations

import math
import pathlib

from dkl_ae.outputs import save_figure
from dkl_ae.reports.drawing import colours_of, new_figure, show_map

_COLUMNS = 4
_PANEL_INCHES = 2.6
_REFERENCE = "reference"


def draw_map_figure(file: pathlib.Path, picture: pathlib.Path, form: str) -> None:
    """Draw the maps that `dkl_ae.analysis.scalarized_maps` wrote.

    form: of the picture, such as png.

    Raises OSError when the picture cannot be written.
    """
    import h5py

    with h5py.File(file) as opened:
        names = [name for name in opened if name != _REFERENCE]
        columns = min(_COLUMNS, len(names))
        rows = math.ceil(len(names) / columns)
        figure = new_figure(columns * _PANEL_INCHES, rows * _PANEL_INCHES)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis in axes:
            axis.set_axis_off()
        for axis, name in zip(axes, names, strict=False):
            values, attributes = opened[name]["value"], opened[name].attrs
            colours = colours_of(values[:], circular=bool(attributes["circular"]))
            image = show_map(axis, values[:], opened.attrs["nm_per_pixel"], **colours)
            figure.colorbar(image, ax=axis, shrink=0.8).ax.tick_params(labelsize=6)
            unit = values.attrs["unit"]
            axis.set_title(f"{attributes['label']} ({unit})" if unit else attributes["label"], fontsize=8)
    save_figure(figure, picture, form, dpi=110)
