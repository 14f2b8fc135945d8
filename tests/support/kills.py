"""Runs that are killed at random instants, again and again: what their session files hold, and how they end."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import subprocess
import sys
import threading
import time
import typing

import h5py
import numpy
import numpy.typing

from dkl_ae.session import Session, open_session
from dkl_ae.simulation import CameraGeometry, VirtualColumn, graphene_with_silicon

_SIDE = 32
_STEP_NM = 0.05
_MRAD_PER_PIXEL = 4.0
_SEEDS = 8
_SETTINGS: typing.Final = (
    "--patch",
    "7",
    "--seeds",
    str(_SEEDS),
    "--steps",
    "92",
    "--cross-arm-nm",
    "0.1",
    "--device",
    "cpu",
)
_ANNOUNCED: typing.Final = re.compile(r"% Point (\d+) of \d+")
_DURING_START: typing.Final = 0.2
"""Share of kills whose time is counted from the start of the program, and not from the first place that the model chose
and it announced: loading the model takes longer than all measurements."""
_LATEST_FROM_START_S: typing.Final = 6.0
_LATEST_FROM_STEP_S: typing.Final = 1.5


@dataclasses.dataclass(frozen=True)
class Kill:
    announced: int
    """Measurements that there must be: those of earlier commands too."""
    found: int | None
    """None when there was no session yet."""


def make_recording(file: pathlib.Path) -> None:
    """Simulated graphene with a silicon atom, 100,000 electrons a pattern."""
    column = VirtualColumn(graphene_with_silicon(), geometry=CameraGeometry(48, _MRAD_PER_PIXEL))
    places = 1.0 + _STEP_NM * numpy.arange(_SIDE)
    y, x = numpy.meshgrid(places, places, indexing="ij")
    with h5py.File(file, "w") as opened:
        opened["haadf"] = column.scan(column.channels[0], y, x, 1e4, 1e-5)
        patterns = [[column.expose(row, place, 1e5, 0.01) for place in places] for row in places]
        opened["patterns"] = numpy.array(patterns, numpy.uint16)
        opened.attrs["metadata"] = json.dumps({"scan_step_A": 10 * _STEP_NM, "detector_mrad_per_px": _MRAD_PER_PIXEL})


def start(*arguments: str | pathlib.Path) -> subprocess.Popen[str]:
    """Start the command dkl-ae."""
    return subprocess.Popen(
        [sys.executable, "-m", "dkl_ae.commands.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def replay(recording: pathlib.Path, session: pathlib.Path, scalarizer: str) -> subprocess.Popen[str]:
    return start("replay", recording, "--out", session, "--overwrite", "--scalarizer", scalarizer, *_SETTINGS)


def killed(process: subprocess.Popen[str], seconds: float, *, from_first_step: bool) -> int | None:
    """Kill a command so many seconds after its start, or after the first step of the model that it announces.

    Returns how many measurements it had announced; None when it had ended before.
    """
    announced = 0
    has_begun = threading.Event()

    def read() -> None:
        nonlocal announced
        assert process.stdout is not None
        for line in process.stdout:
            if found := _ANNOUNCED.search(line):
                announced = int(found[1])
            if announced > _SEEDS:
                has_begun.set()
        has_begun.set()
        process.stdout.close()

    reading = threading.Thread(target=read)
    reading.start()
    if from_first_step:
        has_begun.wait()
    time.sleep(seconds)
    has_ended = process.poll() is not None
    process.kill()
    process.wait()
    reading.join()
    return None if has_ended else announced


def killed_again_and_again(
    recording: pathlib.Path, session: pathlib.Path, scalarizer: str, most: int, random: numpy.random.Generator
) -> list[Kill]:
    """Kill a run so many times, unless it ends before, and then let it end."""
    kills: list[Kill] = []
    while len(kills) < most:
        from_first_step = bool(random.random() > _DURING_START)
        latest_s = _LATEST_FROM_STEP_S if from_first_step else _LATEST_FROM_START_S
        earlier = held_by(session) or 0
        process = _go_on(recording, session, scalarizer)
        announced = killed(process, random.uniform(0, latest_s), from_first_step=from_first_step)
        if announced is None:
            return kills
        kills.append(Kill(max(announced, earlier), held_by(session)))
    _go_on(recording, session, scalarizer).communicate()
    return kills


def _go_on(recording: pathlib.Path, session: pathlib.Path, scalarizer: str) -> subprocess.Popen[str]:
    return replay(recording, session, scalarizer) if held_by(session) is None else start("resume", session)


def held_by(session: pathlib.Path) -> int | None:
    """Measurements in a session; None when there is no session yet."""
    if not session.exists():
        return None
    with open_session(session) as opened:
        return opened.count


def end_of(session: pathlib.Path) -> dict[str, numpy.typing.NDArray[typing.Any]]:
    """What must not depend on whether a run was killed."""
    with open_session(session) as opened:
        return {
            **{name: opened.columns[name] for name in ("candidate", "score", "expected", "total_electrons")},
            **{f"{name} {part}": pair[part] for name, pair in opened.readings.items() for part in (0, 1)},
            "patterns": numpy.array([opened.pattern(index) for index in range(opened.count)]),
            "ends": numpy.array([opened.ends(index) for index in range(opened.count)]),
            **_maps(opened),
        }


def _maps(session: Session) -> dict[str, numpy.typing.NDArray[typing.Any]]:
    maps = session.maps(session.count)
    return {} if maps is None else dataclasses.asdict(maps)


def are_equal(one: typing.Mapping[str, typing.Any], other: typing.Mapping[str, typing.Any]) -> bool:
    return one.keys() == other.keys() and all(numpy.array_equal(one[name], other[name], equal_nan=True) for name in one)
