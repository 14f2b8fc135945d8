"""From measurements to prediction and uncertainty at every candidate.

Whatever needs torch has a face of its own: `dkl_ae.model.deep_kernel`, `dkl_ae.model.saved_model`.
"""

from dkl_ae.model.cost import ModelCost, model_cost, most_candidates
from dkl_ae.model.exact_gp import ExactGP
from dkl_ae.model.interval_calibration import interval_scale, rescaled
from dkl_ae.model.reading_model import Checkpoint, MakeSurrogate, ModelSummary, ReadingModel, Readings
from dkl_ae.model.reading_probability import ReadingProbability
from dkl_ae.model.surrogate import Doubts, Explains, Posterior, Surrogate, Trainable, VarianceFractions

__all__ = [
    "Checkpoint",
    "Doubts",
    "ExactGP",
    "Explains",
    "MakeSurrogate",
    "ModelCost",
    "ModelSummary",
    "Posterior",
    "ReadingModel",
    "ReadingProbability",
    "Readings",
    "Surrogate",
    "Trainable",
    "VarianceFractions",
    "interval_scale",
    "model_cost",
    "most_candidates",
    "rescaled",
]
