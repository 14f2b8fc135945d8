"""The patterns that tell most of a run, each with the patch of the survey that the model saw."""

from __future__ import annotations

import math
import typing

import numpy

from dkl_ae.analysis import representative_patterns
from dkl_ae.patterns import Reference
from dkl_ae.records import FloatArray
from dkl_ae.reports.drawing import logarithm, new_figure, show_detector, show_map
from dkl_ae.reports.page import Picture, quantity
from dkl_ae.session import Session

_PANEL_INCHES = 2.7


def patterns_picture(session: Session) -> Picture:
    """Patches, patterns and what differs from the reference, of a run with one measurement or more."""
    reference, undeflected = session.reference, session.reference_pattern
    assert reference is not None, "patterns are read against a reference"
    assert undeflected is not None, "every reference has a pattern"
    telling = representative_patterns(session)
    patterns = [session.pattern(index) for index in telling]
    figure = new_figure(_PANEL_INCHES * (len(telling) + 1) + 1, 3 * _PANEL_INCHES + 0.5)
    axes = figure.subplots(3, len(telling) + 1, squeeze=False)
    axes[0, 0].set_axis_off()
    axes[2, 0].set_axis_off()
    axes[1, 0].set_title("reference", fontsize="medium")
    for axis, (index, roles) in zip(axes[0, 1:], telling.items(), strict=True):
        _show_patch(session, axis, index)
        axis.set_title(f"{', '.join(roles)}\npoint {index + 1}", fontsize="medium")
        axis.set_xlabel(_reading(session, index) or "undefined", fontsize="small")
    counts = [logarithm(pattern) for pattern in (undeflected, *patterns)]
    _show_row(axes[1], counts, reference, "log10(1 + counts)", cmap="viridis", vmin=0, vmax=max(map(numpy.max, counts)))
    differences = [_difference(pattern, undeflected) for pattern in patterns]
    most = max(float(numpy.percentile(numpy.abs(difference), 99)) for difference in differences)
    _show_row(axes[2, 1:], differences, reference, "% of the brightest pixel", cmap="RdBu_r", vmin=-most, vmax=most)
    return Picture("patterns", figure, _told(session, telling))


def _told(session: Session, telling: dict[int, tuple[str, ...]]) -> str:
    scalarizer = session.objective(session.count - 1).scalarizer
    captions = "; ".join(
        f"point {index + 1} ({', '.join(roles)}) {_reading(session, index) or 'undefined'}"
        f"{_expectation(session, index)}"
        for index, roles in telling.items()
    )
    return (
        "Top: the patch of the survey around the probe, which is all that the model sees. Middle: the pattern measured "
        "there; dashed, the bright-field disc of the reference. Bottom: how its electrons are shared differently from "
        f"the reference's, red where there are more. {scalarizer.label}: {captions}."
    )


def _reading(session: Session, index: int) -> str:
    """Of the scalarizer that was followed last; empty where it is undefined."""
    reading = session.measurement(index).readings[session.objective(session.count - 1).scalarizer.name]
    if math.isnan(reading.value):
        return ""
    return f"{reading.value:.3g} \u00b1 {quantity(reading.total_sigma, reading.unit)}"


def _expectation(session: Session, index: int) -> str:
    proposal, scalarizer = session.measurement(index).proposal, session.objective(index).scalarizer
    if proposal.expected is None or proposal.uncertainty is None:
        return ""
    of = "" if scalarizer == session.objective(session.count - 1).scalarizer else f"{scalarizer.label} "
    return f", where {of}{proposal.expected:.3g} \u00b1 {quantity(proposal.uncertainty, scalarizer.unit)} was expected"


def _show_patch(session: Session, axes: typing.Any, index: int) -> None:
    survey = session.survey
    margin = session.plan.search.patch_size // 2
    row, column = (int(session.columns[name][index]) for name in ("row", "column"))
    patch = survey.image[row - margin : row + margin + 1, column - margin : column + margin + 1]
    limits = {"vmin": float(survey.image.min()), "vmax": float(numpy.percentile(survey.image, 99))}
    show_map(axes, patch, survey.pixel_size_nm, cmap="gray", **limits)


def _show_row(
    row: typing.Any, images: list[FloatArray], reference: Reference, label: str, **colours: typing.Any
) -> None:
    """Images of the detector on one scale of colours, each with the reference's disc."""
    angles = numpy.linspace(0, 2 * numpy.pi, 200)
    disc = reference.radius_mrad * numpy.stack([numpy.cos(angles), numpy.sin(angles)])
    for axes, image in zip(row, images, strict=True):
        shown = show_detector(axes, image, reference, **colours)
        axes.plot(*disc, color="black", linewidth=0.8, linestyle="--")
        axes.label_outer()
    row[0].figure.colorbar(shown, ax=list(row), label=label, shrink=0.8)


def _difference(pattern: FloatArray, reference: FloatArray) -> FloatArray:
    """Of the electrons' shares in each pixel, in percent of the largest share."""
    shares, before = (image / max(image.sum(dtype=numpy.float64), 1.0) for image in (pattern, reference))
    difference: FloatArray = 100 * (shares - before) / max(shares.max(), 1e-300)
    return difference
