"""The durable record of a run: one HDF5 file, written as the run goes on, and read when it is over."""

from dkl_ae.session.layout import MAPS, MAPS_IN_UNIT, MEASUREMENTS, SUFFIX, About, kept_steps, summary_from, times_from
from dkl_ae.session.log import COMMAND, LogEntry
from dkl_ae.session.open import open_session
from dkl_ae.session.resume import UnconfirmedFileError, require_resumable, take_up
from dkl_ae.session.session import Session
from dkl_ae.session.writer import SessionWriter

__all__ = [
    "COMMAND",
    "MAPS",
    "MAPS_IN_UNIT",
    "MEASUREMENTS",
    "SUFFIX",
    "About",
    "LogEntry",
    "Session",
    "SessionWriter",
    "UnconfirmedFileError",
    "kept_steps",
    "open_session",
    "require_resumable",
    "summary_from",
    "take_up",
    "times_from",
]
