"""Fast electrons: their wavelength and their mass."""

from __future__ import annotations

import math

from dkl_ae.measurement import ELEMENTARY_CHARGE_C

_LIGHT_SPEED = 299792458.0
_ELECTRON_MASS = 9.1093837015e-31
_PLANCK = 6.62607015e-34


def wavelength_angstrom(high_tension_v: float) -> float:
    """De Broglie wavelength of relativistic electrons: 0.04484 angstrom at 70 kV."""
    energy = ELEMENTARY_CHARGE_C * high_tension_v
    momentum = math.sqrt(2 * _ELECTRON_MASS * energy + (energy / _LIGHT_SPEED) ** 2)
    return _PLANCK / momentum * 1e10


def relativistic_mass_ratio(high_tension_v: float) -> float:
    """Mass of the moving electron over its rest mass: 1.137 at 70 kV."""
    return 1 + ELEMENTARY_CHARGE_C * high_tension_v / (_ELECTRON_MASS * _LIGHT_SPEED**2)
