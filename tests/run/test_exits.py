"""Whatever is raised, and wherever: the beam is blanked, the microscope as it was, and how the run ended is told."""

from __future__ import annotations

import contextlib
import functools
import pathlib
import sys
import threading
import types
import typing

import pytest

from dkl_ae.experiment import ChangeObjective
from dkl_ae.records import InstrumentError
from dkl_ae.run import CommandApplied, Event, Outcome, PointMeasured, RunEnded, Runner
from dkl_ae.run.controls import Controls
from dkl_ae.scalarizers import SCALARIZERS, one_pattern
from dkl_ae.session import SessionWriter, open_session
from dkl_ae.settings import make_plan
from tests.support.simulated_instrument import SimulatedInstrument
from tests.support.surrogates import NearestNeighbour

PLAN = make_plan(patch_size=7, seed_points=3, model_points=3, compute_device="cpu")


Function = typing.Callable[..., typing.Any]


class Leave(BaseException):
    """As what a debugger, or a thread that is cancelled, raises."""


def raising(error: BaseException, call: int, function: Function) -> Function:
    """The function, which raises at one of its calls."""
    calls = 0

    @functools.wraps(function)
    def called(*arguments: typing.Any, **named: typing.Any) -> typing.Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise error
        return function(*arguments, **named)

    return called


FEW = {name: SCALARIZERS[name] for name in ("com_magnitude", "abf", "bragg_spacing")}
"""The run needs no more of them."""
LAST_BLANKING = 1 + 4 + PLAN.search.points + 1
"""Those of preparing, of each exposure, and the one at the end."""


@pytest.mark.parametrize(
    ("method", "call", "error"),
    [
        ("prepare", 1, KeyboardInterrupt()),
        ("acquire_survey", 1, SystemExit(3)),
        ("acquire_pattern", 3, GeneratorExit()),
        ("acquire_pattern", 6, KeyboardInterrupt()),
        ("acquire_pattern", 9, Leave("now")),
        ("blank", LAST_BLANKING, KeyboardInterrupt()),
        ("restore", 1, SystemExit(1)),
    ],
)
def test_what_ends_the_program_goes_on_to_the_caller_once_all_is_safe(tmp_path, method, call, error) -> None:
    instrument = SimulatedInstrument()
    setattr(instrument, method, raising(error, call, getattr(instrument, method)))
    events: list[Event] = []
    writer = SessionWriter(tmp_path / "run.h5", PLAN, FEW)
    runner = Runner(instrument, PLAN, events.append, NearestNeighbour, scalarizers=FEW, recorder=writer)
    with pytest.raises(type(error)) as raised:
        runner.run()
    assert raised.value is error
    assert instrument.blanked
    assert instrument.log[-1] == "restore"
    assert isinstance(events[-1], RunEnded)
    if method in ("prepare", "acquire_survey", "acquire_pattern"):
        name = type(error).__name__
        sentence = f"Stopped by {name}: everything measured so far is saved."
        assert events[-1] == RunEnded(Outcome.STOPPED, sentence)
    kept = [event for event in events if isinstance(event, PointMeasured)]
    if method in ("acquire_pattern", "blank", "restore"):
        with open_session(tmp_path / "run.h5") as session:
            assert session.count == len(kept)
            assert session.outcome is events[-1].outcome


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("foreign")])
@pytest.mark.parametrize("number", [1, 4])
def test_a_run_whose_listener_fails_ends_as_any_other(tmp_path, error, number) -> None:
    """At a point, and at the end."""
    instrument, told = SimulatedInstrument(), []

    def show(event: Event) -> None:
        told.append(event)
        if isinstance(event, RunEnded) or (isinstance(event, PointMeasured) and event.number == number):
            raise error

    writer = SessionWriter(tmp_path / "run.h5", PLAN, FEW)
    runner = Runner(instrument, PLAN, show, NearestNeighbour, scalarizers=FEW, recorder=writer)
    if isinstance(error, Exception):
        assert runner.run() is told[-1]
    else:
        with pytest.raises(KeyboardInterrupt):
            runner.run()
    assert instrument.blanked
    assert instrument.log[-1] == "restore"
    with open_session(tmp_path / "run.h5") as session:
        assert session.count == number
        assert session.outcome is told[-1].outcome


