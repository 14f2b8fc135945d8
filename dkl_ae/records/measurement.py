"""The frozen records of a run: where to measure, what was read, what was measured."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping


class Origin(enum.StrEnum):
    """Who chose a probe position."""

    SEED = "seed"
    MODEL = "model"


@dataclasses.dataclass(frozen=True)
class Position:
    """A probe position as a fraction of the survey: 0 is its top or left edge, 1 its bottom or right edge."""

    y: float
    x: float


@dataclasses.dataclass(frozen=True)
class Proposal:
    """Where to measure next, and why."""

    candidate: int
    """Index into the candidates of the run's patches."""
    row: int
    column: int
    """Survey pixel of the candidate."""
    origin: Origin
    score: float | None = None
    """Value of the acquisition function; None for a seed, and so are the others."""
    expected: float | None = None
    """What the model expected to read there, in the driving scalarizer's unit."""
    uncertainty: float | None = None
    """Its standard deviation."""
    exploration: float | None = None
    """Which share of its attraction is that little is known there, rather than that much is expected: 0 to 1."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """A physical number computed from one pattern."""

    value: float
    sigma: float
    """One standard deviation, from counting statistics, in the unit of the value."""
    unit: str
    reason: str = ""
    """Why the value is undefined (NaN), in one sentence; empty where it is a number."""


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A proposal carried out."""

    proposal: Proposal
    position_asked: Position
    position_read_back: Position
    readings: Mapping[str, Reading]
    """One reading for each scalarizer, by the scalarizer's name."""
    electrons: float
    """Electrons that the detector counted in the pattern."""
    exposure_s: float
    time: float
    """Seconds since the epoch at the end of the exposure."""

    def revised(self, readings: Mapping[str, Reading]) -> Measurement:
        """The same with some readings that became known later."""
        return dataclasses.replace(self, readings={**self.readings, **readings}) if readings else self
