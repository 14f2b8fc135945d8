"""What a model costs, and how many candidates it can have without costing more than a step may take."""

from __future__ import annotations

import dataclasses
import typing

MOST_INDUCING: typing.Final = 300
"""A prediction rests on as many covariances for each candidate at most: on those with the measurements themselves, or
from more of them on with the inducing points that stand for them."""
MOST_TRAINED_ON: typing.Final = 200
"""A training sees at most this many measurements, drawn at random: its cost grows with their cube, and a few numbers
need no more. The prediction always rests on all of them."""

_EVALUATIONS: typing.Final = 4_500_000
"""Covariances between candidates and what was measured that are computed anew in one step, once the model was trained:
half a second on one core."""
_SECONDS_PER_EVALUATION: typing.Final = 1.05e-7
_SECONDS_PER_CANDIDATE: typing.Final = 9e-6
"""For what does not depend on how many were measured, such as the network's features."""
_SECONDS_OF_TRAINING: typing.Final = (0.3, 0.5)
"""From scratch, and how much more on as many measurements as it sees at most. All were measured on one core of a
server's processor."""
_BYTES_OF_PROGRAM: typing.Final = 450_000_000
"""With torch, and nothing learned."""
_BYTES_PER_CANDIDATE: typing.Final = 2_800
"""For the coordinates of its patch and of their images, twice: as they are, and as the network sees them."""


@dataclasses.dataclass(frozen=True)
class ModelCost:
    """What a model is expected to cost, on one core of a usual processor."""

    longest_step_s: float
    """Of a step that trains it."""
    memory_bytes: float
    """Of the whole program."""


def most_candidates(points: int) -> int:
    """So many are predicted anew within a step.

    points : how many the run measures.
    """
    return _EVALUATIONS // _evaluations_per_candidate(points)


def model_cost(candidates: int, points: int, patch_size: int) -> ModelCost:
    """An estimate, within a factor of two or so.

    points : how many the run measures.
    patch_size : side of a patch, in pixels.
    """
    evaluations = _evaluations_per_candidate(points)
    least, more = _SECONDS_OF_TRAINING
    training = least + more * min(points / MOST_TRAINED_ON, 1.0)
    bytes_per_candidate = _BYTES_PER_CANDIDATE + 4 * (patch_size**2 + evaluations)
    return ModelCost(
        longest_step_s=training + (_SECONDS_PER_CANDIDATE + _SECONDS_PER_EVALUATION * evaluations) * candidates,
        memory_bytes=_BYTES_OF_PROGRAM + bytes_per_candidate * candidates,
    )


def _evaluations_per_candidate(points: int) -> int:
    return min(max(points, 1), MOST_INDUCING)
