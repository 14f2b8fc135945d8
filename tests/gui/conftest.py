"""The real Nion Swift program on a virtual display, worked with real mouse clicks and key strokes."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from tests.support.swift_window import Swift
from tests.support.waiting import wait_until

HAS_FAILED = pytest.StashKey[bool]()
TOOLS = ("Xvfb", "openbox", "xdotool", "import")


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """A virtual display with a window manager; its name."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    assert not missing, f"{', '.join(missing)} missing: apt-get install xvfb openbox xdotool imagemagick"
    # A number of our own: two servers that look for a free one at the same time take the same.
    number = 1000 + os.getpid() % 20000
    name = f":{number}"
    with contextlib.ExitStack() as processes:
        xvfb = subprocess.Popen(["Xvfb", name, "-screen", "0", "1920x1500x24", "-nolisten", "tcp"])
        processes.callback(_end, xvfb)
        socket_file = pathlib.Path(f"/tmp/.X11-unix/X{number}")
        wait_until(lambda: socket_file.exists() or xvfb.poll() is not None, "the display did not start")
        assert xvfb.poll() is None, f"Xvfb ended with {xvfb.returncode}"
        openbox = subprocess.Popen(["openbox"], env=os.environ | {"DISPLAY": name}, stderr=subprocess.DEVNULL)
        processes.callback(_end, openbox)
        yield name


@pytest.fixture
def open_swift(display: str, tmp_path: pathlib.Path) -> Iterator[Callable[[], Swift]]:
    """Starts the program on one and the same home and project each time."""
    with _programs(display, tmp_path) as start:
        yield start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[HAS_FAILED] = item.stash.get(HAS_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="module")
def program(display: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Swift]]:
    """The program that the tests of a file share; started anew when it was ended."""
    with _programs(display, tmp_path_factory.mktemp("window")) as start:
        running: list[Swift] = []

        def give() -> Swift:
            if not running or not running[-1].is_running:
                running.append(start())
            return running[-1]

        yield give
        assert not running[-1].is_running or running[-1].quit() == 0


@pytest.fixture
def swift(program: Callable[[], Swift], request: pytest.FixtureRequest) -> Iterator[Swift]:
    """The program, which every test leaves ready for another run; one that a test has failed on is not used again."""
    running = program()
    yield running
    if request.node.stash[HAS_FAILED]:
        running.end()


@contextlib.contextmanager
def _programs(display: str, folder: pathlib.Path) -> Iterator[Callable[[], Swift]]:
    started: list[Swift] = []
    home = folder / "home"
    home.mkdir()

    def start() -> Swift:
        swift = Swift(display, home, folder / "project")
        started.append(swift)
        swift.wait_until_open()
        return swift

    try:
        yield start
    finally:
        for swift in started:
            swift.end()


def _end(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    process.wait(10)
