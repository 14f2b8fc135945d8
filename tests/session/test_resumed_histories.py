"""A run is its file: killed at any event and taken up from it, it goes on as if it had not been; commands included."""

from __future__ import annotations

import dataclasses
import pathlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import h5py
import numpy
import pytest
from hypothesis import example, given, seed, settings
from hypothesis import strategies as st

from dkl_ae.experiment import ChangeObjective, Command
from dkl_ae.model import ModelSummary, VarianceFractions
from dkl_ae.records import Survey
from dkl_ae.run import CommandApplied, Dose, Event, Outcome, RunEnded, Runner, RunResumed, StepCompleted, SurveyAcquired
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.session import MAPS, SessionWriter, open_session, summary_from, take_up, times_from
from dkl_ae.session.layout import INPUTS, summary_row
from dkl_ae.settings import LARGEST, SMALLEST, VALUE, Plan, changed, make_plan, values_of
from tests.support.kept_runs import KilledError, MortalWriter, leave_open
from tests.support.recorded_specimen import instrument
from tests.support.strategies import plans
from tests.support.surrogates import NearestNeighbour, TrainedNeighbour

Commands = Mapping[int, Sequence[Command]]
"""What an operator asks for after so many points."""


@dataclasses.dataclass(frozen=True)
class History:
    plan: Plan
    commands: Commands
    killed_at: int
    """After which of its events."""
    make_surrogate: Callable[..., Any]


changes = st.builds(
    ChangeObjective,
    st.sampled_from(["com_magnitude", "com_x", "com_angle", "abf", "principal_component"]),
    st.sampled_from([LARGEST, SMALLEST, VALUE]),
    st.floats(-1, 1),
)
histories = st.builds(
    History,
    plan=st.builds(
        make_plan,
        scalarizer=st.sampled_from(["com_magnitude", "com_angle", "abf"]),
        goal=st.sampled_from([LARGEST, SMALLEST]),
        patch_size=st.sampled_from([5, 9]),
        seed_points=st.integers(1, 5),
        model_points=st.integers(0, 8),
        batch_size=st.integers(1, 3),
        acquisition=st.sampled_from(["expected_improvement", "upper_confidence_bound", "thompson"]),
        random_seed=st.integers(0, 100),
    ),
    commands=st.dictionaries(st.integers(1, 12), st.lists(changes, min_size=1, max_size=2), max_size=3),
    killed_at=st.integers(0, 30),
    make_surrogate=st.sampled_from([NearestNeighbour, TrainedNeighbour]),
)


class Operator:
    """Shows a run's events: gives the commands when it is time, and kills the run after one of the events."""

    def __init__(self, commands: Commands, killed_at: int | None = None) -> None:
        self.runner: Runner | None = None
        self.writer: MortalWriter | None = None
        self.events: list[Event] = []
        self._commands = commands
        self._killed_at = killed_at

    def __call__(self, event: Event) -> None:
        assert self.writer is None or not self.writer.is_dead or isinstance(event, RunEnded)
        self.events.append(event)
        match event:
            case StepCompleted(number=number):
                self._give(self._commands.get(number, ()))
            case RunResumed(interrupted=interrupted):
                # A command that was given but not applied yet is gone with the program.
                measured = len(interrupted.measurements)
                applied = 0
                for entry in reversed(interrupted.history):
                    if not isinstance(entry, ChangeObjective):
                        break
                    applied += 1
                self._give(self._commands.get(measured, ())[applied:])
        if len(self.events) - 1 == self._killed_at and not isinstance(event, RunEnded):
            assert self.writer is not None
            self.writer.kill()

    def _give(self, commands: Sequence[Command]) -> None:
        assert self.runner is not None
        for command in commands:
            self.runner.give(command)


def start(file: pathlib.Path, history: History, killed_at: int | None = None) -> Operator:
    """Run it into a file, to its end or until it is killed."""
    operator = Operator(history.commands, killed_at)
    writer = operator.writer = MortalWriter(file, history.plan, SCALARIZERS)
    operator.runner = Runner(instrument(), history.plan, operator, history.make_surrogate, recorder=writer)
    try:
        operator.runner.run()
    except KilledError:
        leave_open(writer, file)
    return operator


def go_on(file: pathlib.Path, history: History) -> RunEnded:
    """Take the run up from its file, and let it come to its end."""
    interrupted, scalarizers, writer = take_up(file)
    operator = Operator(history.commands)
    operator.runner = Runner(
        instrument(),
        interrupted.plan,
        operator,
        history.make_surrogate,
        scalarizers=scalarizers,
        recorder=writer,
        interrupted=interrupted,
    )
    return operator.runner.run()


