"""Autonomous 4D-STEM with deep-kernel learning: the library, free of any microscope and any window."""

from dkl_ae.experiment import ChangeObjective, Experiment, Maps, Objective
from dkl_ae.instruments import Frame, Instrument
from dkl_ae.model import Posterior, Surrogate
from dkl_ae.patterns import Reference, find_reference
from dkl_ae.records import InstrumentError, Measurement, Origin, Patches, Position, Proposal, Reading, Survey, UserError
from dkl_ae.run import Runner
from dkl_ae.scalarizers import SCALARIZERS, Scalarizer
from dkl_ae.session import Session, SessionWriter, open_session
from dkl_ae.settings import Plan, make_plan

__all__ = [
    "SCALARIZERS",
    "ChangeObjective",
    "Experiment",
    "Frame",
    "Instrument",
    "InstrumentError",
    "Maps",
    "Measurement",
    "Objective",
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
    "UserError",
    "find_reference",
    "make_plan",
    "open_session",
]
