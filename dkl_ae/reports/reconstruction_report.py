"""The report of maps that were reconstructed from random parts of a recording."""

from __future__ import annotations

import pathlib
import typing
from collections.abc import Callable

import numpy

from dkl_ae.analysis import MAX_TRAINING_POINTS, FractionResult, Reconstruction, ReconstructionResult
from dkl_ae.patterns import zero_notice
from dkl_ae.records import FloatArray
from dkl_ae.reports.drawing import colours_of, new_figure, show_map
from dkl_ae.reports.page import Callout, Picture, Section, Table, percent, pluralized, quantity, write_page

FEW_READINGS: typing.Final = 10
"""Fewer do not tell how much a reading varies over the specimen."""

_PANEL_INCHES = 2.5
_UNKNOWN = "-"


def write_reconstruction_report(result: ReconstructionResult, folder: pathlib.Path) -> pathlib.Path:
    """Write a page with the figures of every reading, and the figures as PNG and SVG; returns the page's file.

    Raises OSError when the folder cannot be written.
    """
    notice = zero_notice(result.reference)
    doubts = [Callout(notice)] if notice else []
    sections = [Section("In numbers", [*doubts, _introduction(result), _numbers(result)])]
    sections += [
        Section(
            reconstruction.scalarizer.label, [reconstruction.scalarizer.description, _picture(result, reconstruction)]
        )
        for reconstruction in result.reconstructions
    ]
    return write_page(folder, f"{result.request.file.name}, reconstructed from parts of it", sections)


def _introduction(result: ReconstructionResult) -> str:
    height, width = result.survey.shape
    size = result.settings.patch_size
    return (
        f"Some of the {height} x {width} patterns were read, at random places; from their readings and the survey "
        f"around them, in patches of {size} x {size} pixels, the model predicted what all others read. R2 is the share "
        "of the truth's variance that it predicted (1: all, 0: no better than the mean) at places that it did not "
        "learn from; 68 % and 95 % of the truth there should be within 1 and 1.96 of the standard deviations that it "
        "expected."
    )


def _numbers(result: ReconstructionResult) -> Table:
    rows = [
        (
            reconstruction.scalarizer.label,
            percent(part.fraction),
            f"{part.places:,}",
            f"{part.learned:,}",
            *_quality_in_words(part),
            quantity(part.mean_uncertainty, reconstruction.scalarizer.unit),
        )
        for reconstruction in result.reconstructions
        for part in reconstruction.parts
    ]
    head = ("reading", "of all", "places", "learned from", "R2", "within 1", "within 1.96", "mean uncertainty")
    return Table(head, rows)


def _quality_in_words(part: FractionResult) -> tuple[str, str, str]:
    if part.quality is None:
        return _UNKNOWN, _UNKNOWN, _UNKNOWN
    return f"{part.quality.r2:.2f}", f"{100 * part.quality.covered_68:.0f} %", f"{100 * part.quality.covered_95:.0f} %"


def _picture(result: ReconstructionResult, reconstruction: Reconstruction) -> Picture:
    """Survey and truth in the first column, then a column for each fraction: measured, predicted, uncertain."""
    scalarizer, parts = reconstruction.scalarizer, reconstruction.parts
    figure = new_figure(_PANEL_INCHES * (len(parts) + 1) + 0.8, 3 * _PANEL_INCHES + 0.3)
    axes = figure.subplots(3, len(parts) + 1, squeeze=False)
    most_known = max(parts, key=lambda part: part.places).prediction
    shown = most_known if reconstruction.truth is None else reconstruction.truth
    readings = colours_of(shown, circular=scalarizer.circular)
    uncertainties = {"cmap": "plasma", "vmin": 0.0, "vmax": _largest([part.uncertainty for part in parts])}
    nm_per_pixel = result.survey.pixel_size_nm
    show_map(axes[0, 0], result.survey.image, nm_per_pixel, cmap="gray")
    axes[0, 0].set_title("survey", fontsize="medium")
    if reconstruction.truth is None:
        axes[1, 0].set_axis_off()
    else:
        show_map(axes[1, 0], reconstruction.truth, nm_per_pixel, **readings)
        axes[1, 0].set_title("truth", fontsize="medium")
    axes[2, 0].set_axis_off()
    for column, part in zip(axes.T[1:], parts, strict=True):
        column[0].set_title(f"{percent(part.fraction)}: {pluralized(part.places, 'place')}", fontsize="medium")
        show_map(column[0], part.measured, nm_per_pixel, **readings)
        predicted = show_map(column[1], part.prediction, nm_per_pixel, **readings)
        uncertain = show_map(column[2], part.uncertainty, nm_per_pixel, **uncertainties)
    for axis, name in zip(axes[:, 1], ("measured", "predicted", "uncertainty"), strict=True):
        axis.set_ylabel(name)
    figure.colorbar(predicted, ax=list(axes[:2].ravel()), label=scalarizer.title, shrink=0.6)
    figure.colorbar(uncertain, ax=list(axes[2]), label=scalarizer.unit, shrink=0.9)
    return Picture(scalarizer.name, figure, _caption(reconstruction))


def _largest(images: list[FloatArray]) -> float:
    numbers = numpy.concatenate([image[numpy.isfinite(image)] for image in images])
    return float(numpy.percentile(numbers, 99)) if numbers.size else 1.0


def _caption(reconstruction: Reconstruction) -> str:
    scalarizer, parts = reconstruction.scalarizer, reconstruction.parts

    def each(text_of: Callable[[FractionResult], str]) -> str:
        return ", ".join(map(text_of, parts))

    beside = "" if reconstruction.truth is None else ", beside the truth"
    uncertain = f"{each(lambda part: quantity(part.mean_uncertainty, ''))} {scalarizer.unit}".rstrip()
    text = (
        f"{scalarizer.label}, measured at {each(lambda part: f'{part.places:,}')} places at random (top; grey: not "
        f"measured), what the model predicts (middle{beside}; R2 {each(lambda part: _quality_in_words(part)[0])}), and "
        f"by how much it expects to be off (bottom; on average {uncertain})."
    )
    if any(part.places > MAX_TRAINING_POINTS for part in parts):
        text += f" The model learned from at most {MAX_TRAINING_POINTS:,} of the places, drawn at random."
    few = [part.learned for part in parts if part.learned < FEW_READINGS]
    if few:
        few_readings = pluralized(max(few), "reading")
        text += f" {few_readings} or fewer tell little of how it varies: there the uncertainty is a guess."
    return text
