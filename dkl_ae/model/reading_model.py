"""The model of one reading.

A circular reading, an angle, is modelled through its cosine and its sine, never across the branch cut.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy

from dkl_ae.model.interval_calibration import interval_scale, rescaled
from dkl_ae.model.surrogate import Doubts, Explains, Posterior, Surrogate, Trainable, VarianceFractions
from dkl_ae.records import BoolArray, FloatArray, IntArray, Patches, Symmetry

MakeSurrogate = Callable[[Patches, int, Symmetry], Surrogate]
"""All candidates, which of the modelled numbers it is for (of an angle 0 is the cosine and 1 the sine), and what that
does when the specimen is turned or mirrored -> a surrogate."""


@dataclasses.dataclass(frozen=True, eq=False)
class Readings:
    """What was measured of one reading; each array has the shape (n,)."""

    candidates: IntArray
    values: FloatArray
    """NaN where it is undefined."""
    sigmas: FloatArray
    at_random: BoolArray
    """Which were measured at random positions."""

    def known(self) -> Readings:
        """Those that are numbers."""
        finite = numpy.isfinite(self.values)
        return Readings(self.candidates[finite], self.values[finite], self.sigmas[finite], self.at_random[finite])


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a model had learned when it was trained last: all that resuming needs beside the measurements."""

    measured: int
    """Measurements that it was trained on."""
    trainings: tuple[int, ...]
    """Of each modelled number: of an angle there are two."""
    parameters: tuple[dict[str, FloatArray], ...]
    """Likewise, by name."""


@dataclasses.dataclass(frozen=True, eq=False)
class Learned:
    """What a model says after it has learned."""

    targets: tuple[FloatArray, ...]
    """The readings of each modelled number that others confirm, shape (n,)."""
    posteriors: tuple[Posterior, ...]
    """Of each modelled number at every candidate, its intervals as wide as the readings ask for."""
    prediction: Posterior
    """Of the reading itself at every candidate."""
    error: float
    """The usual standard deviation of a reading; 0 before there is one."""
    interval_scales: tuple[float, ...]
    """By how much the intervals of each number were widened."""


@dataclasses.dataclass(frozen=True)
class ModelSummary:
    """What the model says of itself."""

    fractions: VarianceFractions | None
    """Which of its parts explain the readings; None of a model that has no such parts. Of an angle: its cosine's."""
    interval_scale: float
    """By what factor its intervals had to be widened."""


