"""Takes up a saved session where it was interrupted, so that it goes on as if it had never stopped."""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Collection, Mapping

import h5py

from dkl_ae.records import Measurement, UserError
from dkl_ae.run import InterruptedRun, Reader, ReferenceFound, Revised, SurveyAcquired, merged
from dkl_ae.scalarizers import Scalarizer, file_hash, scalarizers_of
from dkl_ae.session.disk.damage import reading
from dkl_ae.session.layout import About
from dkl_ae.session.log import in_order
from dkl_ae.session.open import open_session
from dkl_ae.session.session import Session
from dkl_ae.session.writer import SessionWriter, locked
from dkl_ae.settings import values_of


class UnconfirmedFileError(UserError):
    """Going on with a session would run a Python file that it names, and that nobody has confirmed."""

    def __init__(self, session: pathlib.Path, file: pathlib.Path, sha256: str) -> None:
        super().__init__(f"{session.name} runs {file} (SHA-256 {sha256}): read that file, and confirm it.")
        self.file = file
        self.sha256 = sha256


def take_up(
    file: pathlib.Path, confirmed: Collection[str] = ()
) -> tuple[InterruptedRun, Mapping[str, Scalarizer], SessionWriter]:
    """Where a session was interrupted, what reads its patterns, and its writer to go on with.

    Parameters
    ----------
    file : pathlib.Path
        The session.
    confirmed : collection of str
        SHA-256 of the files of custom scalarizers that may be run. A session can come from anybody: what it names is
        not run otherwise.

    Raises
    ------
    UnconfirmedFileError
        When the run needs a file that is not among these.
    UserError
        For a session that is finished or cannot be taken up as it was.
    NotKeptError
        When its file cannot be written, or another program writes it.
    """
    # Before it is read: another program may be adding to it.
    lock = locked(file)
    try:
        with open_session(file) as session:
            require_resumable(session, confirmed)
            scalarizers = _runnable_scalarizers(session)
            with reading(file):
                _require_whole(session)
                interrupted = _interrupted_run(session, scalarizers)
            about = About(session.title, session.instrument)
        return interrupted, scalarizers, SessionWriter.append_to(file, interrupted, scalarizers, about, lock)
    except BaseException:
        lock.release()
        raise


def require_resumable(session: Session, confirmed: Collection[str] = ()) -> None:
    """Raises what `take_up` does, as far as it can be known without running anything."""
    if session.losses:
        raise UserError(f"{session.losses[0]} It cannot go on as it was: start a new run.")
    points = session.plan.search.points
    # One that was killed after its last point has not kept its last maps.
    if session.count >= points and session.outcome is not None:
        raise UserError(f"All {points} points of {session.file.name} are measured: start a new run for more.")
    _require_unchanged(session)
    file = session.plan.objective.scalarizer_file
    if file and (sha256 := file_hash(pathlib.Path(file))) not in confirmed:
        raise UnconfirmedFileError(session.file, pathlib.Path(file).absolute(), sha256)


def _interrupted_run(session: Session, scalarizers: Mapping[str, Scalarizer]) -> InterruptedRun:
    """scalarizers: those that read its patterns again."""
    plan = session.plan
    reader, reference, measurements = None, None, session.measurements
    if session.reference is not None:
        assert session.reference_pattern is not None
        assert session.reference_dose is not None
        frames = session.reference_frames()
        reference = ReferenceFound(session.reference, session.reference_pattern, frames, session.reference_dose)
        reader = Reader(session.reference, scalarizers, frames if session.has_room_for_repeated else ())
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


def _require_whole(session: Session) -> None:
    """Raises OSError where anything cannot be read: HDF5 could not add to it either, and the run would wait."""

    def read(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and item.shape:
            for row in range(len(item)) if item.ndim > 1 else [...]:
                item[row]

    session.opened.visititems(read)


def _require_unchanged(session: Session) -> None:
    """Raises UserError when what the run reads or learned from is not what it was when it began."""
    values = values_of(session.plan)
    for name in ("scalarizer_file", "pretrained"):
        path, kept = values[name], session.input(name)
        if not path:
            continue
        if kept is None:
            raise UserError(f"{session.file.name} needs {path} and holds no copy of it: start a new run.")
        try:
            now = pathlib.Path(path).read_bytes()
        except OSError as error:
            raise UserError(f"The run needs {path}, which cannot be read ({error.strerror}): put it back.") from error
        if now != kept:
            raise UserError(f"{path} has changed since the run began: put it back as it was, or start a new run.")


def _runnable_scalarizers(session: Session) -> Mapping[str, Scalarizer]:
    """Scalarizers that can read again; runs the file of custom ones, as far as it is what the session holds."""
    kept = session.input("scalarizer_file")
    scalarizers = scalarizers_of(session.plan.objective, hashlib.sha256(kept).hexdigest() if kept is not None else "")
    missing = sorted(set(session.readings) ^ set(scalarizers)) if session.count else []
    if missing:
        raise UserError(f"The run has other scalarizers than there are now ({', '.join(missing)}): start a new run.")
    return scalarizers


def _read_again(session: Session, reader: Reader) -> tuple[Measurement, ...]:
    """Let the reader see every pattern; the measurements with what became known by that: a run that was killed then has
    not kept it."""
    revised: Revised = {}
    repeated = list(session.repeated_exposures())
    for index, measurement in enumerate(session.measurements):
        revised = merged(revised, reader.recall(session.pattern(index), measurement))
        while repeated and repeated[0].measured == index + 1:
            # What the last of them tells counts for all before it.
            if len(repeated) > 1:
                reader.zero.repeated(repeated.pop(0))
            else:
                by_zero, _ = reader.follow(repeated.pop(0))
                revised = merged(revised, by_zero)
    return tuple(m.revised(revised.get(m.proposal.candidate, {})) for m in session.measurements)
