"""What the review says of a session and of one of its steps, in a line each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from dkl_ae.analysis import StepRecord, empirical_coverage
from dkl_ae.records import FloatArray, Origin
from dkl_ae.run import model_text, reading_text, times_text, with_error
from dkl_ae.session import Session
from nionswift_plugin.dkl_ae_ui.review_panel.refitting import MapRequest, MapResult


def about_session(session: Session) -> str:
    """What it sought, how far it came and how it ended."""
    objectives = [session.objective(-1).text()]
    objectives += [
        f"from point {measured + 1} {session.objective(measured).text()}" for measured, _ in session.commands
    ]
    outcome = session.outcome or "broken off, or still going on"
    return f"{', '.join(objectives)}; {session.count} of {session.plan.search.points} points; {outcome}"


def chosen_by(step: StepRecord) -> str:
    if step.origin is Origin.SEED:
        return "random (seed)"
    if step.origin is Origin.CONFIRMATION:
        return "the model: to confirm a reading beside"
    if step.exploration is None:
        return f"the {step.origin}"
    explored = round(100 * step.exploration)
    return f"the {step.origin}: {explored} % to explore, {100 - explored} % to exploit"


def expected(step: StepRecord) -> str:
    if step.expected is None or step.uncertainty is None:
        return "no prediction yet"
    return with_error(step.expected, step.uncertainty, step.scalarizer.unit)


def read(step: StepRecord) -> str:
    if step.standardized_error is None:
        return reading_text(step.reading)
    direction = "above" if step.standardized_error > 0 else "below"
    return f"{reading_text(step.reading)}: {abs(step.standardized_error):.1f} sigma {direction}"


def intervals(standardized_errors: FloatArray) -> str:
    """How often the model was right so far."""
    asked = int(numpy.isfinite(standardized_errors).sum())
    if not asked:
        return "no predictions yet"
    once, twice = 100 * empirical_coverage(standardized_errors, numpy.array([1.0, 2.0]))
    return f"{once:.0f} % of {asked} within 1 sigma, {twice:.0f} % within 2"


def times(step: StepRecord) -> str:
    return times_text(step.times) if step.times is not None else "not known: the run was broken off"


def maps(request: MapRequest, result: MapResult | None) -> str:
    """Whose maps are shown, and of when."""
    if result is None:
        return f"Learning what {request.objective.scalarizer.label} would have said after point {request.number}..."
    view = result.view
    if view is None:
        return result.reason
    of = f"of {view.objective.text()}, after point {view.measured}"
    return of if view.measured == request.number else f"{of}: those of point {request.number} were not kept"


def model(result: MapResult | None) -> str:
    """What the model whose maps are shown says of itself."""
    return f"Model: {model_text(result.view.model)}" if result is not None and result.view is not None else ""


def pattern(step: StepRecord) -> str:
    """Whose pattern is shown, and what it reads."""
    return f"of point {step.number}: {reading_text(step.reading)}"


def agreement(kept: int, measured: int, differing: Sequence[int]) -> str:
    """Whether the project holds what the session holds; differing: the points that are not alike in both."""
    where = f"differ in {_several(differing)}: trust the session, which was written first." if differing else ""
    if kept != measured:
        counts = f"The project holds {kept} measurements of this run and the session {measured}"
        return f"{counts}, and they {where}" if differing else f"{counts}; those in both are the same."
    if differing:
        return f"The project and the session {where}"
    return f"The project holds the same {measured} measurements as the session."


def _several(numbers: Sequence[int]) -> str:
    """Points by their numbers; of many the first few."""
    if len(numbers) == 1:
        return f"point {numbers[0]}"
    if len(numbers) > 5:
        return f"points {', '.join(map(str, numbers[:4]))} and {len(numbers) - 4} more"
    return f"points {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
