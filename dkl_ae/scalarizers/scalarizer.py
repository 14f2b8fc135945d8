"""What a scalarizer is: a way of reducing a pattern to a physical number with its counting error."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy

from dkl_ae.measurement import Reading
from dkl_ae.scalarizers.patterns import Patterns
from dkl_ae.scalarizers.reference import FloatArray
from dkl_ae.symmetry import Symmetry


@dataclasses.dataclass(frozen=True, eq=False)
class Values:
    """What was read of n patterns."""

    value: FloatArray
    """Shape (n,)."""
    sigma: FloatArray
    """One standard deviation, shape (n,)."""
    troubles: Mapping[int, str] = dataclasses.field(default_factory=dict)
    """Why a pattern gave no number, one sentence, by its place in the stack."""


@dataclasses.dataclass(frozen=True)
class Scalarizer:
    """One way of reducing a pattern to a number."""

    name: str
    """Public name, used in files, in expressions and on the command line."""
    label: str
    """Name for people."""
    unit: str
    description: str
    evaluate: Callable[[Patterns], Values]
    symmetry: Symmetry = Symmetry.NONE
    """What it does when the specimen is turned or mirrored; of an angle, what its cosine does."""
    circular: bool = False
    """True for an angle in radian, whose values -pi and pi are the same."""
    excess: Callable[[FloatArray, FloatArray], FloatArray] | None = None
    """Value and sigma -> by how much counting noise raises the value on average; None where it does not."""
    needs_cross: bool = False
    """True where four more exposures are needed, at the ends of a cross around the place."""

    @property
    def title(self) -> str:
        return f"{self.label} ({self.unit})" if self.unit else self.label


def read(scalarizer: Scalarizer, patterns: Patterns) -> Values:
    """What is read of each pattern; NaN, and a sentence, where there is no number."""
    values = scalarizer.evaluate(patterns)
    if not patterns.troubles:
        return values
    value, sigma = values.value.copy(), values.sigma.copy()
    dark = list(patterns.troubles)
    value[dark] = sigma[dark] = numpy.nan
    return Values(value, sigma, {**values.troubles, **patterns.troubles})


def reading(scalarizer: Scalarizer, patterns: Patterns) -> Reading:
    """Of the first pattern."""
    values = read(scalarizer, patterns)
    return Reading(float(values.value[0]), float(values.sigma[0]), scalarizer.unit, values.troubles.get(0, ""))
