"""From measurements to prediction and uncertainty at every candidate.

Whatever needs torch has a face of its own: `dkl_ae.model.deep_kernel`, `dkl_ae.model.saved_model`.
"""

from dkl_ae.model.exact_gp import ExactGP
from dkl_ae.model.interval_calibration import interval_scale, rescaled
from dkl_ae.model.surrogate import Posterior, Surrogate

__all__ = ["ExactGP", "Posterior", "Surrogate", "interval_scale", "rescaled"]
