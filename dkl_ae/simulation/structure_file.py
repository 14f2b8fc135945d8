"""A virtual specimen from a structure file."""

from __future__ import annotations

import math
import pathlib
import typing

import numpy

from dkl_ae.records import UserError
from dkl_ae.simulation.lattice import MARGIN_ANGSTROM, over_margin, tiled
from dkl_ae.simulation.specimen import Specimen

CRYSTAL_EXTENT_NM = 5.0
_CLUSTER_BORDER_NM = 0.5
_MAX_ATOMS = 300_000


def read_structure(file: pathlib.Path, extent_nm: float | None = None) -> Specimen:
    """Read any file that ase reads, such as .cif and .xyz.

    The beam travels along the file's z. A crystal (a cell that is periodic in its first two vectors) is repeated over
    the field, one cell thick; anything else stands alone in the middle of it.

    extent_nm: side of the field; by default 5 nm for a crystal, and otherwise the atoms with 0.5 nm around them.

    Raises UserError, one sentence, for a file that cannot be read or used.
    """
    atoms = _read(file)
    if not len(atoms):
        raise UserError(f"The structure file {file.name} has no atoms: choose another.")
    positions = atoms.get_positions()
    numbers = atoms.get_atomic_numbers()
    if extent_nm is None:
        widest = float(numpy.ptp(positions[:, :2], axis=0).max())
        extent_nm = CRYSTAL_EXTENT_NM if _is_crystal(atoms) else widest / 10 + 2 * _CLUSTER_BORDER_NM
    if not 0 < extent_nm < math.inf:
        raise UserError(f"The extent is {extent_nm:g} nm: choose a positive number.")
    if _is_crystal(atoms):
        positions, numbers = _repeated(file, positions, numbers, numpy.array(atoms.cell), extent_nm * 10)
    else:
        middle = (positions.min(axis=0) + positions.max(axis=0)) / 2
        positions = positions - [middle[0], middle[1], 0] + [extent_nm * 5, extent_nm * 5, 0]
    return Specimen(file.stem, positions, numbers, extent_nm)


def _read(file: pathlib.Path) -> typing.Any:
    # ase takes a while to import, and only this needs it.
    import ase.io

    if not file.is_file():
        raise UserError(f"There is no file {file}: check its name.")
    try:
        return ase.io.read(file)
    except Exception as error:
        # The readers of ase raise whatever their parser met.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"The structure file {file} cannot be read ({reason}): choose a .cif or .xyz file.") from error


def _is_crystal(atoms: typing.Any) -> bool:
    flat = abs(numpy.linalg.det(numpy.array(atoms.cell)[:2, :2])) > 1.0
    return bool(atoms.pbc[:2].all()) and flat


def _repeated(
    file: pathlib.Path, positions: typing.Any, numbers: typing.Any, cell: typing.Any, extent: float
) -> tuple[typing.Any, typing.Any]:
    """The atoms of every cell over the field and its margin, and their atomic numbers."""
    if numpy.abs(cell[:2, 2]).max() > 1e-3 * numpy.abs(cell[:2, :2]).max():
        raise UserError(
            f"The first two cell vectors of {file.name} are not perpendicular to z: turn the structure first."
        )
    vectors = cell[:2, :2]
    count = round(len(positions) * (extent + 2 * MARGIN_ANGSTROM) ** 2 / abs(numpy.linalg.det(vectors)))
    if count > _MAX_ATOMS:
        raise UserError(
            f"{file.name} repeated over {extent / 10:g} nm has about {count:,} atoms: choose a smaller extent or a "
            f"thinner cell, so that there are at most {_MAX_ATOMS:,}."
        )
    offsets = numpy.insert(tiled(vectors, numpy.zeros(2), extent), 2, 0.0, axis=1)
    everywhere = (offsets[:, None] + positions[None]).reshape(-1, 3)
    inside = over_margin(everywhere, extent)
    return everywhere[inside], numpy.tile(numbers, len(offsets))[inside]