def contents(file: pathlib.Path) -> dict[str, Any]:
    """All that must not depend on whether the run was killed: not the times, and not what is said of the kill."""
    with open_session(file) as session, h5py.File(file) as opened:
        count = session.count
        return {
            "outcome": session.outcome,
            "commands": session.commands,
            "objectives": [session.objective(measured) for measured in range(count + 1)],
            "proposals": [repr(m.proposal) for m in session.measurements],
            "readings": [repr(m.readings) for m in session.measurements],
            "doses": [session.dose(measured) for measured in range(count + 1)],
            "models": [repr(summary_from({k: v[i] for k, v in session.steps.items()})) for i in range(count)],
            "map steps": session.map_steps.tolist(),
            "maps": [opened[f"maps/{name}"][:].tobytes() for name in MAPS],
            "checkpoint": repr(session.checkpoint() and dataclasses.asdict(session.checkpoint())),
        }


@pytest.mark.exhaustive(ordinary=10, full=300)
@pytest.mark.timeout(3000)
def test_a_run_that_is_killed_at_any_event_goes_on_from_its_file(times) -> None:
    @seed(20261128)
    @settings(max_examples=times, deadline=None, database=None)
    @given(histories)
    def law(history: History) -> None:
        with tempfile.TemporaryDirectory() as folder:
            whole, killed = pathlib.Path(folder, "whole.h5"), pathlib.Path(folder, "killed.h5")
            start(whole, history)
            operator = start(killed, history, history.killed_at)
            assert operator.writer is not None
            if operator.writer.is_dead:
                assert go_on(killed, history).outcome is Outcome.FINISHED
            assert contents(killed) == contents(whole)

    law()


def test_what_was_told_of_a_step_is_in_the_file_when_it_is_told(tmp_path) -> None:
    """Its times, what the model says of itself, and its maps: a kill a moment later takes nothing of it."""
    file, compared = tmp_path / "run.h5", 0

    def show(event: Event) -> None:
        nonlocal compared
        if not isinstance(event, StepCompleted):
            return
        with open_session(file) as session:
            row = {name: column[event.number - 1] for name, column in session.steps.items()}
            assert len(session.steps["model_s"]) == event.number
            assert times_from(row) == event.times
            assert summary_from(row) == event.explanation
            if event.maps is not None:
                numpy.testing.assert_array_equal(
                    session.maps(event.number).prediction, event.maps.prediction.astype(numpy.float32)
                )
        compared += 1

    writer = SessionWriter(file, PLAN, SCALARIZERS)
    Runner(instrument(), PLAN, show, TrainedNeighbour, recorder=writer).run()
    assert compared == PLAN.search.points


# What a change of the objective leaves of the models.

PLAN = make_plan(patch_size=5, seed_points=6, model_points=9, random_seed=3)
CHANGE = ChangeObjective("com_angle", VALUE, 0.5)
CHANGED_AFTER = 9


def test_a_run_that_is_killed_right_after_a_change_takes_up_the_new_model_and_not_the_old(tmp_path) -> None:
    """Of an angle there are two numbers, and the old model had one."""
    history = History(PLAN, {CHANGED_AFTER: [CHANGE]}, 0, TrainedNeighbour)
    whole = start(tmp_path / "whole.h5", history)
    (place,) = (place for place, event in enumerate(whole.events) if isinstance(event, CommandApplied))
    change = whole.events[place]
    assert change.checkpoint.measured == CHANGED_AFTER
    earlier = [event.checkpoint for event in whole.events[:place] if isinstance(event, StepCompleted)]
    assert earlier[-1] is not None, "the old model was trained on as many measurements"
    start(tmp_path / "killed.h5", history, place)
    interrupted, _, writer = take_up(tmp_path / "killed.h5")
    writer.close()
    assert interrupted.history[-1] == CHANGE
    assert (interrupted.checkpoint.measured, interrupted.checkpoint.trainings) == (CHANGED_AFTER, (1, 1))
    assert interrupted.checkpoint.parameters == change.checkpoint.parameters
    with h5py.File(tmp_path / "killed.h5") as opened:
        assert opened["model/commands"][:].tolist()[-2:] == [0, 1]
        assert opened["model/measured"][:].tolist()[-2:] == [CHANGED_AFTER, CHANGED_AFTER]


# Plans and what models say of themselves.


@given(plans)
@example(make_plan(exposure_ms=12.3456789))
def test_a_plan_survives_its_session_exactly(plan: Plan) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # What the plan names is kept too, and must be there.
        named = pathlib.Path(folder, "named")
        named.write_bytes(b"some")
        files = {key: str(named) for key in INPUTS if values_of(plan)[key]}
        plan = changed(plan, **files)
        file = pathlib.Path(folder, "plan.h5")
        writer = SessionWriter(file, plan, SCALARIZERS)
        writer.keep(SurveyAcquired(plan, Survey(numpy.eye(3), 0.1), Dose()))
        writer.close()
        with open_session(file) as session:
            # 0.0 equals -0.0, and a float an int.
            assert repr(session.plan) == repr(plan)
            assert {key for key in INPUTS if session.input(key) == b"some"} == set(files)


fractions = st.floats(0, 1)
summaries = st.builds(
    ModelSummary,
    st.none() | st.builds(VarianceFractions, *[fractions] * 6),
    st.floats(1, 100),
)


@given(st.none() | summaries)
def test_what_a_model_says_of_itself_survives_its_columns(summary: ModelSummary | None) -> None:
    assert summary_from(summary_row(summary)) == summary
