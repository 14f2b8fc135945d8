"""Discs of a known place, size and number of electrons."""

import numpy

from dkl_ae.patterns import find_reference


def disc(centre=(31.0, 32.5), radius=12.0, side=64, counts=1e6) -> numpy.ndarray:
    """Counts of an undeflected beam, shape (side, side)."""
    y, x = numpy.mgrid[:side, :side]
    # An edge one pixel wide lets the disc move by fractions of a pixel.
    pattern = numpy.clip(radius + 0.5 - numpy.hypot(y - centre[0], x - centre[1]), 0, 1)
    return pattern * counts / pattern.sum()


REFERENCE = find_reference(disc(), (2.5, 2.5))
