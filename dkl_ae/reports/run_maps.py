"""Where a run looked: its path over the survey, and its maps as they grew."""

from __future__ import annotations

import itertools
import pathlib
import typing
from collections.abc import Sequence

import numpy

from dkl_ae.analysis import BEST, ModelView, confirmations, phases, recorded_view, representative_patterns, seeds
from dkl_ae.experiment import ACQUISITIONS, map_title
from dkl_ae.outputs import finished_file, save_figure
from dkl_ae.records import FloatArray, Position
from dkl_ae.reports.drawing import (
    CONFIRMATION_COLOUR,
    MODEL_COLOUR,
    SEED_COLOUR,
    centred_extent,
    colours_of,
    logarithm,
    new_figure,
    show_detector,
    show_map,
)
from dkl_ae.reports.page import Picture, pluralized, quantity
from dkl_ae.session import Session

_PANEL_INCHES = 2.9
_MAPS: typing.Final = ("prediction", "uncertainty", "acquisition")
_PROBABILITY: typing.Final = "reading_probability"


def survey_picture(session: Session) -> Picture:
    """The survey, and every place that was measured, in order."""
    figure = new_figure(8, 6.8)
    return Picture("survey", figure, _show_survey(session, figure.subplots()))


def save_overview(session: Session, file: pathlib.Path) -> None:
    """Save survey and path, the last maps, the last pattern and the readings against the step, as PNG.

    session: of at least one measurement.

    Raises UserError, one sentence, when the file is there already, and OSError when it cannot be written.
    """
    figure = new_figure(14, 8.5)
    axes = figure.subplots(2, 3)
    _show_survey(session, axes[0, 0])
    scalarizer = session.objective(session.count).scalarizer
    view = recorded_view(session, session.count)
    for name, place in zip(_MAPS, (axes[0, 1], axes[0, 2], axes[1, 2]), strict=True):
        place.set_title(f"{name.capitalize()} of {scalarizer.label}", fontsize="medium")
        if view is not None:
            _show_maps(session, [place], [view], name)
    assert session.reference is not None  # nothing is measured before there is one
    pattern = show_detector(axes[1, 0], logarithm(session.pattern(session.count - 1)), session.reference)
    axes[1, 0].set_title("Last pattern", fontsize="medium")
    figure.colorbar(pattern, ax=axes[1, 0], label="log10(1 + counts)", shrink=0.8)
    values, sigmas = session.readings[scalarizer.name]
    axes[1, 1].errorbar(numpy.arange(1, session.count + 1), values, yerr=sigmas, fmt=".", color="#444444")
    axes[1, 1].axvspan(0.5, seeds(session).sum() + 0.5, color=SEED_COLOUR, alpha=0.2, label="at random")
    axes[1, 1].set(
        xlabel="point", ylabel=f"{scalarizer.label} ({scalarizer.unit})" if scalarizer.unit else scalarizer.label
    )
    axes[1, 1].legend(fontsize="small")
    with finished_file(file) as unfinished:
        save_figure(figure, unfinished, dpi=110)


def _show_survey(session: Session, axes: typing.Any) -> str:
    """Draw the survey and the path over it; returns what is seen."""
    survey = session.survey
    height, width = (side * survey.pixel_size_nm for side in survey.shape)
    extent = centred_extent(survey.shape, survey.pixel_size_nm)
    axes.imshow(survey.image, extent=extent, cmap="gray", vmax=numpy.percentile(survey.image, 99))
    axes.set(xlabel="x (nm)", ylabel="y (nm)")
    marks = _mark_path(session, axes) if session.count else "Nothing was measured on it."
    size = f"{width:.3g} x {height:.3g} nm in {survey.shape[1]} x {survey.shape[0]} pixels"
    return f"The survey, {size}; coordinates count from its centre. {marks}"


def _mark_path(session: Session, axes: typing.Any) -> str:
    """Draw every place that was measured; returns what the marks mean."""
    y, x = _places_nm(session)
    random = seeds(session)
    axes.plot(x, y, color="white", linewidth=0.4, alpha=0.3)
    axes.plot(x[random], y[random], "s", color=SEED_COLOUR, markersize=6, fillstyle="none", label="at random")
    sentences = [f"Squares: {pluralized(int(random.sum()), 'place')} measured at random to begin with."]
    if not random.all():
        steps = numpy.flatnonzero(~random) + 1
        dots = axes.scatter(x[~random], y[~random], c=steps, cmap="autumn", s=18, zorder=3, label="chosen by the model")
        axes.figure.colorbar(dots, ax=axes, label="point", shrink=0.8)
        sentences.append(
            f"Dots: {pluralized(steps.size, 'place')} that the model chose, from red for early to yellow for late."
        )
    confirming = confirmations(session)
    if confirming.any():
        axes.plot(
            x[confirming],
            y[confirming],
            "^",
            color=CONFIRMATION_COLOUR,
            markersize=9,
            fillstyle="none",
            label="confirming",
        )
        made = pluralized(int(confirming.sum()), "place")
        sentences.append(f"Triangles: {made} among these, right beside readings that nothing had confirmed.")
    for before, phase in itertools.pairwise(phases(session)):
        place = x[phase.first], y[phase.first]
        axes.plot(*place, "D", color="cyan", markersize=9, fillstyle="none", linestyle="none", label="goal changed")
        axes.annotate(phase.objective.scalarizer.label, place, xytext=(8, 8), textcoords="offset points", color="cyan")
        sentences.append(
            f"Diamond: from point {phase.first + 1} on the run sought {phase.objective.text()} in place of "
            f"{before.objective.text()}."
        )
    best = next((index for index, roles in representative_patterns(session).items() if BEST in roles), None)
    if best is not None:
        scalarizer = phases(session)[-1].objective.scalarizer
        value = quantity(float(session.readings[scalarizer.name][0][best]), scalarizer.unit)
        axes.plot(x[best], y[best], "*", color="magenta", markersize=13, linestyle="none", label="best", zorder=4)
        sentences.append(f"Star: the reading nearest to the goal, {scalarizer.label} {value}, at point {best + 1}.")
    axes.figure.legend(loc="outside lower center", ncols=4, fontsize="small")
    return " ".join(sentences)


