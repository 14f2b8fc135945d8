"""What predicts a reading at every candidate."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping

import numpy

from dkl_ae.records import FloatArray, IntArray


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

    def leave_one_out(self, rows: IntArray) -> tuple[FloatArray, Posterior]:
        """The values of some of the fitted measurements, and what each would be predicted to read without it, noise
        included; arrays of shape (rows,)."""

    def covariance(self, left: IntArray, right: IntArray) -> FloatArray:
        """Covariance of what is believed of two sets of candidates, shape (left, right), without what their patches do
        not tell."""

    @property
    def trainings(self) -> int:
        """How often its parameters were learned so far."""

    def parameters(self) -> dict[str, FloatArray]:
        """What was learned, by name; empty for a model that learns no parameters."""

    def restore(self, parameters: Mapping[str, FloatArray], trainings: int) -> None:
        """Take what another model of the same candidates had learned after so many trainings: the next fit takes these
        parameters instead of training."""

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences for the operator about what went wrong and was worked around in the last fit."""

    @property
    def explanation(self) -> str:
        """Which parts of the model explain the readings, for the operator."""


def left_out(values: FloatArray, columns: FloatArray, whitened: FloatArray) -> Posterior:
    """What some readings would be predicted to be without them (Rasmussen & Williams, equation 5.12).

    columns: those of L^-1 that belong to the readings, shape (n, rows), where L is the Cholesky factor of the
    covariance of all n readings.
    whitened: L^-1 times all readings less their prior mean, shape (n,).
    """
    precision = numpy.sum(columns**2, axis=0)
    return Posterior(mean=values - columns.T @ whitened / precision, sigma=1 / numpy.sqrt(precision))
