"""An experiment is a fold over its history: interrupted anywhere and taken up again, it goes on as it would have."""

from __future__ import annotations

import math

import numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from dkl_ae.experiment import ChangeObjective, Experiment, command_from_json, command_to_json
from dkl_ae.records import Measurement
from dkl_ae.session import MAPS
from dkl_ae.settings import LARGEST, SMALLEST, VALUE, make_plan
from tests.experiment.test_experiment import experiment, measurement

commands = st.builds(
    ChangeObjective,
    st.sampled_from(["com_magnitude", "com_x", "com_angle", "bf"]),
    st.sampled_from([LARGEST, SMALLEST, VALUE]),
    st.floats(-3, 3),
)
plans = st.builds(
    make_plan,
    scalarizer=st.sampled_from(["com_magnitude", "com_x", "com_angle"]),
    goal=st.sampled_from([LARGEST, SMALLEST]),
    patch_size=st.sampled_from([3, 5]),
    seed_points=st.integers(1, 4),
    model_points=st.integers(1, 8),
    batch_size=st.integers(1, 3),
    travel_cost=st.floats(0, 1),
    acquisition=st.sampled_from(["expected_improvement", "upper_confidence_bound", "thompson"]),
    random_seed=st.integers(0, 100),
)
steps = st.lists(st.one_of(st.floats(-3, 3), st.just(math.nan), commands), max_size=16)


def carry_out(subject: Experiment, actions: list) -> None:
    """Measure where the experiment asks for, and apply commands in between."""
    for action in actions:
        if isinstance(action, ChangeObjective):
            subject.apply(action)
        elif not subject.finished:
            subject.tell(measurement(subject, subject.ask(), action))


def assert_alike(first: Experiment, second: Experiment) -> None:
    assert first.plan == second.plan
    assert first.finished == second.finished
    assert repr(first.best) == repr(second.best)
    if not first.finished:
        assert repr(first.ask()) == repr(second.ask())
    assert (first.maps is None) == (second.maps is None)
    if first.maps is not None:
        for name in MAPS:
            numpy.testing.assert_array_equal(getattr(first.maps, name), getattr(second.maps, name))


@settings(max_examples=150)
@given(plans, steps, st.integers(0, 16))
def test_a_history_that_is_cut_anywhere_goes_on_as_if_it_had_not_been(plan, actions, cut) -> None:
    straight = experiment(plan)
    carry_out(straight, actions[:cut])
    resumed = experiment(plan)
    resumed.restore(straight.history, straight.checkpoint)
    assert_alike(resumed, straight)
    carry_out(straight, actions[cut:])
    carry_out(resumed, actions[cut:])
    assert_alike(resumed, straight)
    assert repr(resumed.history) == repr(straight.history)


@given(plans, steps)
def test_measurements_and_commands_keep_their_order(plan, actions) -> None:
    subject = experiment(plan)
    carry_out(subject, actions)
    given_ = [action for action in actions if isinstance(action, ChangeObjective)]
    assert [entry for entry in subject.history if isinstance(entry, ChangeObjective)] == given_
    assert tuple(entry for entry in subject.history if isinstance(entry, Measurement)) == subject.measurements


@given(commands)
def test_a_command_survives_its_own_text(command) -> None:
    assert command_from_json(command_to_json(command)) == command
