"""How atoms scatter fast electrons.

Spatial frequencies k are in 1/angstrom (sine of the angle over the wavelength) throughout this package.
"""

from __future__ import annotations

import functools
import importlib.resources
import typing

import numpy

from dkl_ae.records import FloatArray

_THERMAL_ANGSTROM: typing.Final = {6: 0.063, 14: 0.07}
"""Root-mean-square thermal displacement along one axis, by atomic number: carbon, silicon."""
_DEFAULT_THERMAL_ANGSTROM = 0.08


def has_scattering_factor(atomic_number: int) -> bool:
    """Whether the element is in the table: hydrogen (1) to lawrencium (103) are."""
    return atomic_number in _lobato()


def scattering_factor(atomic_number: int, k: FloatArray) -> FloatArray:
    """Electron scattering factor in angstrom (rest mass) at spatial frequencies k.

    Lobato and Van Dyck, Acta Cryst. A 70 (2014) 636, equation 15.
    """
    a, b = _lobato()[atomic_number]
    k_squared = numpy.square(k)
    total = numpy.zeros_like(k_squared)
    for amplitude, width in zip(a, b, strict=True):
        total += amplitude * (2 + width * k_squared) / (1 + width * k_squared) ** 2
    return typing.cast(FloatArray, total)


def thermal_displacement_angstrom(atomic_number: int) -> float:
    """Root-mean-square displacement along one axis at room temperature."""
    return _THERMAL_ANGSTROM.get(atomic_number, _DEFAULT_THERMAL_ANGSTROM)


@functools.cache
def _lobato() -> dict[int, FloatArray]:
    """Coefficients of each element, shape (2, 5): a in angstrom and b in angstrom squared."""
    with importlib.resources.files(__package__).joinpath("lobato.csv").open(encoding="utf-8") as file:
        table = numpy.loadtxt(file, delimiter=",")
    return {int(row[0]): row[1:].reshape(2, 5) for row in table}
