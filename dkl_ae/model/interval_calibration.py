"""Whether the model is to be believed when it says how sure it is."""

from __future__ import annotations

import numpy

from dkl_ae.model.surrogate import Posterior, Surrogate
from dkl_ae.records import FloatArray, IntArray

_PRIOR_READINGS = 5
"""As many readings are taken to have been as far off as predicted, before any was: few readings say little."""


def interval_scale(surrogate: Surrogate, rows: IntArray) -> float:
    """By what factor the intervals of a surrogate are too narrow, at least 1.

    Each reading is predicted from all the others; the root mean square of what it is off, in predicted deviations, is
    the factor. Readings that were chosen for their predicted values flatter the model, or belie it: only readings at
    random places stand for the map.

    rows: which of the measurements that were fitted were made at random places.
    """
    if not rows.size:
        return 1.0
    values, predicted = surrogate.leave_one_out(rows)
    squares: FloatArray = ((values - predicted.mean) / predicted.sigma) ** 2
    return max(1.0, float(numpy.sqrt((_PRIOR_READINGS + squares.sum()) / (_PRIOR_READINGS + rows.size))))


def rescaled(posterior: Posterior, factor: float) -> Posterior:
    """The same belief, less sure of itself."""
    return Posterior(posterior.mean, posterior.sigma * factor)
