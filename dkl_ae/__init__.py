"""Autonomous 4D-STEM with deep-kernel learning: the library, free of any microscope and any window."""

from dkl_ae.experiment import Experiment, Maps, Plan
from dkl_ae.instruments import Frame, Instrument
from dkl_ae.model import Posterior, Surrogate
from dkl_ae.patterns import Reference, find_reference
from dkl_ae.records import InstrumentError, Measurement, Origin, Patches, Position, Proposal, Reading, Survey
from dkl_ae.run import Runner
from dkl_ae.scalarizers import SCALARIZERS, Scalarizer
from dkl_ae.session import Session, SessionWriter, open_session

__all__ = [
    "SCALARIZERS",
    "Experiment",
    "Frame",
    "Instrument",
    "InstrumentError",
    "Maps",
    "Measurement",
    "Origin",
    "Patches",
    "Plan",
    "Position",
    "Posterior",
    "Proposal",
    "Reading",
    "Reference",
    "Runner",
    "Scalarizer",
    "Session",
    "SessionWriter",
    "Surrogate",
    "Survey",
    "find_reference",
    "open_session",
]
