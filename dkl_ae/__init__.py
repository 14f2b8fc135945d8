"""Autonomous 4D-STEM with deep-kernel learning: the library, free of any microscope and any window."""

from dkl_ae.experiment import Experiment, Maps, Plan
from dkl_ae.instrument import Frame, Instrument, InstrumentError
from dkl_ae.measurement import Measurement, Origin, Position, Proposal, Reading
from dkl_ae.runner import Runner
from dkl_ae.scalarizers import SCALARIZERS, Reference, Scalarizer, find_reference
from dkl_ae.session import Session, SessionWriter, open_session
from dkl_ae.surrogate import Posterior, Surrogate
from dkl_ae.survey import Patches, Survey

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
