"""Where to measure next: ask and tell. Knows no microscope, no window and no thread."""

from dkl_ae.experiment.acquisition import ACQUISITIONS, Belief, choose, score
from dkl_ae.experiment.experiment import Checkpoint, Experiment, MakeSurrogate, Maps, ModelSummary
from dkl_ae.experiment.model_factory import deep_kernel_for
from dkl_ae.experiment.objective import Objective
from dkl_ae.experiment.plan import Plan

__all__ = [
    "ACQUISITIONS",
    "Belief",
    "Checkpoint",
    "Experiment",
    "MakeSurrogate",
    "Maps",
    "ModelSummary",
    "Objective",
    "Plan",
    "choose",
    "deep_kernel_for",
    "score",
]
