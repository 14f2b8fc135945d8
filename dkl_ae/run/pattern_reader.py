"""Reads a run's patterns, against its reference and against what the run has seen so far."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterable, Mapping, Sequence

import numpy
import numpy.typing

from dkl_ae.instruments import Frame
from dkl_ae.patterns import PatternMemory, Patterns, Reference, require_shape
from dkl_ae.records import FloatArray, Measurement, Position, Reading, UserError, sentence_of
from dkl_ae.run.followed_zero import FollowedZero, RepeatedExposure
from dkl_ae.scalarizers import ENDS, Scalarizer, one_pattern, read, readings_of, with_undeformed

PRINCIPAL_COMPONENT = "principal_component"


@dataclasses.dataclass(frozen=True, eq=False)
class Cross:
    """What was exposed for one point."""

    centre: Frame
    ends: tuple[Frame, ...] = ()
    broken: BaseException | None = None
    """Why not all ends could be exposed, or the last of them cannot be believed."""
    untrusted: BaseException | None = None
    """Why it cannot be believed that the centre is of its place, and what is said of it."""


def unread(scalarizers: Iterable[Scalarizer], error: BaseException) -> dict[str, Reading]:
    """The readings of a pattern of which nothing could be read, or may be."""
    reason = sentence_of(error)
    return {s.name: Reading(math.nan, math.nan, s.unit, reason) for s in scalarizers}


@dataclasses.dataclass(frozen=True, eq=False)
class _Summed:
    """What is kept of a pattern that was read, to read it against another zero."""

    candidate: int
    sums: FloatArray
    position: Position
    time: float


Revised = Mapping[int, Mapping[str, Reading]]
"""Readings that are known, or known better, only now: by candidate and by scalarizer."""


def merged(one: Revised, other: Revised) -> Revised:
    """Both; the other's where both have a reading."""
    return {candidate: {**one.get(candidate, {}), **other.get(candidate, {})} for candidate in {**one, **other}}


class Reader:
    """The reference and its zero, the undeformed lattice and the patterns that were seen: one for each run.

    scalarizers: as they were when the run began: a file that is edited since changes nothing.
    exposures: those that the reference was found in; none where they are not to be repeated.
    """

    def __init__(
        self, reference: Reference, scalarizers: Mapping[str, Scalarizer], exposures: Sequence[Frame] = ()
    ) -> None:
        self.reference = reference
        self.zero = FollowedZero(reference, exposures)
        self._scalarizers = tuple(scalarizers.values())
        self._memory = PatternMemory()
        self._seen_at: list[int] = []
        self._latest: Patterns | None = None
        self._summed: list[_Summed] = []
        self._by_zero: set[str] = set()
        """Names of the readings that change with the zero."""

    def read(self, cross: Cross, arm_nm: float) -> dict[str, Reading]:
        """Every reading; raises why nothing can be read.

        arm_nm: of the cross.
        """
        is_whole = len(cross.ends) == len(ENDS) and cross.broken is None
        self.require_same_camera(cross.centre)
        self._latest = one_pattern(
            cross.centre.pattern,
            self.reference,
            position=cross.centre.position_read_back,
            zeros=self.zero.at(numpy.array([cross.centre.time])),
            ends=numpy.stack([end.pattern for end in cross.ends]) if is_whole else None,
            arm_nm=arm_nm,
            memory=self._memory,
        )
        return readings_of(self._latest, self._scalarizers)

    def follow(self, repeated: RepeatedExposure) -> tuple[Revised, str]:
        """Learn where the zero is from a repeated exposure of the reference.

        Returns what changes with the zero of every pattern so far, as far as its sums tell, and what the operator
        should know, in one sentence or none.
        """
        before = self.zero.exposures
        trouble = self.zero.repeated(repeated)
        if self.zero.exposures == before:
            return {}, trouble
        return self._read_again(), self.zero.notice(repeated.frame.time)

    def _read_again(self) -> Revised:
        if not self._summed:
            return {}
        zeros = self.zero.at(numpy.array([kept.time for kept in self._summed]))
        patterns = Patterns.of_sums(
            numpy.stack([kept.sums for kept in self._summed]),
            self.reference,
            positions=numpy.array([[kept.position.y, kept.position.x] for kept in self._summed]),
            zeros=zeros,
        )
        again: dict[int, dict[str, Reading]] = {kept.candidate: {} for kept in self._summed}
        for scalarizer in self._scalarizers:
            if scalarizer.name not in self._by_zero:
                continue
            found = read(scalarizer, patterns)
            columns = (found.value.tolist(), found.sigma.tolist(), found.common_sigma.tolist())
            for kept, value, sigma, common_sigma in zip(self._summed, *columns, strict=True):
                if math.isfinite(value):
                    reading = Reading(value, sigma, scalarizer.unit, common_sigma=common_sigma)
                    again[kept.candidate][scalarizer.name] = reading
        return again

    def require_same_camera(self, frame: Frame) -> None:
        """Raises UserError for a frame of another camera length or size than the reference's."""
        if not self.reference.fits(frame.mrad_per_pixel):
            there, here = (
                " x ".join(f"{mrad:.3g}" for mrad in pair)
                for pair in (self.reference.mrad_per_pixel, frame.mrad_per_pixel)
            )
            raise UserError(
                f"The reference has pixels of {there} mrad but the camera of {here}: acquire a new reference, or go "
                "back to its camera length."
            )
        require_shape(frame.pattern[numpy.newaxis], self.reference)

    def recall(self, pattern: numpy.typing.NDArray[typing.Any], measurement: Measurement) -> Revised:
        """See a pattern again that an earlier run has read; returns what `remember` does."""
        if all(math.isnan(reading.value) for reading in measurement.readings.values()):
            return {}
        self._latest = one_pattern(
            pattern, self.reference, position=measurement.position_read_back, memory=self._memory
        )
        return self.remember(measurement)

    def remember(self, measurement: Measurement) -> Revised:
        """Let later patterns be compared with the one that was read last, which gave this measurement.

        Strain is measured against the first lattice that is met, where the reference brought none. Returns readings
        that are known only now, by candidate and by scalarizer: those of the principal component, once it is found.
        """
        patterns = self._latest
        assert patterns is not None
        has_lattice = math.isfinite(measurement.readings["bragg_spacing"].value)
        if self.reference.lattice_mrad is None and has_lattice:
            self.reference = with_undeformed(self.reference, patterns)
        if patterns.reasons:
            return {}
        candidate = measurement.proposal.candidate
        self._summed.append(_Summed(candidate, patterns.sums[0], measurement.position_read_back, measurement.time))
        self._by_zero |= {name for name, reading in measurement.readings.items() if reading.common_sigma > 0}
        known = self._memory.component is not None
        patterns.remember_in(self._memory)
        self._seen_at.append(candidate)
        if known or self._memory.component is None:
            return {}
        return {
            candidate: {PRINCIPAL_COMPONENT: Reading(value, sigma, "")}
            for candidate, (value, sigma) in zip(self._seen_at, self._memory.scores(), strict=True)
        }
