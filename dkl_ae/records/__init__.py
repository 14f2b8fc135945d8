"""Frozen data of the domain: arrays, constants, errors, the survey, its candidates, what was measured. No physics."""

from dkl_ae.records.arrays import AnyArray, BoolArray, ComplexArray, FloatArray, IntArray, NumberArray
from dkl_ae.records.beam import relativistic_mass_ratio, wavelength_angstrom
from dkl_ae.records.candidates import Patches, centred_size
from dkl_ae.records.constants import BEAM_CURRENT_A, ELEMENTARY_CHARGE_C, USUAL_ELECTRONS
from dkl_ae.records.errors import InstrumentError, UserError
from dkl_ae.records.measurement import Measurement, Origin, Position, Proposal, Reading
from dkl_ae.records.regions import (
    darkest_place_of_each_part,
    darkest_places,
    darkest_places_in,
    parse_region,
    places_in,
    spread_places,
)
from dkl_ae.records.survey import Survey
from dkl_ae.records.symmetry import Symmetry, SymmetryOperation, symmetry_operations

__all__ = [
    "BEAM_CURRENT_A",
    "ELEMENTARY_CHARGE_C",
    "USUAL_ELECTRONS",
    "AnyArray",
    "BoolArray",
    "ComplexArray",
    "FloatArray",
    "InstrumentError",
    "IntArray",
    "Measurement",
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
    "centred_size",
    "darkest_place_of_each_part",
    "darkest_places",
    "darkest_places_in",
    "parse_region",
    "places_in",
    "relativistic_mass_ratio",
    "spread_places",
    "symmetry_operations",
    "wavelength_angstrom",
]
