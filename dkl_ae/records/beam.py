"""Fast electrons: their wavelength and their mass."""

from __future__ import annotations

import math
import typing

import scipy.constants

from dkl_ae.records.constants import ELEMENTARY_CHARGE_C

_MASS_KG: typing.Final[float] = scipy.constants.electron_mass
_LIGHT_SPEED: typing.Final[float] = scipy.constants.speed_of_light
_PLANCK_J_S: typing.Final[float] = scipy.constants.Planck


def wavelength_angstrom(high_tension_v: float) -> float:
    """De Broglie wavelength of relativistic electrons: 0.04484 angstrom at 70 kV."""
    energy = ELEMENTARY_CHARGE_C * high_tension_v
    momentum = math.sqrt(2 * _MASS_KG * energy + (energy / _LIGHT_SPEED) ** 2)
    return _PLANCK_J_S / momentum * 1e10


def relativistic_mass_ratio(high_tension_v: float) -> float:
    """Mass of the moving electron over its rest mass: 1.137 at 70 kV."""
    return 1 + ELEMENTARY_CHARGE_C * high_tension_v / (_MASS_KG * _LIGHT_SPEED**2)
