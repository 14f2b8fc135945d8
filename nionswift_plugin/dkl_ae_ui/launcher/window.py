"""Starts Swift's native launcher on this environment."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

from nionswift_plugin.dkl_ae_ui.launcher import ProgramError
from nionswift_plugin.dkl_ae_ui.launcher.project import Project

PROGRAM = "nionswift_plugin.dkl_ae_ui.launcher"
"""The package whose module `main` the launcher runs."""


def has_display() -> bool:
    """Whether a window can be opened here."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def launcher() -> pathlib.Path:
    """The native launcher, which comes inside the distribution nionswift-tool.

    Raises ProgramError when it is not installed.
    """
    places = {
        "win32": ("Scripts", "NionSwiftLauncher", "NionSwift.exe"),
        "darwin": ("bin", "Nion Swift.app", "Contents", "MacOS", "Nion Swift"),
    }
    place = places.get(sys.platform, ("bin", "NionSwiftLauncher", "NionSwiftLauncher"))
    file = pathlib.Path(sys.prefix, *place)
    if not file.exists():
        raise ProgramError(f"Swift's launcher is not at {file}: run pip install 'nionswift-dkl-ae[swift]'.")
    return file


def run_swift(project: Project) -> int:
    """Open Swift's window with a project and wait until it is closed; returns its exit status.

    Raises ProgramError when there is no display or no launcher.
    """
    if not has_display():
        raise ProgramError("There is no display to open Swift's window on: run dkl-ae demo --headless instead.")
    return subprocess.call([launcher(), sys.prefix, PROGRAM, project.folder])
