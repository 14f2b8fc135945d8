"""The frozen records of a run: where to measure, what was read, what was measured."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping


class Origin(enum.StrEnum):
    """Who chose a probe position."""

    SEED = "seed"
    """At random."""
    MODEL = "model"
    """The model, for what it expects there."""
    CONFIRMATION = "confirm"
    """The model, to measure a reading once more that nothing confirms."""


@dataclasses.dataclass(frozen=True)
class Position:
    """A probe position.

    Attributes
    ----------
    y, x : float
        As fractions of the survey: 0 is its top or left edge, 1 its bottom or right edge.
    """

    y: float
    x: float


@dataclasses.dataclass(frozen=True)
class Proposal:
    """Where to measure next, and why.

    Attributes
    ----------
    candidate : int
        Index into the candidates of the run's patches.
    row, column : int
        Survey pixel of the candidate.
    origin : Origin
        Who chose it.
    score : float or None
        Value of the acquisition function; None for a seed, and so are the others.
    expected : float or None
        What the model expected to read there, in the unit of the optimized scalarizer.
    uncertainty : float or None
        Standard deviation of `expected`.
    exploration : float or None
        Which share of its attraction is that little is known there, rather than that much is expected: 0 to 1.
    """

    candidate: int
    row: int
    column: int
    origin: Origin
    score: float | None = None
    expected: float | None = None
    uncertainty: float | None = None
    exploration: float | None = None


@dataclasses.dataclass(frozen=True)
class Reading:
    """A physical number computed from one pattern.

    Attributes
    ----------
    value : float
        NaN where it is undefined.
    sigma : float
        One standard deviation, from counting statistics, in the unit of the value: its own, independent of others.
    unit : str
        Empty for a number without one.
    reason : str
        Why the value is undefined, in one sentence; else empty.
    common_sigma : float
        One standard deviation of the error that all readings of this kind in a run have in common, for the zero of
        their reference is known no better; in the same unit. It shifts a map, and does not roughen it.
    """

    value: float
    sigma: float
    unit: str
    reason: str = ""
    common_sigma: float = 0.0

    @property
    def total_sigma(self) -> float:
        """One standard deviation from the truth: both errors together."""
        return math.hypot(self.sigma, self.common_sigma)


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A proposal carried out.

    Attributes
    ----------
    proposal : Proposal
        What was asked for.
    position_asked, position_read_back : Position
        Where the probe was sent, and where the microscope says that it was.
    readings : mapping of str to Reading
        One for each scalarizer, by the scalarizer's name.
    electrons : float
        Electrons that the detector counted in the pattern.
    exposure_s : float
        Of the pattern, in seconds.
    time : float
        Seconds since the epoch at the end of the exposure.
    """

    proposal: Proposal
    position_asked: Position
    position_read_back: Position
    readings: Mapping[str, Reading]
    electrons: float
    exposure_s: float
    time: float

    def revised(self, readings: Mapping[str, Reading]) -> Measurement:
        """The same with some readings that became known later."""
        return dataclasses.replace(self, readings={**self.readings, **readings}) if readings else self
