"""How a run went, step by step: what it found, whether its model was to be believed, what it cost."""

from __future__ import annotations

import math
import typing

import numpy

from dkl_ae.analysis import (
    Phase,
    curves,
    dose_shares,
    empirical_coverage,
    nominal_coverage,
    phases,
    predicted,
    seeds,
    standardized_errors,
)
from dkl_ae.experiment import Objective
from dkl_ae.records import FloatArray
from dkl_ae.reports.drawing import MODEL_COLOUR, SEED_COLOUR, new_figure
from dkl_ae.reports.page import Picture, pluralized, quantity
from dkl_ae.session import Session

MIN_FOR_CALIBRATION: typing.Final = 10
"""With fewer readings a curve of them would say nothing."""

_WIDTH = 8.5
_LEARNING_COLOUR = "black"
_MAX_DEVIATIONS = 3.0
_QUOTED = numpy.array([1.0, 2.0])
_TIMES: typing.Final = {
    "camera_s": "moving and exposing",
    "scalarizer_s": "reading the pattern",
    "model_s": "learning and choosing",
    "recorder_s": "keeping the pattern",
}


def learning_picture(session: Session) -> Picture:
    """Readings, the best so far and the residuals against the step, for each goal that was followed."""
    parts = phases(session)
    figure = new_figure(_WIDTH, 5.2 * len(parts))
    axes = figure.subplots(2 * len(parts), squeeze=False, sharex=True).ravel()
    captions = []
    for (readings, residuals), phase in zip(axes.reshape(-1, 2), parts, strict=True):
        captions.append(_show_readings(session, readings, phase))
        captions.append(_show_residuals(session, residuals, phase))
    axes[-1].set(xlabel="point", xlim=(0.5, session.count + 0.5))
    return Picture("learning", figure, " ".join(captions))


def _show_readings(session: Session, axes: typing.Any, phase: Phase) -> str:
    objective = phase.objective
    found = curves(session, objective)
    steps = numpy.arange(1, session.count + 1)
    sigmas = session.readings[objective.scalarizer.name][1]
    shown = [_from_goal(objective, values) for values in (found.readings, found.best)]
    axes.errorbar(steps, shown[0], yerr=sigmas, fmt=".", color="0.5", label="measured, with counting error")
    axes.step(steps, shown[1], where="post", color=_LEARNING_COLOUR, label="best so far")
    axes.axvspan(0.5, seeds(session).sum() + 0.5, color=SEED_COLOUR, alpha=0.15, label="at random")
    if len(phases(session)) > 1:
        axes.axvspan(phase.first + 0.5, phase.end + 0.5, color="gold", alpha=0.15, label="this was optimized")
    target = objective.target_reading
    if target is not None:
        goal = 0.0 if objective.scalarizer.circular else target
        axes.axhline(goal, color=MODEL_COLOUR, linewidth=0.8, linestyle=":", label="sought")
    axes.set_ylabel(
        f"{objective.scalarizer.label} - sought (rad)" if objective.scalarizer.circular else objective.scalarizer.title
    )
    axes.legend(fontsize="small", ncols=2)
    if not numpy.isfinite(found.best).any():
        return f"Every reading of the {objective.scalarizer.label} is undefined."
    numbers = int(numpy.isfinite(found.readings).sum())
    best = found.best[-1]
    step = int(numpy.flatnonzero(found.best == best)[0]) + 1
    return (
        f"Dots: the {objective.scalarizer.label}, which {numbers} of {session.count} patterns gave. Line: the reading "
        f"nearest to the goal so far, in the end {quantity(float(best), objective.scalarizer.unit)}, found at point "
        f"{step}."
    )


def _from_goal(objective: Objective, readings: FloatArray) -> FloatArray:
    """Readings as they are; angles as their difference from the one sought, between -pi and pi."""
    target = objective.target_reading
    if target is None or not objective.scalarizer.circular:
        return readings
    turned: FloatArray = (readings - target + math.pi) % (2 * math.pi) - math.pi
    return turned


def _show_residuals(session: Session, axes: typing.Any, phase: Phase) -> str:
    known, scalarizer = predicted(session, phase), phase.objective.scalarizer
    axes.set_ylabel(f"residual ({scalarizer.unit})" if scalarizer.unit else "residual")
    if not known.index.size:
        axes.text(0.5, 0.5, "nothing was predicted", transform=axes.transAxes, ha="center", color="0.4")
        return "There is no residual: the model chose no place, or the reading is undefined at all that it chose."
    size = numpy.abs(known.residual)
    axes.vlines(known.index + 1, 0, size, color="0.6", linewidth=0.8)
    axes.plot(known.index + 1, size, ".", color=MODEL_COLOUR, label="|measured - expected|")
    axes.plot(known.index + 1, known.uncertainty, color=_LEARNING_COLOUR, linewidth=0.8, label="expected (1 sigma)")
    axes.legend(fontsize="small", ncols=2)
    return (
        f"Below: how far {pluralized(known.index.size, 'reading')} were from what the model expected there (median "
        f"{quantity(float(numpy.median(size)), scalarizer.unit)}), and how far it expected to be off (line; median "
        f"{quantity(float(numpy.median(known.uncertainty)), scalarizer.unit)})."
    )


