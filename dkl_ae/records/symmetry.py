"""How patches and readings change when the specimen is turned by quarter turns or mirrored: the eight symmetries of the
square.

Physics knows no preferred direction: a turned structure gives the same magnitude, and a turned field. A model that is
told so learns from each measurement what eight turned ones would have taught.
"""

from __future__ import annotations

import dataclasses
import enum

import numpy

from dkl_ae.records.arrays import IntArray


class Symmetry(enum.StrEnum):
    """What a reading does when the specimen is turned or mirrored."""

    NONE = "none"
    """Nothing is known of it."""
    SCALAR = "scalar"
    """It stays the same, as a magnitude does."""
    X = "x"
    """It changes as the x component of a vector does."""
    Y = "y"
    """It changes as the y component of a vector does."""


@dataclasses.dataclass(frozen=True, eq=False)
class SymmetryOperation:
    """One symmetry of the square that takes a reading to itself or to its opposite."""

    pixels: IntArray
    """Shape (patch_size ** 2,): a flattened patch, indexed by these, is the changed patch."""
    sign: float
    """1 where the reading stays the same, -1 where it becomes its opposite."""


def symmetry_operations(symmetry: Symmetry, patch_size: int) -> tuple[SymmetryOperation, ...]:
    """The symmetries under which a reading keeps its magnitude, the identity first.

    They are all eight for a scalar, and four for a component: a quarter turn makes it another component.
    """
    pixels = numpy.arange(patch_size**2).reshape(patch_size, patch_size)
    if symmetry is Symmetry.NONE:
        return (SymmetryOperation(pixels.ravel(), 1.0),)
    y, x = numpy.indices(pixels.shape) - patch_size // 2
    followed = {Symmetry.SCALAR: numpy.ones_like(x), Symmetry.X: x, Symmetry.Y: y}[symmetry]
    found: list[SymmetryOperation] = []
    for turns in range(4):
        for image in (pixels, pixels[:, ::-1]):
            changed = numpy.rot90(image, turns).ravel()
            # A coordinate becomes itself, its opposite, or the other one, which has nothing in common with it.
            common = numpy.sum(followed.ravel()[changed] * followed.ravel())
            if common or len(found) == 0:
                found.append(SymmetryOperation(changed, float(numpy.sign(common) or 1)))
    return tuple(found)
