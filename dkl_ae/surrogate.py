"""What predicts a reading at every candidate: the protocol, and the exact GP that serves as its oracle."""

from __future__ import annotations

import dataclasses
import typing

from dkl_ae.survey import FloatArray, IntArray


@dataclasses.dataclass(frozen=True, eq=False)
class Posterior:
    """Belief about the noise-free reading at every candidate, in the reading's unit."""

    mean: FloatArray
    """Shape (candidates,)."""
    sigma: FloatArray
    """Shape (candidates,): one standard deviation, without measurement noise."""


class Surrogate(typing.Protocol):
    """Learns from what was measured; knows the patches of all candidates from the start."""

    def fit(self, candidates: IntArray, values: FloatArray, sigmas: FloatArray) -> None:
        """Replace all data by these measurements, each array of shape (n,), and learn from them.

        sigmas are the known one-sigma errors of the values, in the same unit.
        """

    def predict(self) -> Posterior:
        """Predict every candidate."""

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences for the operator about what went wrong and was worked around in the last fit."""
