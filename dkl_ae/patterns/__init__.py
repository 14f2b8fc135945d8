"""One diffraction pattern against a reference: what is common to many readings."""

from dkl_ae.patterns.array_file import load_array
from dkl_ae.patterns.bragg.measure import Lattice, strain
from dkl_ae.patterns.geometry import Descan, DetectorGeometry
from dkl_ae.patterns.intensity_fractions import IntensityFractions
from dkl_ae.patterns.memory import COMPONENT_OF, PatternMemory
from dkl_ae.patterns.moments import DETECTORS, Moments, difference_slopes
from dkl_ae.patterns.patterns import Arms, Patterns, Zeros, require_shape, with_descan
from dkl_ae.patterns.reference import (
    Reference,
    find_reference,
    radii,
    scan_angles,
)
from dkl_ae.patterns.reference_file import (
    geometry_from_dict,
    load_reference,
    reference_as_dict,
    reference_from_dict,
    save_reference,
)
from dkl_ae.patterns.zero import FALSE_ALARM_PROBABILITY, with_zero_error, zero_notice
from dkl_ae.patterns.zero_drift import ZeroDrift

__all__ = [
    "COMPONENT_OF",
    "DETECTORS",
    "FALSE_ALARM_PROBABILITY",
    "Arms",
    "Descan",
    "DetectorGeometry",
    "IntensityFractions",
    "Lattice",
    "Moments",
    "PatternMemory",
    "Patterns",
    "Reference",
    "ZeroDrift",
    "Zeros",
    "difference_slopes",
    "find_reference",
    "geometry_from_dict",
    "load_array",
    "load_reference",
    "radii",
    "reference_as_dict",
    "reference_from_dict",
    "require_shape",
    "save_reference",
    "scan_angles",
    "strain",
    "with_descan",
    "with_zero_error",
    "zero_notice",
]
