"""A scalarizer of your own: choose this file in the panel, or give it to `dkl-ae scalarize --scalarizer-file`."""

from dkl_ae.records import FloatArray, Symmetry
from dkl_ae.scalarizers import Reference, scalarizer


@scalarizer(unit="electrons", label="Brightest pixel", symmetry=Symmetry.SCALAR)
def brightest_pixel(electrons: FloatArray, reference: Reference) -> tuple[float, float]:
    """The most electrons in one pixel, with their counting error."""
    brightest = float(electrons.max())
    return brightest, max(brightest, 1.0) ** 0.5


@scalarizer(label="Left to right", symmetry=Symmetry.X)
def left_to_right(electrons: FloatArray, reference: Reference) -> float:
    """Electrons right of the disc's centre over all; its error is found by drawing the pattern anew."""
    column = round(reference.centre[1])
    return float(electrons[:, column:].sum() / electrons.sum())
