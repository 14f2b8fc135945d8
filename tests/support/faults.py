"""Runs into which one fault is put: at any call of whatever a run calls, anything is raised, returned or waited for."""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
import pathlib
import threading
import time
import typing
from collections.abc import Callable, Mapping

import numpy

from dkl_ae.experiment import ChangeObjective
from dkl_ae.instruments import Frame
from dkl_ae.records import InstrumentError, Position, Survey, UserError
from dkl_ae.run import Event, NotKeptError, Runner, RunPaused, StepCompleted
from dkl_ae.scalarizers import SCALARIZERS, Scalarizer
from dkl_ae.session import About, SessionWriter
from dkl_ae.settings import Plan, make_plan
from tests.support.after_faults import SCALARIZED, Ended, first_trouble
from tests.support.counting_instrument import CountingInstrument
from tests.support.surrogates import TrainedNeighbour

PLANS: typing.Final[Mapping[str, Plan]] = {
    "com_magnitude": make_plan(patch_size=5, seed_points=3, model_points=6, batch_size=2, compute_device="cpu"),
    "charge_density": make_plan(
        patch_size=5,
        seed_points=2,
        model_points=3,
        compute_device="cpu",
        cross_arm_nm=0.05,
        scalarizer="charge_density",
    ),
}
SWITCHED_AFTER: typing.Final = 4
INSTRUMENT = ("prepare", "acquire_survey", "acquire_pattern", "blank", "restore")
NUMBERS = ("survey_size", "beam_current_a", "survey_exposure_s")
RECORDER = ("keep", "keep_waiting", "close")
MODEL = ("__init__", "fit", "predict", "leave_one_out", "covariance", "parameters")
SITES: typing.Final = (*INSTRUMENT, *NUMBERS, *RECORDER, *MODEL, "evaluate", "show")
LONGEST_S: typing.Final = 120.0


class OtherError(Exception):
    """Of a foreign library: it says much, in many lines."""


RAISED: typing.Final[Mapping[str, Callable[[], BaseException]]] = {
    "InstrumentError": lambda: InstrumentError("The device failed: look at it."),
    "UserError": lambda: UserError("This cannot be done: do another thing."),
    "NotKeptError": lambda: NotKeptError("The file cannot be written: make room."),
    "OSError": lambda: OSError(5, "Input/output error"),
    "ValueError": ValueError,
    "RuntimeError": lambda: RuntimeError("it\nis\nover"),
    "MemoryError": MemoryError,
    "OtherError": lambda: OtherError("\n".join(f"frame {number}: at 0x{number:08x}" for number in range(500))),
    "StopIteration": StopIteration,
    "AssertionError": lambda: AssertionError("never"),
    "KeyboardInterrupt": KeyboardInterrupt,
    "SystemExit": lambda: SystemExit(2),
    "GeneratorExit": GeneratorExit,
}
NO_NUMBERS: typing.Final = (math.nan, math.inf, -math.inf, -1.0, None, "many")


def _frames(frame: Frame) -> dict[str, object]:
    """What an instrument may give in the place of a frame."""
    place, pattern = frame.position_read_back, frame.pattern
    replaced = functools.partial(dataclasses.replace, frame)
    wrong = {f"{name}={value}": replaced(**{name: value}) for name in ("exposure_s", "time") for value in NO_NUMBERS}
    wrong |= {f"gain={value}": replaced(counts_per_electron=value) for value in (0.0, *NO_NUMBERS)}
    wrong |= {f"mrad={value}": replaced(mrad_per_pixel=(5.0, value)) for value in (0.0, 7.0, *NO_NUMBERS)}
    wrong |= {
        f"y+{off}": replaced(position_read_back=Position(place.y + off, place.x)) for off in (0.05, -0.3, math.nan)
    }
    patterns = {
        "float32": pattern.astype("f4") * 1.5 - 20,
        "uint8": numpy.minimum(pattern, 255).astype("u1"),
        "int64": pattern.astype("i8") << 40,
        "NaN": numpy.full(pattern.shape, math.nan),
        "zeros": numpy.zeros_like(pattern),
        "negative": -pattern.astype("i4"),
        "smaller": pattern[:-3, :-3],
        "wider": numpy.pad(pattern, ((0, 0), (0, 4))),
        "stack": pattern[numpy.newaxis],
        "line": pattern[0],
        "empty": pattern[:0],
        "complex": pattern.astype(complex),
        "list": pattern.tolist(),
        "nothing": None,
    }
    wrong |= {f"pattern {name}": replaced(pattern=given) for name, given in patterns.items()}
    return {**wrong, "no read-back": replaced(position_read_back=None), "no frame": None, "an array": pattern}


