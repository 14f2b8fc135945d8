"""The measurements of a saved model that a new one starts from, and how far they are doubted."""

from __future__ import annotations

import dataclasses
import math

import numpy

from dkl_ae.model.saved_model import ModelState
from dkl_ae.model.surrogate import Posterior
from dkl_ae.records import FloatArray, IntArray

TRANSFER_DOUBT = 0.1
"""Readings of an earlier session are believed to be off by at least this much of their standard deviation, beside their
known error: another specimen, another day's beam."""

Measurements = tuple[IntArray, FloatArray, FloatArray]
"""Candidates, values and sigmas."""


@dataclasses.dataclass(frozen=True, eq=False)
class TransferredMeasurements:
    """What another model has measured; its patches are candidates that come after the new model's own."""

    candidates: IntArray
    values: FloatArray
    sigmas: FloatArray

    @classmethod
    def of(cls, state: ModelState | None, first: int) -> TransferredMeasurements:
        """first: the candidate that is the first patch of the state; None brings no measurements."""
        if state is None:
            return cls(numpy.empty(0, numpy.int64), numpy.empty(0), numpy.empty(0))
        return cls(first + numpy.arange(len(state.values)), state.values, state.sigmas)

    def __len__(self) -> int:
        return len(self.candidates)

    @property
    def least_doubt(self) -> float:
        """One standard deviation, in the reading's unit."""
        return TRANSFER_DOUBT * float(self.values.std())

    def doubt(self, own: Measurements, expected: Posterior) -> float:
        """How far they are to be doubted: as far as the new measurements contradict them.

        expected: what they alone let one expect of every candidate.
        """
        candidates, values, sigmas = own
        doubt = self.least_doubt
        if candidates.size:
            variance = expected.sigma[candidates] ** 2 + sigmas**2
            unexpected = float(numpy.mean((values - expected.mean[candidates]) ** 2 - variance))
            # In powers of two, so that it does not change with every reading: all would be learned anew.
            doubt *= 2.0 ** max(math.ceil(math.log2(max(unexpected, 1e-300) ** 0.5 / doubt)), 0) if doubt else 1.0
        return doubt

    def doubted(self, doubt: float) -> Measurements:
        """The same with larger errors."""
        return self.candidates, self.values, numpy.hypot(self.sigmas, doubt)

    def joined(self, own: Measurements, expected: Posterior) -> Measurements:
        """These, as far as they are believed, and the new ones; see `doubt`."""
        both = zip(self.doubted(self.doubt(own, expected)), own, strict=True)
        candidates, values, sigmas = (numpy.concatenate(parts) for parts in both)
        return candidates, values, sigmas