def test_a_pattern_whose_reading_is_interrupted_is_kept(tmp_path, monkeypatch) -> None:
    """Ctrl-C does not ask whether a pattern is in a safe place."""
    monkeypatch.setattr(
        "dkl_ae.run.pattern_reader.one_pattern",
        raising(KeyboardInterrupt(), 4, one_pattern),
    )
    events: list[Event] = []
    writer = SessionWriter(tmp_path / "run.h5", PLAN, FEW)
    with pytest.raises(KeyboardInterrupt):
        Runner(SimulatedInstrument(), PLAN, events.append, NearestNeighbour, scalarizers=FEW, recorder=writer).run()
    with open_session(tmp_path / "run.h5") as session:
        assert session.count == 4


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("the driver lost its way")])
def test_a_cross_that_breaks_off_keeps_its_centre(error) -> None:
    plan = make_plan(
        scalarizer="charge_density",
        cross_arm_nm=0.05,
        patch_size=9,
        seed_points=2,
        model_points=2,
        compute_device="cpu",
    )
    instrument, events = SimulatedInstrument(), []
    instrument.acquire_pattern = raising(error, 4 + 5 + 3, instrument.acquire_pattern)
    with contextlib.suppress(KeyboardInterrupt):
        Runner(instrument, plan, events.append, NearestNeighbour).run()
    points = [event for event in events if isinstance(event, PointMeasured)]
    assert [len(point.ends) for point in points] == [4, 1]
    assert isinstance(events[-1], RunEnded)


def test_an_instrument_that_cannot_break_off_is_stopped_after_its_exposure() -> None:
    instrument = SimulatedInstrument()

    def abort() -> None:
        raise InstrumentError("The camera does not answer: look at it.")

    instrument.abort = abort
    told: list[Event] = []

    def show(event: Event) -> None:
        told.append(event)
        if isinstance(event, PointMeasured):
            runner.stop()

    runner = Runner(instrument, PLAN, show, NearestNeighbour)
    assert runner.run().outcome is Outcome.STOPPED
    assert sum(isinstance(event, PointMeasured) for event in told) == 1


# Two threads.


@pytest.mark.parametrize("line", range(1, 5))
def test_a_stop_between_any_two_lines_of_a_pause_is_not_lost(line) -> None:
    """Whichever comes first, a run that is to stop is not held; one that has to wait for the pause comes after it."""
    controls, passed = Controls(), 0
    other = threading.Thread(target=controls.stop, daemon=True)

    def step(frame: types.FrameType, event: str, unused: object) -> typing.Any:
        nonlocal passed
        if frame.f_code is Controls.pause.__code__ and event == "line":
            passed += 1
            if passed == line:
                other.start()
                other.join(0.1)
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        controls.pause()
    finally:
        sys.settrace(before)
    if passed < line:
        other.start()
    other.join(10)
    assert not controls.is_held
    controls.wait()


class Watched(SessionWriter):
    """Knows which threads use it, and lets a command come while it closes the file."""

    def __init__(self, file: pathlib.Path, while_closing: typing.Callable[[], None]) -> None:
        super().__init__(file, PLAN, FEW)
        self.threads: set[int] = set()
        self._while_closing = while_closing

    def keep(self, event: Event) -> None:
        self.threads.add(threading.get_ident())
        super().keep(event)

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self._while_closing()
        super().close()


def test_a_command_that_comes_while_the_file_is_closed_is_seen_by_the_run_alone(tmp_path) -> None:
    events: list[Event] = []

    def switch() -> None:
        other = threading.Thread(target=runner.give, args=(ChangeObjective("abf", "largest", 0.0),))
        other.start()
        other.join()

    writer = Watched(tmp_path / "run.h5", switch)
    runner = Runner(SimulatedInstrument(), PLAN, events.append, NearestNeighbour, scalarizers=FEW, recorder=writer)
    assert runner.run().outcome is Outcome.FINISHED
    assert writer.threads == {threading.get_ident()}
    (applied,) = (event for event in events if isinstance(event, CommandApplied))
    assert applied.after_run
    with open_session(tmp_path / "run.h5") as session:
        assert session.outcome is Outcome.FINISHED
        # What was looked at afterwards is no part of the run.
        assert not session.commands


def test_commands_of_several_threads_after_the_run_are_applied_one_by_one() -> None:
    """Each sees the experiment as the one before has left it."""
    under_way, most = 0, 0
    events: list[Event] = []

    def show(event: Event) -> None:
        nonlocal under_way, most
        events.append(event)

    class Slow(NearestNeighbour):
        def fit(self, *data: typing.Any) -> None:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            super().fit(*data)
            threading.Event().wait(0.01)
            under_way -= 1

    runner = Runner(SimulatedInstrument(), PLAN, show, Slow)
    runner.run()
    others = [
        threading.Thread(target=runner.give, args=(ChangeObjective(name, "largest", 0.0),))
        for name in ("abf", "com_x", "com_y", "bf")
    ]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert most == 1
    assert sum(isinstance(event, CommandApplied) for event in events) == 4
