"""Frozen data of the domain: arrays, constants, errors, the survey, its candidates, what was measured. No physics."""

from dkl_ae.records.arrays import AnyArray, BoolArray, ComplexArray, FeatureArray, FloatArray, IntArray, NumberArray
from dkl_ae.records.beam import relativistic_mass_ratio, wavelength_angstrom
from dkl_ae.records.candidates import Candidates, Patches, centred_size
from dkl_ae.records.constants import (
    DEFAULT_BEAM_CURRENT_A,
    DEFAULT_CROSS_ARM_NM,
    DEFAULT_ELECTRONS,
    DEFAULT_EXPOSURE_S,
    DEFAULT_MASK_OUTER,
    ELEMENTARY_CHARGE_C,
)
from dkl_ae.records.errors import InstrumentError, MendableError, UserError, brief, described, sentence_of
from dkl_ae.records.measurement import Measurement, Origin, Position, Proposal, Reading
from dkl_ae.records.regions import (
    darkest_pixel_of_each_part,
    darkest_pixels,
    darkest_pixels_in,
    parse_region,
    pixels_in,
    spread_pixels,
)
from dkl_ae.records.survey import Survey
from dkl_ae.records.survey_cleaning import CleanedSurvey, cleaned
from dkl_ae.records.symmetry import Symmetry, SymmetryOperation, symmetry_operations
from dkl_ae.records.version import program_version, software_versions

__all__ = [
    "DEFAULT_BEAM_CURRENT_A",
    "DEFAULT_CROSS_ARM_NM",
    "DEFAULT_ELECTRONS",
    "DEFAULT_EXPOSURE_S",
    "DEFAULT_MASK_OUTER",
    "ELEMENTARY_CHARGE_C",
    "AnyArray",
    "BoolArray",
    "Candidates",
    "CleanedSurvey",
    "ComplexArray",
    "FeatureArray",
    "FloatArray",
    "InstrumentError",
    "IntArray",
    "Measurement",
    "MendableError",
    "NumberArray",
    "Origin",
    "Patches",
    "Position",
    "Proposal",
    "Reading",
    "Survey",
    "Symmetry",
    "SymmetryOperation",
    "UserError",
    "brief",
    "centred_size",
    "cleaned",
    "darkest_pixel_of_each_part",
    "darkest_pixels",
    "darkest_pixels_in",
    "described",
    "parse_region",
    "pixels_in",
    "program_version",
    "relativistic_mass_ratio",
    "sentence_of",
    "software_versions",
    "spread_pixels",
    "symmetry_operations",
    "wavelength_angstrom",
]
