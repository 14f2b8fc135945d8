"""Where to measure next: ask and tell. Knows no microscope, no window and no thread."""

from dkl_ae.experiment.acquisition import (
    ACQUISITIONS,
    ObjectivePosterior,
    choose,
    exploration_fraction,
    relative_score,
    score,
)
from dkl_ae.experiment.commands import ChangeObjective, Command, Entry, command_from_json, command_to_json
from dkl_ae.experiment.experiment import Experiment, require_room
from dkl_ae.experiment.history import revised_history
from dkl_ae.experiment.model_factory import deep_kernel_for
from dkl_ae.experiment.objective import Objective, require_known
from dkl_ae.experiment.proposing import Maps, map_title
from dkl_ae.experiment.thinning import candidates_text, patches_for

__all__ = [
    "ACQUISITIONS",
    "ChangeObjective",
    "Command",
    "Entry",
    "Experiment",
    "Maps",
    "Objective",
    "ObjectivePosterior",
    "candidates_text",
    "choose",
    "command_from_json",
    "command_to_json",
    "deep_kernel_for",
    "exploration_fraction",
    "map_title",
    "patches_for",
    "relative_score",
    "require_known",
    "require_room",
    "revised_history",
    "score",
]
