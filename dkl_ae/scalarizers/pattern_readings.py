"""Every reading of one pattern."""

from __future__ import annotations

from collections.abc import Iterable

import numpy
import numpy.typing

from dkl_ae.patterns import Arms, PatternMemory, Patterns, Reference, Zeros
from dkl_ae.records import DEFAULT_CROSS_ARM_NM, Position, Reading
from dkl_ae.scalarizers.charge import ENDS
from dkl_ae.scalarizers.registry import SCALARIZERS
from dkl_ae.scalarizers.scalarizer import Scalarizer, reading


def scalarize(
    pattern: numpy.typing.ArrayLike,
    reference: Reference,
    scalarizers: Iterable[Scalarizer] = tuple(SCALARIZERS.values()),
    *,
    position: Position | None = None,
    ends: numpy.typing.ArrayLike | None = None,
    arm_nm: float = DEFAULT_CROSS_ARM_NM,
    memory: PatternMemory | None = None,
) -> dict[str, Reading]:
    """Every reading of one pattern, shape (ky, kx), by the scalarizer's name; see `one_pattern`.

    Raises UserError when a pattern does not have the reference's shape.
    """
    patterns = one_pattern(pattern, reference, position=position, ends=ends, arm_nm=arm_nm, memory=memory)
    return readings_of(patterns, scalarizers)


def one_pattern(
    pattern: numpy.typing.ArrayLike,
    reference: Reference,
    *,
    position: Position | None = None,
    zeros: Zeros | None = None,
    ends: numpy.typing.ArrayLike | None = None,
    arm_nm: float = DEFAULT_CROSS_ARM_NM,
    memory: PatternMemory | None = None,
) -> Patterns:
    """A single pattern, shape (ky, kx), as scalarizers see it.

    position: the probe's, for the descan's correction.
    zeros: where the undeflected beam was; None for where the reference has it.
    ends: the patterns at the ENDS of a cross of this arm around the place, shape (4, ky, kx), for the charge density.
    memory: the patterns that were seen before, for the novelty and the principal component.

    Raises UserError when a pattern does not have the reference's shape.
    """
    place = None if position is None else numpy.array([[position.y, position.x]])
    arms = None
    if ends is not None:
        # The zero does not drift within a cross; and its arm is a thousandth of the scan, so that a descan has no say.
        places = None if place is None else numpy.repeat(place, len(ENDS), axis=0)
        arms = Arms(Patterns(ends, reference, positions=places), arm_nm)
    return Patterns(
        numpy.asarray(pattern)[numpy.newaxis], reference, positions=place, zeros=zeros, arms=arms, memory=memory
    )


def readings_of(patterns: Patterns, scalarizers: Iterable[Scalarizer]) -> dict[str, Reading]:
    """Of a single pattern, by the scalarizer's name."""
    return {scalarizer.name: reading(scalarizer, patterns) for scalarizer in scalarizers}
