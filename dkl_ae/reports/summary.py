"""A run at a glance, as one picture."""

from __future__ import annotations

import pathlib
import typing
from collections.abc import Sequence

import numpy
import numpy.typing

from dkl_ae.experiment import Maps
from dkl_ae.patterns import Reference
from dkl_ae.records import Measurement, Origin, Survey
from dkl_ae.reports.drawing import MODEL_COLOUR, SEED_COLOUR, logarithm, new_figure, show_detector
from dkl_ae.scalarizers import Scalarizer


def save_picture(
    file: pathlib.Path,
    *,
    survey: Survey,
    scalarizer: Scalarizer,
    measurements: Sequence[Measurement],
    maps: Maps | None,
    pattern: numpy.typing.NDArray[typing.Any],
    reference: Reference,
) -> None:
    """Save survey and path, the last maps, one pattern and the readings against the step, as PNG.

    pattern: shape (ky, kx), counts; shown on a logarithmic scale.
    """
    figure = new_figure(13, 8)
    axes = figure.subplots(2, 3)
    height, width = (side * survey.pixel_size_nm for side in survey.shape)
    extent = (0.0, width, height, 0.0)

    def show(axis: typing.Any, image: typing.Any, title: str, unit: str, colours: str, most: float = 100) -> None:
        shown = axis.imshow(image, extent=extent, cmap=colours, vmax=numpy.nanpercentile(image, most))
        axis.set(title=title, xlabel="x (nm)", ylabel="y (nm)")
        figure.colorbar(shown, ax=axis, label=unit, shrink=0.85)

    rows = numpy.array([m.position_read_back.y for m in measurements]) * height
    columns = numpy.array([m.position_read_back.x for m in measurements]) * width
    seeds = numpy.array([m.proposal.origin is Origin.SEED for m in measurements], numpy.bool_)
    show(axes[0, 0], survey.image, "Survey and path", "HAADF intensity", "gray", most=99)
    axes[0, 0].plot(columns, rows, color="#f0be5a", linewidth=0.5)
    axes[0, 0].plot(columns[seeds], rows[seeds], "o", color=SEED_COLOUR, markersize=4, label="seeds")
    axes[0, 0].plot(columns[~seeds], rows[~seeds], "o", color=MODEL_COLOUR, markersize=3, label="model")
    axes[0, 0].legend(loc="lower right", fontsize="small")
    if maps is not None:
        label = scalarizer.label
        show(axes[0, 1], maps.prediction, f"Prediction of {label}", scalarizer.unit, "viridis")
        show(axes[0, 2], maps.uncertainty, "Uncertainty (1 sigma)", scalarizer.unit, "plasma")
        show(axes[1, 2], maps.acquisition, "Acquisition", "score", "magma")
    shown = show_detector(axes[1, 0], logarithm(pattern), reference)
    axes[1, 0].set_title("Last pattern")
    figure.colorbar(shown, ax=axes[1, 0], label="log10(1 + counts)", shrink=0.85)
    readings = [m.readings[scalarizer.name] for m in measurements]
    steps = numpy.arange(1, len(readings) + 1)
    axes[1, 1].errorbar(steps, [r.value for r in readings], yerr=[r.sigma for r in readings], fmt=".", color="#444444")
    axes[1, 1].axvspan(0.5, seeds.sum() + 0.5, color=SEED_COLOUR, alpha=0.2, label="seeds")
    axes[1, 1].set(title="Readings", xlabel="step", ylabel=f"{scalarizer.label} ({scalarizer.unit})")
    axes[1, 1].legend(fontsize="small")
    figure.savefig(file, dpi=110)
