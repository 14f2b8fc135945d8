"""The durable record of a run: one HDF5 file, written as the run goes on, and read when it is over."""

from dkl_ae.session.layout import MAPS, MEASUREMENTS, SUFFIX, About, kept_steps, times_from
from dkl_ae.session.resume import take_up
from dkl_ae.session.session import Happened, Session, open_session
from dkl_ae.session.writer import SessionWriter

__all__ = [
    "MAPS",
    "MEASUREMENTS",
    "SUFFIX",
    "About",
    "Happened",
    "Session",
    "SessionWriter",
    "kept_steps",
    "open_session",
    "take_up",
    "times_from",
]
