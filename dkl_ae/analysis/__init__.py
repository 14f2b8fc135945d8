"""What sessions and recordings tell: pure functions of them."""

from dkl_ae.analysis.counterfactual import View, next_place, plan_by, view_by, view_then
from dkl_ae.analysis.numbers import (
    BEST,
    Stretch,
    dose_shares,
    foretold,
    seeds,
    shown_steps,
    stretches,
    telling_patterns,
)
from dkl_ae.analysis.reconstruction import (
    MOST_LEARNED,
    Part,
    Reconstructed,
    Reconstruction,
    Settings,
    reconstruct,
    write_reconstructed,
)
from dkl_ae.analysis.scalarized_maps import Request, make_maps
from dkl_ae.analysis.steps import Step, curves, nearest_step, share_promised, share_within, step_of, surprises

__all__ = [
    "BEST",
    "MOST_LEARNED",
    "Part",
    "Reconstructed",
    "Reconstruction",
    "Request",
    "Settings",
    "Step",
    "Stretch",
    "View",
    "curves",
    "dose_shares",
    "foretold",
    "make_maps",
    "nearest_step",
    "next_place",
    "plan_by",
    "reconstruct",
    "seeds",
    "share_promised",
    "share_within",
    "shown_steps",
    "step_of",
    "stretches",
    "surprises",
    "telling_patterns",
    "view_by",
    "view_then",
    "write_reconstructed",
]
