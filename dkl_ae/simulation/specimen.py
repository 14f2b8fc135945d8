"""A virtual specimen: atoms, and what is known of them."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable, Mapping

import numpy
import numpy.typing

from dkl_ae.records import FloatArray, IntArray, UserError
from dkl_ae.simulation.scattering_factors import has_scattering_factor

StrainField = Callable[[numpy.typing.ArrayLike, numpy.typing.ArrayLike], FloatArray]
"""From (y, x) in nm to e_xx, e_yy, e_xy and the rotation in radians from x towards y, on a new last axis."""


@dataclasses.dataclass(frozen=True, eq=False)
class Specimen:
    """Atoms, and the truth about them.

    The origin is the top left corner of the field; x grows with the column and y, downwards, with
    the row. The beam travels along z. Atoms may lie outside the field, and should where it is to look endless.

    Raises UserError for atoms that cannot be simulated.
    """

    name: str
    atoms_angstrom: FloatArray
    """Shape (n, 3): x, y, z."""
    atomic_numbers: IntArray
    """Shape (n,)."""
    extent_nm: float
    """Side of the square field."""
    sites: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    """Where things are, (y, x) in nm: the truth, for people and tests; nothing is computed from
    it."""
    strain: StrainField | None = None
    """The lattice's strain where it was imposed, another truth."""

    def __post_init__(self) -> None:
        shape = self.atoms_angstrom.shape
        if len(shape) != 2 or shape[1] != 3 or self.atomic_numbers.shape != shape[:1]:
            raise UserError(
                f"The atoms have shape {shape} and their atomic numbers "
                f"{self.atomic_numbers.shape}: give x, y and z and one number for each atom."
            )
        if not numpy.isfinite(self.atoms_angstrom).all():
            raise UserError("An atom's position is not a number: correct the list of atoms.")
        unknown = [z for z in numpy.unique(self.atomic_numbers).tolist() if not has_scattering_factor(z)]
        if unknown:
            raise UserError(
                f"There is no scattering factor for atomic number {unknown[0]}: use elements from 1 to 103."
            )
        if not 0 < self.extent_nm < math.inf:
            raise UserError(f"The extent is {self.extent_nm:g} nm: choose a positive number.")

    @property
    def thickness_angstrom(self) -> float:
        """From the first atom to the last along the beam."""
        return float(numpy.ptp(self.atoms_angstrom[:, 2])) if len(self.atoms_angstrom) else 0.0

    def without(self, atoms: numpy.typing.NDArray[typing.Any]) -> Specimen:
        """The same without some atoms, by their indices."""
        return dataclasses.replace(
            self,
            atoms_angstrom=numpy.delete(self.atoms_angstrom, atoms, axis=0),
            atomic_numbers=numpy.delete(self.atomic_numbers, atoms),
        )
