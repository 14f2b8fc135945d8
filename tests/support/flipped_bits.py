"""Session files with flipped bits, and what comes of all that is done with them: each in a process that may hang."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import json
import logging
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
import traceback
import typing
from collections.abc import Callable, Iterator

import numpy

MOST_BITS: typing.Final = 32
_WINDOW_BYTES: typing.Final = 2000
"""In every second file all flips are this near to each other: most of a file is patterns, which a checksum guards."""
ACTIONS: typing.Final = ("review", "export", "resume", "report")
PATIENCE_S: typing.Final = 300.0
"""How long one action may take; a sound one takes less than two seconds on an idle core, which it may not have."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One damaged file, and one thing that is done with it."""

    seed: int
    action: str
    outcome: str
    """fine, refused, traceback, hang or crash."""
    told: str
    """The sentence, or the traceback."""


def damaged(content: bytes, seed: int) -> bytes:
    """A file's content with 1 to 32 flipped bits."""
    random = numpy.random.default_rng(seed)
    count = int(random.integers(1, MOST_BITS + 1))
    start, width = 0, len(content)
    if seed % 2:
        width = min(_WINDOW_BYTES, width)
        start = int(random.integers(0, len(content) - width + 1))
    flipped = bytearray(content)
    for place in random.choice(8 * width, min(count, 8 * width), replace=False):
        flipped[start + int(place) // 8] ^= 1 << (int(place) % 8)
    return bytes(flipped)


def cases(
    session: pathlib.Path, seeds: range, report_every: int = 10, patience_s: float = PATIENCE_S
) -> Iterator[Case]:
    """What comes of damaged copies of a session; every tenth is reported, too, which takes longest."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as at_end:
        file = pathlib.Path(name) / "damaged.h5"
        worker: _Worker | None = None
        for seed in seeds:
            for action in ACTIONS if seed % report_every == 0 else ACTIONS[:-1]:
                file.write_bytes(damaged(session.read_bytes(), seed))
                if worker is None:
                    worker = _Worker()
                    at_end.callback(worker.end)
                outcome, told = worker.carry_out(action, file, patience_s)
                if outcome in ("hang", "crash"):
                    worker.end()
                    worker = None
                yield Case(seed, action, outcome, told)


class _Worker:
    """A process that does one thing after the other, and can be ended."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.flipped_bits"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=pathlib.Path(__file__).parents[2],
        )
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        # It imports for as long as it likes.
        self._answers.get()

    def carry_out(self, action: str, file: pathlib.Path, patience_s: float) -> tuple[str, str]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([action, str(file)]) + "\n")
        self._process.stdin.flush()
        try:
            answer = self._answers.get(timeout=patience_s)
        except queue.Empty:
            return "hang", f"after {patience_s:g} s"
        if not answer:
            return "crash", f"exit status {self._process.wait()}"
        outcome, told = json.loads(answer)
        return outcome, told

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reading.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                # What it did not read is still to be written.
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")


# In the worker.


def review(file: pathlib.Path) -> None:
    """All that the review panel shows."""
    from dkl_ae.analysis import step_record
    from dkl_ae.session import open_session

    with open_session(file) as session:
        for index in range(session.count):
            step_record(session, index + 1)
            session.pattern(index), session.ends(index), session.dose(index), session.maps(index + 1)
            session.objective(index + 1)
        session.reference_frames(), session.checkpoint(), session.history, session.outcome


def _export(file: pathlib.Path) -> None:
    from dkl_ae.export import export_session

    with tempfile.TemporaryDirectory() as folder:
        export_session(file, "csv", pathlib.Path(folder) / "out")


def _resume(file: pathlib.Path) -> None:
    from dkl_ae.run import Event, PointMeasured, Runner, RunPaused
    from dkl_ae.session import take_up
    from tests.support.recorded_specimen import instrument

    interrupted, scalarizers, writer = take_up(file)

    def show(event: Event) -> None:
        # One more point; a run that cannot be kept waits for its operator.
        if isinstance(event, PointMeasured | RunPaused):
            runner.stop()

    runner = Runner(
        instrument(), interrupted.plan, show, scalarizers=scalarizers, recorder=writer, interrupted=interrupted
    )
    runner.run()


def _report(file: pathlib.Path) -> None:
    from dkl_ae.reports import write_report
    from dkl_ae.session import open_session

    with tempfile.TemporaryDirectory() as folder, open_session(file) as session:
        write_report(session, pathlib.Path(folder))


_DONE: typing.Final[dict[str, Callable[[pathlib.Path], None]]] = {
    "review": review,
    "export": _export,
    "resume": _resume,
    "report": _report,
}


class _Failures(logging.Handler):
    """What the program logs as a failure of its own."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.told.append("".join(traceback.format_exception(*record.exc_info)))


def _outcome(action: str, file: pathlib.Path, failures: _Failures) -> tuple[str, str]:
    from dkl_ae.records import UserError

    failures.told.clear()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            _DONE[action](file)
    except UserError as error:
        return "refused", str(error)
    except Exception:
        return "traceback", traceback.format_exc()
    return ("traceback", failures.told[0]) if failures.told else ("fine", "")


def work() -> None:
    """Answer each line of the standard input with a line."""
    failures = _Failures()
    logging.getLogger().addHandler(failures)
    # What takes long to import is no part of an action.
    for name in ("dkl_ae.export", "dkl_ae.model.deep_kernel", "dkl_ae.reports", "dkl_ae.session"):
        importlib.import_module(name)
    answers = sys.stdout
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        action, file = json.loads(line)
        answers.write(json.dumps(_outcome(action, pathlib.Path(file), failures)) + "\n")
        answers.flush()


if __name__ == "__main__":
    work()