def _wrong(site: str, right: typing.Any) -> dict[str, object]:
    """What may be returned instead of the right answer, by its name."""
    if isinstance(right, Frame):
        return _frames(right)
    if isinstance(right, Survey):
        return {
            "nothing": None,
            "an array": right.image,
            "another size": Survey(right.image[:6, :7], right.pixel_size_nm),
        }
    if site in NUMBERS:
        return {str(value): value for value in NO_NUMBERS}
    if site == "evaluate":
        values, sigmas = numpy.array([math.nan]), numpy.array([math.nan])
        return {"nothing": None, "a number": 3.0, "NaN": (values, sigmas), "too many": (numpy.ones(5), numpy.ones(5))}
    if site == "predict":
        return {
            "nothing": None,
            "NaN": dataclasses.replace(right, mean=right.mean * math.nan),
            "too few": dataclasses.replace(right, mean=right.mean[:-1]),
            "no sigma": dataclasses.replace(right, sigma=right.sigma * 0),
        }
    return {"nothing": None}


@dataclasses.dataclass(frozen=True)
class Fault:
    """One fault in one run.

    when: "before" or "after" what was called has done its work.
    what: the name of an exception; "wrong" for a wrong answer, of which `choice` is the number; "delay" for an operator
        who stops the run while the call takes its time.
    """

    plan: str
    site: str
    call: int
    when: str
    what: str
    choice: int = 0


class Faulty:
    """Counts the calls of each site, and puts the fault into one of them."""

    def __init__(self, fault: Fault | None) -> None:
        self.fault = fault
        self.calls: collections.Counter[str] = collections.Counter()
        self.raised: BaseException | None = None
        self.told = ""
        """What was put in."""
        self.stop: Callable[[], None] = lambda: None
        self.threads: dict[str, set[int]] = collections.defaultdict(set)

    def call(
        self, site: str, function: Callable[..., typing.Any], *given: typing.Any, **named: typing.Any
    ) -> typing.Any:
        self.calls[site] += 1
        self.threads[site].add(threading.get_ident())
        fault = self.fault
        if (
            fault is not None
            and fault.site == "keep_waiting"
            and (site, self.calls[site]) == ("keep", 1 + fault.choice % 9)
        ):
            # Only then it is called.
            function(*given, **named)
            raise NotKeptError("The file cannot be written: make room.")
        if fault is None or (fault.site, fault.call) != (site, self.calls[site]):
            return function(*given, **named)
        if fault.what in RAISED:
            self.raised, self.told = RAISED[fault.what](), fault.what
            if fault.when == "after":
                function(*given, **named)
            raise self.raised
        if fault.what == "delay":
            self.told = "a stop while it takes its time"
            stopping = threading.Thread(target=self.stop)
            stopping.start()
            time.sleep(0.01)
            answer = function(*given, **named)
            stopping.join()
            return answer
        right = function(*given, **named)
        wrong = _wrong(site, right)
        name = list(wrong)[fault.choice % len(wrong)]
        self.told = f"wrong: {name}"
        return wrong[name]

    def wrapped(self, site: str, function: Callable[..., typing.Any]) -> Callable[..., typing.Any]:
        return functools.partial(self.call, site, function)


