"""Laws of when a deep kernel is trained."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.model.deep_kernel.training import (
    GROWTH_BEFORE_TRAINING,
    LBFGS,
    TRAININGS_BETWEEN_COLD_ONES,
    TrainingSchedule,
)

counts = st.integers(1, 1000)


@given(counts, st.integers(0, 100))
def test_a_training_is_due_when_the_data_have_grown(count: int, more: int) -> None:
    schedule = TrainingSchedule().done(count)
    assert schedule.due(count + more) == (count + more >= count * GROWTH_BEFORE_TRAINING)


def test_every_so_many_trainings_one_starts_from_scratch() -> None:
    schedule, cold = TrainingSchedule(), []
    for count in range(2 * TRAININGS_BETWEEN_COLD_ONES + 1):
        cold.append(schedule.cold)
        schedule = schedule.done(count)
    assert [number for number, is_cold in enumerate(cold) if is_cold] == [
        0,
        TRAININGS_BETWEEN_COLD_ONES,
        2 * TRAININGS_BETWEEN_COLD_ONES,
    ]


@given(counts, counts)
def test_restored_parameters_are_taken_once_and_count_as_no_training(trainings: int, count: int) -> None:
    schedule = TrainingSchedule(trainings, trained_on=count, restored=True)
    assert schedule.due(count)
    assert schedule.done(count) == TrainingSchedule(trainings, count)
    assert schedule.done(count) == TrainingSchedule(trainings - 1).done(count), "as if it had trained itself"


@given(counts, counts)
def test_a_failed_training_waits_for_more_data_too(trainings: int, count: int) -> None:
    assert TrainingSchedule(trainings).failed(count) == TrainingSchedule(trainings, count)


@pytest.mark.parametrize("cycles", [1, 5, 30])
def test_the_optimiser_is_torchs_own(cycles: int) -> None:
    """Step by step, on Rosenbrock's valley."""
    paths = []
    for optimiser_class in (LBFGS, torch.optim.LBFGS):
        place = torch.nn.Parameter(torch.tensor([-1.2, 1.0], dtype=torch.float64))
        optimiser = optimiser_class([place], max_iter=cycles, line_search_fn="strong_wolfe")
        path = []

        def closure(place=place, optimiser=optimiser, path=path) -> torch.Tensor:
            optimiser.zero_grad()
            loss = 100 * (place[1] - place[0] ** 2) ** 2 + (1 - place[0]) ** 2
            loss.backward()
            path.append((float(loss.detach()), *place.tolist()))
            return loss

        optimiser.step(closure)
        paths.append(path)
    assert paths[0] == paths[1]
    assert len(paths[0]) > cycles
