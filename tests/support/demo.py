"""The demo without a window, in a process of its own, as users run it."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys

import dkl_ae
from nionswift_plugin.dkl_ae_ui.launcher.project import ensure_project


def run(folder: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, which is also its home, without a display."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment | {"HOME": str(folder), "PYTHONPATH": str(pathlib.Path(dkl_ae.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@dataclasses.dataclass(frozen=True)
class Demo:
    """What it has left."""

    folder: pathlib.Path
    said: str

    def copied_to(self, folder: pathlib.Path) -> pathlib.Path:
        """A copy to be opened; its profile remembers the copied project."""
        shutil.copytree(self.folder, folder)
        profile = ensure_project(folder).profile_file
        content = json.loads(profile.read_text(encoding="utf-8"))
        for reference in content["project_references"]:
            reference["project_path"] = str(folder / pathlib.Path(reference["project_path"]).name)
        profile.write_text(json.dumps(content), encoding="utf-8")
        return folder


def run_demo(folder: pathlib.Path) -> Demo:
    done = run(folder, "-m", "dkl_ae.commands.cli", "demo", "--headless", "--folder", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    return Demo(folder / "out", done.stdout)
