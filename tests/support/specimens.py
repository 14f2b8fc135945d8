"""Specimens of a few atoms, for tests."""

from __future__ import annotations

import numpy

from dkl_ae.simulation import PatternSimulator, Specimen


def few_atoms(*atoms: tuple[float, float, int], extent_nm: float = 2.0) -> Specimen:
    """Atoms as (y in nm, x in nm, atomic number)."""
    positions = numpy.array([(10 * x, 10 * y, 0.0) for y, x, _ in atoms]).reshape(-1, 3)
    numbers = numpy.array([number for *_, number in atoms], int)
    return Specimen("test", positions, numbers, extent_nm)


def com(simulator: PatternSimulator, y_nm: float, x_nm: float) -> numpy.ndarray:
    """(y, x) in mrad."""
    return simulator.com_map([y_nm], [x_nm])[0, 0]
