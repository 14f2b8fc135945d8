"""What sessions and recordings tell: pure functions of them."""

from dkl_ae.analysis.counterfactual import (
    ModelView,
    counterfactual_plan,
    counterfactual_view,
    next_place,
    recorded_view,
)
from dkl_ae.analysis.map_file import make_maps
from dkl_ae.analysis.numbers import (
    BEST,
    Phase,
    confirmations,
    dose_shares,
    phases,
    predicted,
    representative_patterns,
    seeds,
    shown_steps,
)
from dkl_ae.analysis.reconstruction import (
    MAX_TRAINING_POINTS,
    FractionResult,
    Reconstruction,
    ReconstructionResult,
    ReconstructionSettings,
    reconstruct,
)
from dkl_ae.analysis.reconstruction_file import write_reconstruction
from dkl_ae.analysis.scalarized_maps import Request
from dkl_ae.analysis.steps import (
    StepRecord,
    confirmed_readings,
    curves,
    empirical_coverage,
    nearest_step,
    nominal_coverage,
    standardized_errors,
    step_record,
)

__all__ = [
    "BEST",
    "MAX_TRAINING_POINTS",
    "FractionResult",
    "ModelView",
    "Phase",
    "Reconstruction",
    "ReconstructionResult",
    "ReconstructionSettings",
    "Request",
    "StepRecord",
    "confirmations",
    "confirmed_readings",
    "counterfactual_plan",
    "counterfactual_view",
    "curves",
    "dose_shares",
    "empirical_coverage",
    "make_maps",
    "nearest_step",
    "next_place",
    "nominal_coverage",
    "phases",
    "predicted",
    "reconstruct",
    "recorded_view",
    "representative_patterns",
    "seeds",
    "shown_steps",
    "standardized_errors",
    "step_record",
    "write_reconstruction",
]
