"""Reads a run's patterns, against its reference and against what the run has seen so far."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterable, Mapping

import numpy
import numpy.typing

from dkl_ae.instruments import Frame
from dkl_ae.patterns import PatternMemory, Patterns, Reference
from dkl_ae.records import Measurement, Reading, UserError, sentence_of
from dkl_ae.scalarizers import ENDS, Scalarizer, one_pattern, readings_of, with_undeformed

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


class Reader:
    """The reference, the undeformed lattice and the patterns that were seen: one for each run.

    scalarizers: as they were when the run began: a file that is edited since changes nothing.
    """

    def __init__(self, reference: Reference, scalarizers: Mapping[str, Scalarizer]) -> None:
        self.reference = reference
        self._scalarizers = tuple(scalarizers.values())
        self._memory = PatternMemory()
        self._seen_at: list[int] = []
        self._latest: Patterns | None = None

    def read(self, cross: Cross, arm_nm: float) -> dict[str, Reading]:
        """Every reading; raises why nothing can be read.

        arm_nm: of the cross.
        """
        is_whole = len(cross.ends) == len(ENDS) and cross.broken is None
        self._require_same_camera(cross.centre)
        self._latest = one_pattern(
            cross.centre.pattern,
            self.reference,
            position=cross.centre.position_read_back,
            ends=numpy.stack([end.pattern for end in cross.ends]) if is_whole else None,
            arm_nm=arm_nm,
            memory=self._memory,
        )
        return readings_of(self._latest, self._scalarizers)

    def _require_same_camera(self, frame: Frame) -> None:
        if not self.reference.fits(frame.mrad_per_pixel):
            there, here = (
                " x ".join(f"{mrad:.3g}" for mrad in pair)
                for pair in (self.reference.mrad_per_pixel, frame.mrad_per_pixel)
            )
            raise UserError(
                f"The reference has pixels of {there} mrad but the camera of {here}: acquire a new reference, or go "
                "back to its camera length."
            )

    def recall(
        self, pattern: numpy.typing.NDArray[typing.Any], measurement: Measurement
    ) -> dict[int, dict[str, Reading]]:
        """See a pattern again that an earlier run has read; returns what `remember` does."""
        if all(math.isnan(reading.value) for reading in measurement.readings.values()):
            return {}
        self._latest = one_pattern(
            pattern, self.reference, position=measurement.position_read_back, memory=self._memory
        )
        has_lattice = math.isfinite(measurement.readings["bragg_spacing"].value)
        return self.remember(measurement.proposal.candidate, has_lattice=has_lattice)

    def remember(self, candidate: int, *, has_lattice: bool) -> dict[int, dict[str, Reading]]:
        """Let later patterns be compared with the one that was read last, which was measured at a candidate.

        Strain is measured against the first lattice that is met, where the reference brought none. Returns readings
        that are known only now, by candidate and by scalarizer: those of the principal component, once it is found.
        """
        patterns = self._latest
        assert patterns is not None
        if self.reference.lattice_mrad is None and has_lattice:
            self.reference = with_undeformed(self.reference, patterns)
        if patterns.reasons:
            return {}
        known = self._memory.component is not None
        patterns.remember_in(self._memory)
        self._seen_at.append(candidate)
        if known or self._memory.component is None:
            return {}
        return {
            candidate: {PRINCIPAL_COMPONENT: Reading(value, sigma, "")}
            for candidate, (value, sigma) in zip(self._seen_at, self._memory.scores(), strict=True)
        }
