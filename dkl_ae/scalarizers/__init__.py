"""Scalarizers: a pattern and a reference give a physical number with its counting error.

Beam axes: x and y grow with the pattern's column and row, and lie along the scan's when the detector's geometry is
given; the centre of mass is positive towards larger index. Electrons are attracted by nuclei: the centre of mass points
to them, and the electric field is parallel to its negative.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy
import numpy.typing

from dkl_ae.measurement import Position, Reading
from dkl_ae.scalarizers.catalogue import SCALARIZERS, catalogue
from dkl_ae.scalarizers.charge import ENDS, USUAL_ARM_NM
from dkl_ae.scalarizers.diffraction import with_undeformed
from dkl_ae.scalarizers.patterns import Arms, Patterns, with_descan
from dkl_ae.scalarizers.reference import MASK_RADIUS, Descan, Geometry, Reference, find_reference
from dkl_ae.scalarizers.reference_file import described, load_reference, restored_reference, save_reference
from dkl_ae.scalarizers.scalarizer import Scalarizer, Values, read, reading
from dkl_ae.scalarizers.seen import Seen
from dkl_ae.scalarizers.yours import scalarizer

__all__ = [
    "ENDS",
    "MASK_RADIUS",
    "SCALARIZERS",
    "USUAL_ARM_NM",
    "Arms",
    "Descan",
    "Geometry",
    "Patterns",
    "Reference",
    "Scalarizer",
    "Seen",
    "Values",
    "catalogue",
    "described",
    "find_reference",
    "load_reference",
    "one_pattern",
    "read",
    "readings_of",
    "restored_reference",
    "save_reference",
    "scalarize",
    "scalarizer",
    "with_descan",
    "with_undeformed",
]


def scalarize(
    pattern: numpy.typing.ArrayLike,
    reference: Reference,
    scalarizers: Iterable[Scalarizer] = tuple(SCALARIZERS.values()),
    *,
    position: Position | None = None,
    ends: numpy.typing.ArrayLike | None = None,
    arm_nm: float = USUAL_ARM_NM,
    seen: Seen | None = None,
) -> dict[str, Reading]:
    """Every reading of one pattern, shape (ky, kx), by the scalarizer's name; see `one_pattern`.

    Raises ValueError when a pattern does not have the reference's shape.
    """
    patterns = one_pattern(pattern, reference, position=position, ends=ends, arm_nm=arm_nm, seen=seen)
    return readings_of(patterns, scalarizers)


def one_pattern(
    pattern: numpy.typing.ArrayLike,
    reference: Reference,
    *,
    position: Position | None = None,
    ends: numpy.typing.ArrayLike | None = None,
    arm_nm: float = USUAL_ARM_NM,
    seen: Seen | None = None,
) -> Patterns:
    """A single pattern, shape (ky, kx), as scalarizers see it.

    position: the probe's, for the descan's correction.
    ends: the patterns at the ENDS of a cross of this arm around the place, shape (4, ky, kx), for the charge density.
    seen: the patterns that were seen before, for the novelty and the principal component.

    Raises ValueError when a pattern does not have the reference's shape.
    """
    place = None if position is None else numpy.array([[position.y, position.x]])
    arms = None
    if ends is not None:
        # An arm is a thousandth of the scan: the beam rests where it does at the centre.
        places = None if place is None else numpy.repeat(place, len(ENDS), axis=0)
        arms = Arms(Patterns(ends, reference, positions=places), arm_nm)
    return Patterns(numpy.asarray(pattern)[numpy.newaxis], reference, positions=place, arms=arms, seen=seen)


def readings_of(patterns: Patterns, scalarizers: Iterable[Scalarizer]) -> dict[str, Reading]:
    """Of a single pattern, by the scalarizer's name."""
    return {scalarizer.name: reading(scalarizer, patterns) for scalarizer in scalarizers}
