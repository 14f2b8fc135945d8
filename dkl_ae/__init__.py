"""Autonomous 4D-STEM with deep-kernel learning: the library, free of any microscope and any window.

What is named here is loaded when it is asked for: all of it takes seconds, and every command begins with this module.
"""

import importlib
import typing

if typing.TYPE_CHECKING:
    from dkl_ae.experiment import ChangeObjective, Experiment, Maps, Objective
    from dkl_ae.instruments import Frame, Instrument
    from dkl_ae.model import Posterior, Surrogate
    from dkl_ae.patterns import Reference, find_reference
    from dkl_ae.records import (
        InstrumentError,
        Measurement,
        Origin,
        Patches,
        Position,
        Proposal,
        Reading,
        Survey,
        UserError,
    )
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

_PACKAGES: typing.Final = (
    "records",
    "settings",
    "patterns",
    "scalarizers",
    "model",
    "experiment",
    "instruments",
    "run",
    "session",
)
"""Which have these names, those that load little first."""


def __getattr__(name: str) -> typing.Any:
    if name in __all__:
        for package in _PACKAGES:
            found = importlib.import_module(f"dkl_ae.{package}")
            if name in found.__all__:
                return getattr(found, name)
    raise AttributeError(f"module 'dkl_ae' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
