"""The durable record of a run: one HDF5 file, written as the run goes on, and read when it is over."""

from dkl_ae.session.layout import MOST_MAPS_KEPT, SUFFIX, About, kept_steps
from dkl_ae.session.saved import Change, Happened, Session, open_session
from dkl_ae.session.writer import NotKeptError, SessionWriter

__all__ = [
    "MOST_MAPS_KEPT",
    "SUFFIX",
    "About",
    "Change",
    "Happened",
    "NotKeptError",
    "Session",
    "SessionWriter",
    "kept_steps",
    "open_session",
]
