"""The real Nion Swift program on a virtual display; a test is its user."""

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
from typing import Any

from tests.support.waiting import wait_until

ARTIFACTS = pathlib.Path(__file__).parents[1] / "artifacts"

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

RUNS = """
import numpy
result = []
for item in window.document_model.data_items:
    described = item.metadata.get("dkl_ae")
    if described:
        if not result or result[-1]["run"] != described["run"]:
            result.append({"run": described["run"], "plan": described["plan"]})
        data = numpy.array(item.xdata.data)
        result[-1][described["role"]] = {
            "shape": list(data.shape),
            "filled": int(numpy.isfinite(data.reshape(len(data), -1)[:, 0]).sum()),
            "sum": float(numpy.nansum(data.astype(float))),
            "electrons": [float(pattern.sum()) for pattern in data] if described["role"] == "patterns" else [],
            "units": [c.units for c in item.dimensional_calibrations],
        }
"""
"""The runs in the project, oldest first, and their data items by role."""


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

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_until_open(self, timeout_s: float = 90.0) -> None:
        wait_until(lambda: self._port_file.exists() or not self.is_running, self.log, timeout_s)
        assert self.is_running, self.log.read_text()
        self.wait_for("window.workspace_controller is not None")
        # Wherever the program put it: all of it must be on the display to be clicked.
        wait_until(lambda: self._keeps_size("1900", "1460"), "the window did not keep its size")

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
        wait_until(lambda: bool(self.evaluate(expression)), f"not in time: {expression}", timeout_s)

    def wait_for_points(self, least: int, timeout_s: float = 60.0) -> None:
        """Until the panel has told of so many points of the run."""
        self.wait_for(f"not panel.idle.value and panel.status.number >= {least}", timeout_s)

    def _keeps_size(self, width: str, height: str) -> bool:
        """Whether it has a size and keeps it, which is asked for if not: a window that is about to be shown forgets it,
        and one that is just shown goes back to a size of its own."""
        window = self._xdotool("search", "--sync", "--onlyvisible", "--name", "Nion Swift").split()[0]

        def has_size() -> bool:
            geometry = self._xdotool("getwindowgeometry", "--shell", window).split()
            return {f"WIDTH={width}", f"HEIGHT={height}"} <= set(geometry)

        if has_size():
            self.let_draw()
            return has_size()
        self._xdotool("windowmove", window, "0", "0", "windowsize", window, width, height)
        return False

    def let_draw(self) -> None:
        """Until the window has done what came before: what a first turn of its events asks for, a second one draws."""
        for _ in range(3):
            self.call("result = None")

    def click(self, widget: str, offset: tuple[int, int] = (20, 10), panel: str = "panel") -> None:
        """A real click on a widget of one of our panels."""
        x, y = self.evaluate(
            f"[*map(int, (lambda p: (p.x, p.y))({panel}.{widget}.map_to_global("
            f"__import__('nion.utils.Geometry', fromlist=['x']).IntPoint(x={offset[0]}, y={offset[1]}))))]"
        )
        self.click_at(x, y)

    def click_button_of(self, panel_id: str, text: str) -> None:
        """A real click on the first button with this text in one of Swift's own panels, which is shown."""
        self.call(f"window.find_dock_panel({panel_id!r}).show()\nresult = None")
        places: list[list[int]] = []

        def rests() -> bool:
            self.let_draw()
            places.append(self.call(f"panel_id, text = {panel_id!r}, {text!r}\n{_PLACE_OF_BUTTON}"))
            return places[-2:-1] == places[-1:]

        wait_until(rests, f"the button {text} did not come to rest")
        self.click_at(*places[-1])

    def click_at(self, x: int, y: int) -> None:
        self._xdotool("mousemove", str(x), str(y), "click", "1")
        self.let_draw()

    def type_into(self, widget: str, text: str, panel: str = "panel") -> None:
        """Click into a line edit, replace its text, and leave it with Tab."""
        self.click(widget, panel=panel)
        self._xdotool("key", "ctrl+a", "BackSpace")
        self._xdotool("type", "--delay", "30", "--", text)
        self._xdotool("key", "Tab")
        self.wait_for(f"{panel}.{widget}.text == {text!r}")
        self.let_draw()

    def choose(self, widget: str, index: int, panel: str = "panel") -> None:
        """Open a combo box with a click and walk to an item with the keyboard."""
        self.click(widget, panel=panel)
        self._xdotool("key", "Home", *["Down"] * index, "Return")
        self.wait_for(f"{panel}.{widget}.current_index == {index}")
        self.let_draw()

    def drag(self, *places: tuple[int, int]) -> None:
        """Press the button at the first place, and let it go at the last."""
        (first, *along) = places
        self._xdotool("mousemove", *map(str, first), "mousedown", "1")
        for place in along:
            self._xdotool("mousemove", *map(str, place))
        self._xdotool("mouseup", "1")
        self.let_draw()

    def screenshot(self, name: str) -> pathlib.Path:
        self.let_draw()
        return self._picture(name)

    def _picture(self, name: str) -> pathlib.Path:
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
        if self.is_running:
            with contextlib.suppress(subprocess.SubprocessError):
                self._picture("last")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def _xdotool(self, *arguments: str) -> str:
        done = subprocess.run(
            ["xdotool", *arguments], env=self._environment, check=True, timeout=30, stdout=subprocess.PIPE, text=True
        )
        return done.stdout