class ReadingModel:
    """One surrogate for a reading, or two for an angle.

    symmetry: what the reading does when the specimen is turned or mirrored.
    """

    def __init__(
        self,
        patches: Patches,
        make_surrogate: MakeSurrogate,
        *,
        symmetry: Symmetry,
        circular: bool,
    ) -> None:
        self._circular = circular
        symmetries = (Symmetry.X, Symmetry.Y) if circular else (symmetry,)
        self.surrogates = tuple(
            make_surrogate(patches, component, symmetry) for component, symmetry in enumerate(symmetries)
        )
        self.contradicted: IntArray = numpy.empty(0, numpy.int64)
        """Candidates whose readings are not believed, as of the last fit; see `Doubts`."""
        self.unconfirmed: IntArray = numpy.empty(0, numpy.int64)
        """Candidates whose readings are not to be called the best, as of the last fit; see `Doubts`."""
        self.learned: Learned | None = None
        """None until it has learned."""
        self.checkpoint: Checkpoint | None = None
        """Of the latest training; None until it was trained."""

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences for the operator, from the last fit."""
        notices = tuple(notice for surrogate in self.surrogates for notice in surrogate.notices)
        doubted = self.contradicted.size
        if not doubted:
            return notices
        many = "1 reading is contradicted" if doubted == 1 else f"{doubted} readings are contradicted"
        return (*notices, f"{many} by the model and all other readings: weighed down, and not taken for the best.")

    @property
    def summary(self) -> ModelSummary | None:
        """None until it has learned."""
        if self.learned is None:
            return None
        first = self.surrogates[0]
        fractions = first.variance_fractions() if isinstance(first, Explains) else None
        return ModelSummary(fractions, max(self.learned.interval_scales))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take what another model of the same candidates had learned: the next fit needs no training."""
        parts = zip(self.surrogates, checkpoint.parameters, checkpoint.trainings, strict=True)
        for surrogate, parameters, trainings in parts:
            if isinstance(surrogate, Trainable):
                surrogate.restore(parameters, trainings)

    def fit(self, readings: Readings, measured: int) -> Learned:
        """Learn from readings that are numbers, and from nothing else.

        measured: how many measurements they were taken from, for the checkpoint.
        """
        targets = self._targets(readings)
        posteriors, scales = [], []
        for surrogate, (values, sigmas) in zip(self.surrogates, targets, strict=True):
            surrogate.fit(readings.candidates, values, sigmas)
            scale = interval_scale(surrogate, numpy.flatnonzero(readings.at_random))
            posteriors.append(rescaled(surrogate.predict(), scale))
            scales.append(scale)
        self._keep_checkpoint(measured)
        contradicted, unconfirmed = self._doubted(readings.values.size)
        self.contradicted, self.unconfirmed = readings.candidates[contradicted], readings.candidates[unconfirmed]
        self.learned = Learned(
            targets=tuple(values[~unconfirmed] for values, _ in targets),
            posteriors=tuple(posteriors),
            prediction=_angle_posterior(*posteriors) if self._circular else posteriors[0],
            error=float(numpy.median(targets[0][1])) if readings.values.size else 0.0,
            interval_scales=tuple(scales),
        )
        return self.learned

    def covariance(self, weights: Sequence[float], rows: IntArray, columns: IntArray) -> FloatArray:
        """Of a weighted sum of the modelled numbers between two sets of candidates, shape (rows, columns)."""
        assert self.learned is not None
        parts = [
            (weight * scale) ** 2 * surrogate.covariance(rows, columns)
            for weight, scale, surrogate in zip(weights, self.learned.interval_scales, self.surrogates, strict=True)
        ]
        total: FloatArray = numpy.sum(parts, axis=0)
        return total

    def _targets(self, readings: Readings) -> list[tuple[FloatArray, FloatArray]]:
        """Values and errors of each modelled number."""
        if not self._circular:
            return [(readings.values, readings.sigmas)]
        return [
            (numpy.cos(readings.values), cosine_error(readings.values, readings.sigmas)),
            (numpy.sin(readings.values), cosine_error(readings.values - math.pi / 2, readings.sigmas)),
        ]

    def _doubted(self, count: int) -> tuple[BoolArray, BoolArray]:
        """Which of so many measurements are contradicted, and which are unconfirmed, in any of the modelled numbers."""
        contradicted, unconfirmed = numpy.zeros((2, count), numpy.bool_)
        for surrogate in self.surrogates:
            if isinstance(surrogate, Doubts):
                contradicted |= surrogate.contradicted()
                unconfirmed |= surrogate.unconfirmed()
        return contradicted, unconfirmed

    def _keep_checkpoint(self, measured: int) -> None:
        trainings = tuple(s.trainings if isinstance(s, Trainable) else 0 for s in self.surrogates)
        if self.checkpoint is None or trainings != self.checkpoint.trainings:
            parameters = tuple(s.parameters() if isinstance(s, Trainable) else {} for s in self.surrogates)
            self.checkpoint = Checkpoint(measured, trainings, parameters)


def cosine_error(angles: FloatArray, sigmas: FloatArray) -> FloatArray:
    """One standard deviation of the cosine of angles that are known to one standard deviation, however large.

    That of a normal angle's: with s the sigma, (1 + exp(-2 s^2) cos 2a) / 2 - exp(-s^2) cos^2 a is its variance. To
    first order it is |sin a| s, which would take the cosine of an angle of nothing for known where the angle is zero.
    """
    along, across = numpy.cos(angles) ** 2, numpy.sin(angles) ** 2
    # Of exp(-s^2), without the digits that cancel.
    less = -numpy.expm1(-(sigmas**2))
    error: FloatArray = numpy.sqrt(0.5 * along * less**2 + 0.5 * across * less * (2 - less))
    return error


def _angle_posterior(cosine: Posterior, sine: Posterior) -> Posterior:
    """Angle and its deviation from independent posteriors of its cosine and sine, to first order.

    The deviation is at most pi / sqrt(3), that of an angle about which nothing is known.
    """
    squared = numpy.maximum(cosine.mean**2 + sine.mean**2, 1e-12)
    variance = (cosine.mean * sine.sigma) ** 2 + (sine.mean * cosine.sigma) ** 2
    sigma = numpy.sqrt(variance) / squared
    return Posterior(
        mean=numpy.arctan2(sine.mean, cosine.mean),
        sigma=numpy.minimum(sigma, math.pi / math.sqrt(3)),
    )
