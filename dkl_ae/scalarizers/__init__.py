"""Scalarizers: a pattern and a reference give a physical number with its counting error.

Beam axes: x and y grow with the pattern's column and row, and lie along the scan's when the detector's geometry is
given; the centre of mass is positive towards larger index. Electrons are attracted by nuclei: the centre of mass points
to them, and the electric field is parallel to its negative.
"""

from dkl_ae.patterns import Patterns, Reference
from dkl_ae.records import FloatArray, Symmetry
from dkl_ae.scalarizers.centre_of_mass import CENTRE_OF_MASS
from dkl_ae.scalarizers.charge import ANGSTROM_PER_NM, ENDS, curl, minus_divergence
from dkl_ae.scalarizers.diffraction import with_undeformed
from dkl_ae.scalarizers.expression import COMPOSITE, annulus
from dkl_ae.scalarizers.pattern_readings import one_pattern, readings_of, scalarize
from dkl_ae.scalarizers.registry import REASONS_OF_THE_RUN, SCALARIZERS, catalogue, scalarizers_of
from dkl_ae.scalarizers.scalarizer import Scalarizer, ScalarizerResult, read
from dkl_ae.scalarizers.user_scalarizers import file_hash, scalarizer
from dkl_ae.scalarizers.virtual_detectors import VIRTUAL_DETECTORS

__all__ = [
    "ANGSTROM_PER_NM",
    "CENTRE_OF_MASS",
    "COMPOSITE",
    "ENDS",
    "REASONS_OF_THE_RUN",
    "SCALARIZERS",
    "VIRTUAL_DETECTORS",
    "FloatArray",
    "Patterns",
    "Reference",
    "Scalarizer",
    "ScalarizerResult",
    "Symmetry",
    "annulus",
    "catalogue",
    "curl",
    "file_hash",
    "minus_divergence",
    "one_pattern",
    "read",
    "readings_of",
    "scalarize",
    "scalarizer",
    "scalarizers_of",
    "with_undeformed",
]
