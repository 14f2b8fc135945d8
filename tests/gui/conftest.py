"""The real Nion Swift program on a virtual display, worked with real mouse clicks and key strokes."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

ARTIFACTS = pathlib.Path(__file__).parents[1] / "artifacts"
TOOLS = ("Xvfb", "openbox", "xdotool", "import")

_PLACE_OF_BUTTON = """
from nion.ui import UserInterface
from nion.utils import Geometry

def within(widget):
    yield widget
    inner = list(getattr(widget, "children", ()))
    try:
        inner.append(widget.content_widget)
    except (AttributeError, AssertionError):
        pass
    for child in inner:
        yield from within(child)

button = next(
    widget
    for widget in within(window.find_dock_panel(panel_id).widget)
    if isinstance(widget, UserInterface.PushButtonWidget) and widget.text == text
)
place = button.map_to_global(Geometry.IntPoint(x=20, y=10))
result = [place.x, place.y]
"""


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
        deadline = time.monotonic() + 20
        while not pathlib.Path(f"/tmp/.X11-unix/X{number}").exists():
            assert xvfb.poll() is None, f"Xvfb ended with {xvfb.returncode}"
            assert time.monotonic() < deadline, "Xvfb did not start"
            time.sleep(0.05)
        openbox = subprocess.Popen(["openbox"], env=os.environ | {"DISPLAY": name}, stderr=subprocess.DEVNULL)
        processes.callback(_end, openbox)
        yield name


class Swift:
    """One start of the program; the test is its user."""

    def __init__(self, display: str, home: pathlib.Path, folder: pathlib.Path) -> None:
        self.folder = folder
        self._environment = os.environ | {
            "DISPLAY": display,
            "HOME": str(home),
            "PYTHONFAULTHANDLER": "1",
            "DKL_AE_TEST_PORT_FILE": str(home / "port"),
        }
        for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
            self._environment.pop(name, None)
        self._port_file = home / "port"
        self._port_file.unlink(missing_ok=True)
        plugin = home / ".local/share/Nion/Nion Swift/PlugIns/dkl_ae_test_driver"
        plugin.mkdir(parents=True, exist_ok=True)
        shutil.copy(pathlib.Path(__file__).parent / "driver_plugin.py", plugin / "__init__.py")
        self.log = home / "swift.log"
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [pathlib.Path(sys.prefix, "bin", "dkl-ae"), "swift", "--folder", folder],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_open(self, timeout_s: float = 90.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not self._port_file.exists():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"Swift did not open:\n{self.log.read_text()}"
            time.sleep(0.1)
        self.wait_for("window.workspace_controller is not None")
        # Wherever the program put it: all of it must be on the display to be clicked.
        self._xdotool(
            "search",
            "--sync",
            "--onlyvisible",
            "--name",
            "Nion Swift",
            "windowmove",
            "0",
            "0",
            "windowsize",
            "1900",
            "1460",
        )
        time.sleep(1.0)

    def call(self, code: str) -> Any:
        """Run code in the window's thread; what it leaves in `result`."""
        with socket.create_connection(("127.0.0.1", int(self._port_file.read_text())), timeout=60) as connection:
            connection.sendall(json.dumps({"code": code}).encode() + b"\n")
            with connection.makefile() as stream:
                answer = json.loads(stream.readline())
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def evaluate(self, expression: str) -> Any:
        """Evaluate an expression in the window's thread; `panel` and `simulator` are our panels' handlers."""
        return self.call(
            "panel, simulator = (getattr(window.find_dock_panel(name), 'handler', None)"
            " for name in ('dkl-ae-panel', 'dkl-ae-simulator-panel'))\n"
            f"result = {expression}"
        )

    def wait_for(self, expression: str, timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not self.evaluate(expression):
            assert time.monotonic() < deadline, f"not in time: {expression}"
            time.sleep(0.1)

    def click(self, widget: str, offset: tuple[int, int] = (20, 10), panel: str = "panel") -> None:
        """A real click on a widget of one of our panels."""
        x, y = self.evaluate(
            f"[*map(int, (lambda p: (p.x, p.y))({panel}.{widget}.map_to_global("
            f"__import__('nion.utils.Geometry', fromlist=['x']).IntPoint(x={offset[0]}, y={offset[1]}))))]"
        )
        self._click_at(x, y)

    def click_button_of(self, panel_id: str, text: str) -> None:
        """A real click on the first button with this text in one of Swift's own panels, which is shown."""
        self.call(f"window.find_dock_panel({panel_id!r}).show()\nresult = None")
        time.sleep(0.5)
        self._click_at(*self.call(f"panel_id, text = {panel_id!r}, {text!r}\n{_PLACE_OF_BUTTON}"))

    def _click_at(self, x: int, y: int) -> None:
        self._xdotool("mousemove", str(x), str(y), "click", "1")
        time.sleep(0.3)

    def type_into(self, widget: str, text: str, panel: str = "panel") -> None:
        """Click into a line edit, replace its text, and leave it with Tab."""
        self.click(widget, panel=panel)
        self._xdotool("key", "ctrl+a")
        self._xdotool("type", "--delay", "30", "--", text)
        self._xdotool("key", "Tab")
        time.sleep(0.2)

    def choose(self, widget: str, index: int, panel: str = "panel") -> None:
        """Open a combo box with a click and walk to an item with the keyboard."""
        self.click(widget, panel=panel)
        self._xdotool("key", "Home", *["Down"] * index, "Return")
        time.sleep(0.3)

    def screenshot(self, name: str) -> pathlib.Path:
        ARTIFACTS.mkdir(exist_ok=True)
        file = ARTIFACTS / f"{name}.png"
        subprocess.run(["import", "-window", "root", file], env=self._environment, check=True, timeout=30)
        return file

    def quit(self, timeout_s: float = 30.0) -> int:
        """Close the window as its close button does; the exit status."""
        self.call("window.queue_task(window.request_close)\nresult = None")
        return self._process.wait(timeout_s)

    def kill(self) -> None:
        """As a crash or a power cut ends it."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def end(self) -> None:
        """Whatever happened, nothing is left behind; a program that still runs shows why in a last screenshot."""
        if self._process.poll() is None:
            with contextlib.suppress(subprocess.SubprocessError):
                self.screenshot("last")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def _xdotool(self, *arguments: str) -> None:
        subprocess.run(["xdotool", *arguments], env=self._environment, check=True, timeout=30)


@pytest.fixture
def open_swift(display: str, tmp_path: pathlib.Path) -> Iterator[Callable[[], Swift]]:
    """Starts the program on one and the same home and project each time."""
    started: list[Swift] = []
    home = tmp_path / "home"
    home.mkdir()

    def start() -> Swift:
        swift = Swift(display, home, tmp_path / "project")
        started.append(swift)
        swift.wait_until_open()
        return swift

    yield start
    for swift in started:
        swift.end()


def _end(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    process.wait(10)
