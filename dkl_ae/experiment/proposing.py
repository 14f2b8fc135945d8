"""What an experiment says of its choices: proposals, and maps of the whole survey."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy

from dkl_ae.experiment.acquisition import relative_score
from dkl_ae.experiment.chooser import Choice
from dkl_ae.model import Posterior
from dkl_ae.records import BoolArray, FloatArray, Origin, Patches, Proposal


@dataclasses.dataclass(frozen=True, eq=False)
class Maps:
    """What the model says of the whole survey; NaN where no patch fits.

    Attributes
    ----------
    prediction : ndarray of float, shape (H, W)
        The expected reading, in the scalarizer's unit.
    uncertainty : ndarray of float, shape (H, W)
        Its standard deviation, in the same unit, the error that all readings have in common included.
    acquisition : ndarray of float, shape (H, W)
        How much measuring there next is worth: see `dkl_ae.experiment.acquisition.relative_score`.
    reading_probability : ndarray of float, shape (H, W)
        How likely the pattern there is to give a number: see `dkl_ae.model.ReadingProbability`.
    """

    prediction: FloatArray
    uncertainty: FloatArray
    acquisition: FloatArray
    reading_probability: FloatArray


def map_title(name: str) -> str:
    """Of one of the maps, for people."""
    return "Probability of a reading" if name == "reading_probability" else name.capitalize()


def maps_of(
    patches: Patches,
    prediction: Posterior,
    common_sigma: float,
    acquisition: str,
    scores: FloatArray,
    reading_probability: FloatArray,
    allowed: BoolArray,
    *,
    circular: bool,
) -> Maps:
    """common_sigma: of the error that all readings have in common.
    circular: whether the reading is an angle.
    scores: of the acquisition function, by candidate; measured against the highest of those that are allowed."""
    free = scores[allowed]
    highest = float(free.max() if free.size else scores.max())
    return Maps(
        prediction=patches.to_map(prediction.mean, circular=circular),
        uncertainty=patches.to_map(numpy.hypot(prediction.sigma, common_sigma)),
        acquisition=patches.to_map(relative_score(acquisition, scores, highest)),
        reading_probability=patches.to_map(reading_probability),
    )


def seed_at(patches: Patches, candidate: int) -> Proposal:
    """A candidate that was drawn at random."""
    row, column = patches.pixel(candidate)
    return Proposal(candidate, row, column, Origin.SEED)


def chosen_by_model(
    patches: Patches, choices: Sequence[Choice], prediction: Posterior, confirmations: int
) -> list[Proposal]:
    """Candidates with what the model expects of each.

    confirmations: so many, the first of them, are to confirm readings.
    """
    return [
        Proposal(
            choice.candidate,
            *patches.pixel(choice.candidate),
            Origin.CONFIRMATION if number < confirmations else Origin.MODEL,
            score=choice.score,
            expected=float(prediction.mean[choice.candidate]),
            uncertainty=float(prediction.sigma[choice.candidate]),
            exploration=choice.exploration,
        )
        for number, choice in enumerate(choices)
    ]
