"""What predicts a reading at every candidate."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping

import numpy

from dkl_ae.records import BoolArray, FloatArray, IntArray


@dataclasses.dataclass(frozen=True, eq=False)
class Posterior:
    """What is known of the noise-free reading at every candidate, in the reading's unit.

    Attributes
    ----------
    mean : ndarray of float, shape (candidates,)
        The prediction.
    sigma : ndarray of float, shape (candidates,)
        One standard deviation, without measurement noise.
    """

    mean: FloatArray
    sigma: FloatArray


@dataclasses.dataclass(frozen=True)
class VarianceFractions:
    """What a model has learned to explain the readings by, over all candidates; all between 0 and 1.

    All but the network's are fractions of the readings' prior variance, and are 1 together.
    """

    local: float
    """Structure that is alike in a patch's turned and mirrored images."""
    trend: float
    """What grows with the distance from the mean patch."""
    symmetry_breaking: float
    """What differs between a patch and its turned and mirrored images."""
    slow_variation: float
    """What changes slowly over the survey, whatever the patches show."""
    residual_noise: float
    """What neither patches nor positions tell."""
    network: float
    """The part of the distances between patches that the network's features have."""


class Surrogate(typing.Protocol):
    """Learns from what was measured; knows the patches of all candidates from the start."""

    def fit(self, candidates: IntArray, values: FloatArray, sigmas: FloatArray) -> None:
        """Replace all data by these measurements, and learn from them.

        Parameters
        ----------
        candidates : ndarray of int, shape (n,)
            What was measured.
        values : ndarray of float, shape (n,)
            What was read there.
        sigmas : ndarray of float, shape (n,)
            The known one-sigma errors of the values, in the same unit.
        """

    def predict(self) -> Posterior:
        """Predict every candidate."""

    def leave_one_out(self, rows: IntArray) -> tuple[FloatArray, Posterior]:
        """The values of some of the fitted measurements, and what each would be predicted to read without it, noise
        included; arrays of shape (rows,)."""

    def covariance(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Covariance of what is believed of two sets of candidates, shape (rows, columns), without what their patches
        do not tell."""

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences for the operator about what went wrong and was worked around in the last fit."""


@typing.runtime_checkable
class Trainable(typing.Protocol):
    """A surrogate whose parameters are learned, and can be taken from another one."""

    @property
    def trainings(self) -> int:
        """How often its parameters were learned so far."""

    def parameters(self) -> dict[str, FloatArray]:
        """What was learned, by name."""

    def restore(self, parameters: Mapping[str, FloatArray], trainings: int) -> None:
        """Take what another model of the same candidates had learned after so many trainings: the next fit takes these
        parameters instead of training."""


@typing.runtime_checkable
class Doubts(typing.Protocol):
    """A surrogate that does not believe every measurement that it was fitted to; each answer has the shape (n,)."""

    def contradicted(self) -> BoolArray:
        """Which all others contradict, where they know the place: they are outweighed."""

    def unconfirmed(self) -> BoolArray:
        """Which are contradicted, or far from what all others let one expect, whether these know the place or not: news
        that nothing beside it confirms yet."""


@typing.runtime_checkable
class Explains(typing.Protocol):
    """A surrogate that says which of its parts explain the readings."""

    def variance_fractions(self) -> VarianceFractions | None:
        """None before anything was learned."""


def left_out(values: FloatArray, columns: FloatArray, whitened: FloatArray) -> Posterior:
    """What some readings would be predicted to be without them (Rasmussen & Williams, equation 5.12).

    columns: those of L^-1 that belong to the readings, shape (n, rows), where L is the Cholesky factor of the
    covariance of all n readings.
    whitened: L^-1 times all readings less their prior mean, shape (n,).
    """
    precision = numpy.sum(columns**2, axis=0)
    return Posterior(mean=values - columns.T @ whitened / precision, sigma=1 / numpy.sqrt(precision))