def maps_picture(session: Session, steps: Sequence[int]) -> Picture:
    """Prediction, uncertainty and acquisition after some steps, side by side, with the path so far; and how likely each
    place is to give a number, where a run met some that gave none.

    steps: of those whose maps were kept, at least one.
    """
    views = [view for step in steps if (view := recorded_view(session, step)) is not None]
    names = _MAPS + ((_PROBABILITY,) if any(map(_misses_readings, views)) else ())
    figure = new_figure(_PANEL_INCHES * max(len(views), 2) + 1, len(names) * _PANEL_INCHES + 0.4)
    axes = figure.subplots(len(names), len(views), squeeze=False)
    for row, name in zip(axes, names, strict=True):
        row[0].set_ylabel(map_title(name).lower())
        for _, group in itertools.groupby(enumerate(views), lambda numbered: numbered[1].objective.scalarizer.name):
            columns, same = zip(*group, strict=True)
            _show_maps(session, row[list(columns)], same, name)
    for column, view in zip(axes.T, views, strict=True):
        column[0].set_title(f"after {view.measured}: {view.objective.scalarizer.label}", fontsize="medium")
        _mark_view(session, column, view)
    return Picture("maps", figure, _told_of_maps(session, views))


def _show_maps(session: Session, row: typing.Any, views: Sequence[ModelView], name: str) -> None:
    """One kind of map of one reading, on one scale of colours."""
    images = [getattr(view.maps, name) for view in views]
    scalarizer, values = views[0].objective.scalarizer, numpy.stack(images)
    shown = values[numpy.isfinite(values)]
    if name == "prediction":
        colours, unit = colours_of(values, circular=scalarizer.circular), scalarizer.unit
    elif name == "uncertainty":
        colours, unit = {"cmap": "plasma", "vmin": 0.0, "vmax": float(shown.max())}, scalarizer.unit
    elif name == _PROBABILITY:
        colours, unit = {"cmap": "cividis", "vmin": 0.0, "vmax": 1.0}, "probability"
    else:
        colours, unit = {"cmap": "magma", "vmin": float(shown.min()), "vmax": float(shown.max())}, "worth"
    for axes, image in zip(row, images, strict=True):
        drawn = show_map(axes, image, session.survey.pixel_size_nm, **colours)
    axes.figure.colorbar(drawn, ax=list(row), label=unit, shrink=0.8)


def _mark_view(session: Session, column: typing.Any, view: ModelView) -> None:
    """The path so far on the prediction, and the place to come on all maps."""
    y, x = _places_nm(session)
    random = seeds(session)
    so_far = numpy.arange(session.count) < view.measured
    for chosen, mark, colour in ((random, "s", SEED_COLOUR), (~random, "o", MODEL_COLOUR)):
        column[0].plot(x[so_far & chosen], y[so_far & chosen], mark, color=colour, markersize=2.5)
    # A change of goal between the map and the next measurement had another map choose that.
    if view.upcoming is not None and session.objective(view.measured) == view.objective:
        for axes in column:
            axes.plot(x[view.measured], y[view.measured], "o", color="black", markersize=11, fillstyle="none")
            axes.plot(x[view.measured], y[view.measured], "o", color="white", markersize=9, fillstyle="none")


def _told_of_maps(session: Session, views: Sequence[ModelView]) -> str:
    steps = ", ".join(str(view.measured) for view in views)
    means = ", ".join(
        quantity(float(numpy.nanmean(view.maps.uncertainty)), view.objective.scalarizer.unit) for view in views
    )
    acquisition = ACQUISITIONS[session.plan.search.acquisition]
    worth = "relative to the place of most worth" if acquisition.logarithmic else "in the reading's unit"
    probability = (
        "Fourth row: how likely a pattern there is to give a number. " if any(map(_misses_readings, views)) else ""
    )
    return (
        f"What the model said, knowing so many measurements: {steps}. First row: the reading that it predicts, with "
        f"the places measured so far. Second row: one standard deviation of it, on average {means}. Third row: what it "
        f"was worth to measure there next ({acquisition.label}, {worth}). {probability}Ring: the place measured next, "
        "which is never one that was measured before. Grey: too near to the edge for a patch."
    )


def _misses_readings(view: ModelView) -> bool:
    """Whether some point gave no number by then."""
    return bool(numpy.nanmin(view.maps.reading_probability) < 1)


def _places_nm(session: Session) -> tuple[FloatArray, FloatArray]:
    """Where the probe was, in nm from the survey's centre."""
    fractions = zip(session.columns["read_back_y"], session.columns["read_back_x"], strict=True)
    offsets = [session.survey.offset_nm(Position(float(y), float(x))) for y, x in fractions]
    y, x = numpy.array(offsets).reshape(-1, 2).T
    return y, x
