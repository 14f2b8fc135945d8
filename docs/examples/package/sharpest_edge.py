"""The scalarizer of an installed package."""

import numpy

from dkl_ae.scalarizers import FloatArray, Reference, Symmetry, scalarizer


@scalarizer(unit="electrons", symmetry=Symmetry.SCALAR)
def sharpest_edge(electrons: FloatArray, reference: Reference) -> float:
    """The largest difference between neighbouring pixels."""
    steps = [numpy.abs(numpy.diff(electrons, axis=axis)).max() for axis in (0, 1)]
    return float(max(steps))