def calibration_picture(session: Session) -> Picture | str:
    """How often readings were within so many expected standard deviations; a remark where there are too few."""
    off = standardized_errors(session)
    count = int(numpy.isfinite(off).sum())
    if count < MIN_FOR_CALIBRATION:
        return (
            f"The model predicted {pluralized(count, 'reading')}: fewer than {MIN_FOR_CALIBRATION} do not tell whether "
            "its uncertainty is to be believed."
        )
    deviations = numpy.linspace(0, _MAX_DEVIATIONS, 61)
    nominal, within = nominal_coverage(deviations), empirical_coverage(off, deviations)
    chance = 2 * numpy.sqrt(nominal * (1 - nominal) / count)
    figure = new_figure(5.4, 5)
    axes = figure.subplots()
    axes.fill_between(nominal, nominal - chance, nominal + chance, color="0.9", label="chance alone (2 sigma)")
    axes.plot([0, 1], [0, 1], color="0.5", linestyle="--", label="right")
    axes.plot(nominal, within, color=MODEL_COLOUR, label="this run")
    axes.set(xlabel="share that should be within", ylabel="share that was within", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="upper left", fontsize="small")
    one, two = 100 * empirical_coverage(off, _QUOTED)
    right_one, right_two = 100 * nominal_coverage(_QUOTED)
    by_chance = math.sqrt(right_one * (100 - right_one) / count)
    return Picture(
        "calibration",
        figure,
        f"Whether the model's uncertainty is to be believed: of {count} readings {one:.0f} % were within one standard "
        f"deviation of what it expected ({right_one:.0f} % would be right) and {two:.0f} % within two ({right_two:.0f} "
        "%); below the dashed line it was too sure of itself, above it too cautious. Chance alone moves the first "
        f"number by {by_chance:.0f} %, and places chosen for what was expected of them do not stand for the whole map.",
    )


def exploration_picture(session: Session) -> Picture | str:
    """Which share of each choice came from not knowing."""
    share = session.columns["exploration"]
    steps = numpy.flatnonzero(numpy.isfinite(share))
    if not steps.size:
        return "The model chose no place, so there is nothing to say of exploration."
    figure = new_figure(_WIDTH, 2.6)
    axes = figure.subplots()
    axes.plot(steps + 1, share[steps], ".-", color=MODEL_COLOUR, linewidth=0.6)
    axes.set(xlabel="point", ylabel="share of exploration", ylim=(-0.03, 1.03), xlim=(0.5, session.count + 0.5))
    early, late = numpy.array_split(share[steps], 2)
    text = (
        "Why each place was chosen: near 1 for how little was known of it, near 0 for how much more was expected there "
        f"than at the usual place; on average {share[steps].mean():.2f}"
    )
    text += f", {early.mean():.2f} in the first half and {late.mean():.2f} in the second." if late.size else "."
    return Picture("exploration", figure, text)


def dose_picture(session: Session) -> Picture:
    """The run's exposure beside that of a scan of all pixels."""
    dose = dose_shares(session)
    bars = {
        "survey": dose.survey_s,
        "reference": dose.reference_s,
        pluralized(session.count, "measurement"): dose.points_s,
        "this run": dose.total_s,
    }
    if dose.full_scan_s is not None:
        bars["full 4D scan"] = dose.full_scan_s
    figure = new_figure(_WIDTH, 2.8)
    axes = figure.subplots()
    shown = {name: seconds for name, seconds in bars.items() if seconds > 0}
    colours = [MODEL_COLOUR if name == "this run" else "0.6" for name in shown]
    drawn = axes.barh(list(shown), list(shown.values()), color=colours)
    axes.bar_label(drawn, [quantity(seconds, "s") for seconds in shown.values()], padding=3)
    axes.set(xscale="log", xlabel="exposure (s)")
    axes.margins(x=0.15)
    axes.invert_yaxis()
    return Picture("dose", figure, _dose_in_words(session))


def _dose_in_words(session: Session) -> str:
    """What the run cost the specimen, and what a full scan would have."""
    dose = dose_shares(session)
    electrons = "" if dose.electrons is None else f" ({quantity(dose.electrons, 'electrons')})"
    measured_text = (
        f"The beam was on the specimen for {quantity(dose.total_s, 's')}{electrons}: {quantity(dose.survey_s, 's')} "
        f"for the survey, {quantity(dose.reference_s, 's')} for the reference and {quantity(dose.points_s, 's')} for "
        f"{pluralized(session.count, 'measurement')}."
    )
    if dose.full_scan_s is None:
        return measured_text
    height, width = session.survey.shape
    whole = "" if dose.full_scan_electrons is None else f" ({quantity(dose.full_scan_electrons, 'electrons')})"
    return (
        f"{measured_text} A pattern at each of the {height} x {width} pixels at the same exposure would take "
        f"{quantity(dose.full_scan_s, 's')}{whole}, {dose.full_scan_s / dose.total_s:.3g} times as much."
    )


def times_picture(session: Session) -> Picture | str:
    """Where the time of each point went."""
    milliseconds = {label: 1e3 * session.steps[name] for name, label in _TIMES.items()}
    total: FloatArray = numpy.sum(list(milliseconds.values()), axis=0)
    if not total.size:
        return "No point was completed, so there is nothing to say of its time."
    figure = new_figure(_WIDTH, 3)
    axes = figure.subplots()
    for label, part in milliseconds.items():
        axes.plot(numpy.arange(1, total.size + 1), part, ".-", linewidth=0.8, markersize=3, label=label)
    axes.set(xlabel="point", ylabel="time (ms)", yscale="log", xlim=(0.5, total.size + 0.5))
    axes.legend(fontsize="small", ncols=2)
    medians = ", ".join(f"{quantity(float(numpy.median(part)), 'ms')} {label}" for label, part in milliseconds.items())
    return Picture(
        "times",
        figure,
        f"Where the time of each point went: the median point took {quantity(float(numpy.median(total)), 'ms')} "
        f"(medians of its parts: {medians}), the longest {quantity(float(total.max()), 'ms')}, and "
        f"{pluralized(total.size, 'point')} together {quantity(float(total.sum()) / 1e3, 's')}.",
    )