def _instrument(faulty: Faulty) -> CountingInstrument:
    instrument = CountingInstrument()
    for name in INSTRUMENT:
        setattr(instrument, name, faulty.wrapped(name, getattr(instrument, name)))
    numbers = {name: property(_told(name, getattr(instrument, name), faulty)) for name in NUMBERS}
    instrument.__dict__ = {name: value for name, value in instrument.__dict__.items() if name not in numbers}
    instrument.__class__ = type("FaultyInstrument", (CountingInstrument,), numbers)
    return instrument


def _told(name: str, value: object, faulty: Faulty) -> Callable[[object], object]:
    return lambda instrument: faulty.call(name, lambda: value)


def _recorder(file: pathlib.Path, plan: Plan, scalarizers: Mapping[str, Scalarizer], faulty: Faulty) -> SessionWriter:
    writer = SessionWriter(file, plan, scalarizers, About("A run", {"kind": "test"}))
    # What the writer does inside itself is no call of the run.
    outer = type(
        "FaultyRecorder", (), {name: staticmethod(faulty.wrapped(name, getattr(writer, name))) for name in RECORDER}
    )
    return typing.cast(SessionWriter, outer())


def _model(faulty: Faulty) -> type[TrainedNeighbour]:
    def method(name: str) -> Callable[..., typing.Any]:
        return lambda *given: faulty.call(name, getattr(TrainedNeighbour, name), *given)

    return type("FaultyModel", (TrainedNeighbour,), {name: method(name) for name in MODEL})


def _scalarizers(faulty: Faulty) -> dict[str, Scalarizer]:
    chosen = {name: SCALARIZERS[name] for name in SCALARIZED}
    evaluate = faulty.wrapped("evaluate", chosen["abf"].evaluate)
    return {**chosen, "abf": dataclasses.replace(chosen["abf"], evaluate=evaluate)}


@functools.cache
def calls_of(plan: str, folder: pathlib.Path) -> Mapping[str, int]:
    """How often each site is called in a run without a fault."""
    faulty = Faulty(None)
    trouble = _undefined(PLANS[plan], faulty, folder / f"{plan}.h5")
    assert not trouble, trouble
    return faulty.calls


def random_fault(random: numpy.random.Generator, folder: pathlib.Path) -> Fault:
    plan = str(random.choice(list(PLANS)))
    site = str(random.choice(SITES))
    what = str(random.choice([*RAISED, *["wrong"] * 8, "delay", "delay"]))
    call = int(random.integers(1, max(calls_of(plan, folder)[site], 1) + 1))
    # It promises that what could not be kept waits.
    when = "after" if what == "NotKeptError" else str(random.choice(["before", "after"]))
    return Fault(plan, site, call, when, what, int(random.integers(1000)))


def undefined(fault: Fault, folder: pathlib.Path) -> tuple[str, str]:
    """What is not as it must be after a run with a fault, and what was put in; each empty where there is nothing."""
    faulty = Faulty(fault)
    return _undefined(PLANS[fault.plan], faulty, folder / "run.h5"), faulty.told


def _undefined(plan: Plan, faulty: Faulty, file: pathlib.Path) -> str:
    events: list[Event] = []
    instrument, scalarizers = _instrument(faulty), _scalarizers(faulty)

    def look(event: Event) -> None:
        if isinstance(event, StepCompleted) and event.number == SWITCHED_AFTER:
            runner.give(ChangeObjective("abf", "smallest", 0.0))
        if isinstance(event, RunPaused) and event.paused:
            runner.resume()

    def show(event: Event) -> None:
        events.append(event)
        faulty.call("show", look, event)

    recorder = _recorder(file, plan, scalarizers, faulty)
    runner = Runner(instrument, plan, show, _model(faulty), scalarizers=scalarizers, recorder=recorder)
    faulty.stop = runner.stop
    left: list[BaseException] = []

    def run() -> None:
        try:
            runner.run()
        except BaseException as error:
            left.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LONGEST_S)
    if thread.is_alive():
        return "it hangs"
    users = set().union(*(faulty.threads[name] for name in RECORDER))
    ended = Ended(events, left, faulty.raised, is_blanked=instrument.blanked, is_restored=bool(instrument.restored))
    return first_trouble(ended, file) or ("several threads used the record" if len(users) > 1 else "")
