"""Takes up a saved session where it was left, so that it goes on as if it had never stopped."""

from __future__ import annotations

import pathlib

from dkl_ae.experiment import Plan
from dkl_ae.records import Reading, UserError
from dkl_ae.run import LeftRun, Reader, ReferenceFound, SurveyAcquired
from dkl_ae.session.layout import About
from dkl_ae.session.session import Session, open_session
from dkl_ae.session.writer import SessionWriter


def take_up(file: pathlib.Path) -> tuple[LeftRun, SessionWriter]:
    """Where a session was left, and its writer to go on with.

    Raises UserError, one sentence, for a session that is finished or cannot be taken up as it was; NotKeptError when
    its file cannot be written.
    """
    with open_session(file) as session:
        left = left_run(session)
        about = About(session.title, session.instrument)
    return left, SessionWriter.append_to(file, left.plan, about, left.survey, left.reference)


def left_run(session: Session) -> LeftRun:
    """Where a saved session was left; see `take_up` for what it raises."""
    plan = _runnable(session)
    if session.losses:
        raise UserError(f"{session.losses[0]} It cannot go on as it was: start a new run.")
    # One that was killed after its last point has not kept its last maps.
    if session.count >= plan.points and session.outcome is not None:
        raise UserError(f"All {plan.points} points of {session.file.name} are measured: start a new run for more.")
    reader, reference, measurements = None, None, session.measurements
    if session.reference is not None:
        assert session.reference_pattern is not None
        assert session.reference_dose is not None
        reference = ReferenceFound(
            session.reference, session.reference_pattern, session.reference_frames(), session.reference_dose
        )
        reader = Reader(session.reference, plan.scalarizers)
        revised: dict[int, dict[str, Reading]] = {}
        for index, measurement in enumerate(session.measurements):
            revised |= reader.recall(session.pattern(index), measurement)
        # A run that was killed as they became known has not kept them.
        measurements = tuple(m.revised(revised.get(m.proposal.candidate, {})) for m in measurements)
    last = session.changes[-1] if session.changes else None
    return LeftRun(
        plan=plan,
        followed=plan.driven_by(last.plan.scalarizer, last.plan.goal, last.plan.goal_value) if last else None,
        followed_since=last.measured if last else 0,
        survey=SurveyAcquired(plan, session.survey, session.survey_dose),
        reference=reference,
        reader=reader,
        measurements=measurements,
        checkpoint=session.checkpoint(),
        dose=session.dose(session.count),
        file=session.file,
    )


def _runnable(session: Session) -> Plan:
    """The plan with scalarizers that can read again: those of a file only while the file is what it was."""
    for name in ("scalarizer_file", "pretrained"):
        path, kept = getattr(session.plan, name), session.input(name)
        if not path or kept is None:
            continue
        try:
            now = pathlib.Path(path).read_bytes()
        except OSError as error:
            raise UserError(f"The run needs {path}, which cannot be read ({error.strerror}): put it back.") from error
        if now != kept:
            raise UserError(f"{path} has changed since the run began: put it back as it was, or start a new run.")
    plan = Plan.from_json(session.plan.to_json())
    missing = sorted(set(session.readings) ^ set(plan.scalarizers)) if session.count else []
    if missing:
        raise UserError(f"The run has other scalarizers than there are now ({', '.join(missing)}): start a new run.")
    return plan
