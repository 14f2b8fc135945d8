"""Follows the zero of a run's reference: which of its exposures to repeat when, and where the zero was at any time."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence

import numpy

from dkl_ae.instruments import Frame
from dkl_ae.patterns import Patterns, Reference, ZeroDrift, Zeros
from dkl_ae.records import FloatArray, Position

_KNOWN_WELL: typing.Final = 0.7
"""In standard deviations of a single exposure: a zero that is known worse is exposed again. Between two exposures it is
known better than that, for both tell of it."""
_NOTABLE_SIGMAS: typing.Final = 3.0
"""A drift of more standard deviations of a single exposure is told, and again whenever it has doubled."""
_LEAST_ERROR: typing.Final = 1e-5
"""Of an exposure's shift, in radii of the disc."""


@dataclasses.dataclass(frozen=True, eq=False)
class RepeatedExposure:
    """One of the reference's exposures once more, at the same place."""

    number: int
    """1 for the first of a run."""
    place: int
    """Which of the reference's exposures it repeats, from 0."""
    measured: int
    """Points so far."""
    frame: Frame
    is_trusted: bool
    """Whether nothing speaks against its place; else it is kept, and nothing is learned from it."""


class FollowedZero:
    """The zero of one run.

    reference: what its patterns are read against.
    exposures: those that the reference was found in; none for one that cannot be exposed again.
    """

    def __init__(self, reference: Reference, exposures: Sequence[Frame] = ()) -> None:
        self._reference = reference
        self._first = tuple(exposures)
        self._places: list[int] = []
        self._times: list[float] = []
        self._shifts: list[FloatArray] = []
        self._variances: list[float] = []
        self._electrons: list[float] = []
        self._repeats = 0
        self._latest_measured = 0
        """Points before the latest that was repeated."""
        self._is_recorded = False
        self._told_mrad = 0.0
        self._drift: ZeroDrift | None = None
        for place, frame in enumerate(exposures):
            self._take(place, frame)
        self._found_in = len(self._places)
        self._estimate()

    def due(self, measured: int, time: float, at_most: float) -> int | None:
        """Which of the reference's exposures is to be repeated now; None while the zero is known well enough.

        measured: points so far.
        at_most: repeated exposures for each point.
        """
        if self._drift is None or self._is_recorded:
            return None
        if measured <= self._latest_measured or self.next_number > at_most * measured:
            return None
        _, sigma = self._drift.at(numpy.array([time]))
        is_known = float(sigma.max()) <= _KNOWN_WELL * self._drift.exposure_sigma_mrad
        return None if is_known else self._places[self._repeats % self._found_in]

    def position(self, place: int) -> Position:
        """Where that exposure was."""
        return self._first[place].position_read_back

    @property
    def next_number(self) -> int:
        """Of the next exposure that is repeated."""
        return self._repeats + 1

    @property
    def exposures(self) -> int:
        """How many tell of the zero."""
        return len(self._places)

    def repeated(self, exposure: RepeatedExposure) -> str:
        """Learn from a repeated exposure; returns why nothing can be learned from it, in one sentence, else nothing."""
        place, frame = exposure.place, exposure.frame
        self._repeats, self._latest_measured = exposure.number, exposure.measured
        if not exposure.is_trusted:
            return ""
        first = self._first[place].pattern
        if numpy.array_equal(frame.pattern, first):
            # No two exposures count the same electrons: this is a recording's, which tells nothing new.
            self._is_recorded = True
            return ""
        if reason := self._take(place, frame):
            return f"A repeated exposure of the reference tells nothing of its zero: {reason}"
        self._estimate()
        return ""

    def at(self, times: FloatArray) -> Zeros | None:
        """Where the zero was; None while only the reference itself tells.

        times: shape (n,).
        """
        if self._drift is None or len(self._places) == self._found_in:
            return None
        shifts, sigmas = self._drift.at(times)
        # The reference's own error has what counting does in it, and what a specimen does, which no repetition tells.
        counting = self._drift.exposure_sigma_mrad**2 / self._found_in
        by_specimen = numpy.maximum(numpy.square(self._reference.zero_sigma_mrad) - counting, 0.0)
        return Zeros(shifts, numpy.sqrt(sigmas**2 + by_specimen))

    def _take(self, place: int, frame: Frame) -> str:
        """Returns why nothing can be read of an exposure; else empty."""
        read_back = frame.position_read_back
        seen = Patterns(
            frame.pattern[numpy.newaxis],
            self._reference,
            positions=numpy.array([[read_back.y, read_back.x]]),
        )
        if seen.reasons:
            return seen.reasons[0]
        moments = seen.moments
        self._places.append(place)
        self._times.append(frame.time)
        self._shifts.append(numpy.array([moments.y[0], moments.x[0]]))
        self._electrons.append(float(moments.disc[0]))
        variance = float(moments.variance_y[0] + moments.variance_x[0]) / 2
        # All electrons in one pixel have none, and nothing is known that well.
        self._variances.append(max(variance, (_LEAST_ERROR * self._reference.radius_mrad) ** 2))
        return ""

    def _estimate(self) -> None:
        if not self._places:
            return
        # Vacuum deflects nothing, wherever it is; but a fitted descan leaves what it cannot fit to each place.
        is_one_place = self._reference.is_vacuum is True and self._reference.descan is None
        places = numpy.array(self._places)
        self._drift = ZeroDrift(
            times=numpy.array(self._times),
            places=numpy.zeros_like(places) if is_one_place else places,
            shifts_mrad=numpy.array(self._shifts),
            variance=numpy.array(self._variances),
            found_in=numpy.array(self._electrons[: self._found_in]),
            largest_mrad=self._reference.radius_mrad,
        )

    def notice(self, time: float) -> str:
        """How far the zero has moved, in one sentence, where that is notable and was not told; else empty."""
        assert self._drift is not None
        shift, sigma = (float(numpy.hypot(*part[0])) for part in self._drift.at(numpy.array([time])))
        least = _NOTABLE_SIGMAS * max(self._drift.exposure_sigma_mrad, sigma)
        if shift <= max(least, 2 * self._told_mrad):
            return ""
        self._told_mrad = shift
        return (
            f"The undeflected beam has moved by {shift:.2g} mrad since the reference was exposed: all shifts are read "
            "against where it was at their time."
        )
