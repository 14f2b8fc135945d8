"""What a run says, in the user's words: the one place that makes them of its numbers."""

from __future__ import annotations

import math

from dkl_ae.experiment import candidates_text, patches_for
from dkl_ae.instruments import SurveySize
from dkl_ae.model import ModelSummary, model_cost
from dkl_ae.patterns import zero_notice
from dkl_ae.records import CleanedSurvey, Origin, Position, Reading, Survey
from dkl_ae.run.events import (
    CommandApplied,
    Dose,
    Event,
    ReferenceFound,
    RunEnded,
    RunPaused,
    RunResumed,
    StepCompleted,
    StepTimes,
    SurveyAcquired,
)
from dkl_ae.run.stages import any_survey
from dkl_ae.run.status import Phase, Status
from dkl_ae.settings import Plan


def with_error(value: float, sigma: float, unit: str) -> str:
    return f"{value:.4g} ± {sigma:.2g} {unit}".rstrip()


def reading_text(reading: Reading) -> str:
    """A reading with its error, or that it is undefined and why."""
    if math.isfinite(reading.value):
        return with_error(reading.value, reading.total_sigma, reading.unit)
    return f"undefined ({reading.reason.rstrip('.')})" if reading.reason else "undefined"


def position_text(survey: Survey, position: Position) -> str:
    """Where a position is, from the survey's centre, as Swift's axes show it."""
    return _offset_text(survey.offset_nm(position))


def survey_notices(survey: CleanedSurvey) -> tuple[str, ...]:
    """What the model does not see of a survey; none where it sees it as it is."""
    notices = []
    if survey.wild_pixels:
        are_far = (
            "1 pixel of the survey is" if survey.wild_pixels == 1 else f"{survey.wild_pixels} pixels of the survey are"
        )
        these = "it" if survey.wild_pixels == 1 else "these"
        notices.append(f"{are_far} far beyond all around: the model sees the survey with {these} brought back.")
    if survey.background:
        rise = f"{survey.background:.2g} standard deviations"
        notices.append(f"A slow background rises over the survey by {rise}: the model sees the survey without it.")
    return tuple(notices)


def dose_text(dose: Dose) -> str:
    beam = f"{dose.exposure_s:.2f} s of beam"
    return beam if dose.electrons is None else f"{dose.electrons:.3g} electrons, {beam}"


def times_text(times: StepTimes) -> str:
    measuring = times.camera + times.scalarizer
    return f"{measuring * 1000:.0f} ms measuring, {times.model * 1000:.0f} ms model"


def progress_text(status: Status) -> str:
    """How many points are measured, and the latest reading; empty before the first point."""
    if not status.number:
        return ""
    is_confirmation = status.latest is not None and status.latest.proposal.origin is Origin.CONFIRMATION
    points = f"Point {status.number} of {status.points}" + (", a confirmation" if is_confirmation else "")
    return f"{points}: {reading_text(status.latest_reading)}" if status.latest_reading is not None else points


def without_number_text(status: Status) -> str:
    """How many points gave no number of what is optimized, and why the last of them; empty before the first point."""
    if not status.number:
        return ""
    without = status.without_number
    if without is None:
        return "none"
    return f"{without.count} of {status.number} points, the last: {without.reason}".rstrip(": ")


def best_text(status: Status) -> str:
    """The best reading so far, and in a second line where it was measured; empty before there is one."""
    if status.best_reading is None or status.best_offset_nm is None:
        return ""
    return f"{reading_text(status.best_reading)}\nat {_offset_text(status.best_offset_nm)}"


def outlook_text(plan: Plan, size: SurveySize) -> str:
    """What the model will have to choose from and what it will cost, before the run has begun; empty where the survey
    is smaller than a patch."""
    if plan.search.patch_size > min(size.shape):
        return ""
    patches = patches_for(plan, any_survey(size))
    cost = model_cost(patches.count, plan.search.points, patches.size)
    return (
        f"{candidates_text(patches)}; at most about {cost.longest_step_s:.1g} s a point beside the exposure, and "
        f"{cost.memory_bytes / 1e9:.1f} GB of memory"
    )


def model_text(summary: ModelSummary | None) -> str:
    """What the model says of itself; empty before it has learned."""
    if summary is None:
        return ""
    scale = f"Error bars x {summary.interval_scale:.2f}"
    fractions = summary.fractions
    if fractions is None:
        return scale
    return (
        f"Variance: local structure {100 * fractions.local:.0f} %, brightness trend {100 * fractions.trend:.0f} %, "
        f"symmetry breaking {100 * fractions.symmetry_breaking:.0f} %, "
        f"slow variation {100 * fractions.slow_variation:.0f} %, "
        f"residual noise {100 * fractions.residual_noise:.0f} %. "
        f"Network {100 * fractions.network:.0f} % of distances. {scale}"
    )


def news_text(event: Event, status: Status) -> str:  # noqa: PLR0911  # one for each kind of event
    """What an event has the operator know, in a sentence; empty for those whose numbers say it all.

    status: after the event.
    """
    match event:
        case SurveyAcquired(survey=survey, notices=notices):
            height, width = survey.shape
            nm = survey.pixel_size_nm
            size = f"Survey: {width} x {height} px, {width * nm:.3g} x {height * nm:.3g} nm."
            goes_on = ("Measuring the reference...",) if status.stage is Phase.REFERENCE else ()
            return " ".join((size, *notices, *goes_on))
        case ReferenceFound(reference=reference):
            disc = f"Running; the bright-field disc is {reference.radius_mrad:.1f} mrad."
            return f"{disc} {zero_notice(reference)}".rstrip()
        case StepCompleted(notices=notices):
            return notices[-1] if notices else ""
        case CommandApplied():
            return _command_news(event)
        case RunPaused(paused=True, reason=reason):
            return f"{reason} Then press Resume." if reason else "Paused, the beam is blanked."
        case RunPaused():
            return "Running."
        case RunResumed():
            return (
                f"Resumed after {status.number} points, on the survey of then: if the specimen has moved since, stop "
                "and start a new run."
            )
        case RunEnded(message=message):
            return message
    return ""


def _command_news(event: CommandApplied) -> str:
    if not event.after_run:
        return f"The run now looks for {event.objective.text()}."
    label = event.objective.scalarizer.label
    return (
        "" if event.maps is not None else f"The run read too little of {label} for maps: start a run that optimizes it."
    )


def _offset_text(offset_nm: tuple[float, float]) -> str:
    y, x = offset_nm
    return f"x {x:.3f}, y {y:.3f} nm"
