"""Takes up a saved session where it was interrupted, so that it goes on as if it had never stopped."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

from dkl_ae.records import Measurement, Reading, UserError
from dkl_ae.run import InterruptedRun, Reader, ReferenceFound, SurveyAcquired
from dkl_ae.scalarizers import Scalarizer, scalarizers_of
from dkl_ae.session.layout import About
from dkl_ae.session.log import in_order
from dkl_ae.session.open import open_session
from dkl_ae.session.session import Session
from dkl_ae.session.writer import SessionWriter, locked
from dkl_ae.settings import values_of


def take_up(file: pathlib.Path) -> tuple[InterruptedRun, Mapping[str, Scalarizer], SessionWriter]:
    """Where a session was interrupted, what reads its patterns, and its writer to go on with.

    Raises UserError, one sentence, for a session that is finished or cannot be taken up as it was; NotKeptError when
    its file cannot be written.
    """
    # Before it is read: another program may be adding to it.
    lock = locked(file)
    try:
        with open_session(file) as session:
            scalarizers = runnable_scalarizers(session)
            interrupted = interrupted_run(session, scalarizers)
            about = About(session.title, session.instrument)
        return interrupted, scalarizers, SessionWriter.append_to(file, interrupted, scalarizers, about, lock)
    except BaseException:
        lock.release()
        raise


def interrupted_run(session: Session, scalarizers: Mapping[str, Scalarizer]) -> InterruptedRun:
    """Where a saved session was interrupted; see `take_up` for what it raises.

    scalarizers: those that read its patterns again.
    """
    plan = session.plan
    if session.losses:
        raise UserError(f"{session.losses[0]} It cannot go on as it was: start a new run.")
    # One that was killed after its last point has not kept its last maps.
    if session.count >= plan.search.points and session.outcome is not None:
        raise UserError(
            f"All {plan.search.points} points of {session.file.name} are measured: start a new run for more."
        )
    reader, reference, measurements = None, None, session.measurements
    if session.reference is not None:
        assert session.reference_pattern is not None
        assert session.reference_dose is not None
        reference = ReferenceFound(
            session.reference, session.reference_pattern, session.reference_frames(), session.reference_dose
        )
        reader = Reader(session.reference, scalarizers)
        measurements = _read_again(session, reader)
    return InterruptedRun(
        plan=plan,
        survey=SurveyAcquired(plan, session.survey, session.survey_dose),
        reference=reference,
        reader=reader,
        history=in_order(measurements, session.commands),
        checkpoint=session.checkpoint(),
        dose=session.dose(session.count),
        file=session.file,
    )


def runnable_scalarizers(session: Session) -> Mapping[str, Scalarizer]:
    """Scalarizers that can read again: those of a file only while the file is what it was.

    Raises UserError, one sentence, when they are not those of the session.
    """
    values = values_of(session.plan)
    for name in ("scalarizer_file", "pretrained"):
        path, kept = values[name], session.input(name)
        if not path or kept is None:
            continue
        try:
            now = pathlib.Path(path).read_bytes()
        except OSError as error:
            raise UserError(f"The run needs {path}, which cannot be read ({error.strerror}): put it back.") from error
        if now != kept:
            raise UserError(f"{path} has changed since the run began: put it back as it was, or start a new run.")
    scalarizers = scalarizers_of(session.plan.objective)
    missing = sorted(set(session.readings) ^ set(scalarizers)) if session.count else []
    if missing:
        raise UserError(f"The run has other scalarizers than there are now ({', '.join(missing)}): start a new run.")
    return scalarizers


def _read_again(session: Session, reader: Reader) -> tuple[Measurement, ...]:
    """Let the reader see every pattern; the measurements with what became known by that: a run that was killed then has
    not kept it."""
    revised: dict[int, dict[str, Reading]] = {}
    for index, measurement in enumerate(session.measurements):
        revised |= reader.recall(session.pattern(index), measurement)
    return tuple(m.revised(revised.get(m.proposal.candidate, {})) for m in session.measurements)
