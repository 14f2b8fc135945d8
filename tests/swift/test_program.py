"""The commands, and the real Swift application without a window; in processes of their own, as users run them."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

import dkl_ae
from nionswift_plugin.dkl_ae_ui.launcher.project import ensure_project

pytestmark = pytest.mark.swift

LIST_ITEMS = """
import json, pathlib, sys
import numpy
from nionswift_plugin.dkl_ae_ui.launcher.headless import open_swift
from nionswift_plugin.dkl_ae_ui.launcher.project import ensure_project
out = sys.stdout
with open_swift(ensure_project(pathlib.Path(sys.argv[1]))) as swift:
    items = {
        item.metadata["dkl_ae"]["role"]: [list(item.data_shape), float(numpy.nansum(numpy.array(item.xdata.data)))]
        for item in swift.window.document_model.data_items
        if "dkl_ae" in item.metadata
    }
    groups = [group.title for group in swift.window.document_model.data_groups]
out.write(json.dumps([items, groups]))
"""


def run(folder: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment | {"HOME": str(folder), "PYTHONPATH": str(pathlib.Path(dkl_ae.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_demo_without_a_display_saves_a_project_that_opens_again(tmp_path) -> None:
    done = run(tmp_path, "-m", "dkl_ae.commands.cli", "demo", "--folder", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "   0 % " in done.stdout
    assert " 100 % Step 70 of 70" in done.stdout
    assert (tmp_path / "out" / "final-maps.png").read_bytes().startswith(b"\x89PNG")
    project = ensure_project(tmp_path / "out")
    assert f"Saved the Swift project {project.file}" in done.stdout

    listed = run(tmp_path, "-c", LIST_ITEMS, str(project.folder))
    assert listed.returncode == 0, listed.stderr
    items, groups = json.loads(listed.stdout)
    assert items["patterns"][0] == [70, 64, 64]
    assert items["patterns"][1] > 70 * 1.8e6
    assert items["maps"][0] == [61, 3, 116, 116]
    assert len(items) == 11
    assert any(title.startswith("Automated experiment: CoM magnitude") for title in groups)


def test_a_window_without_a_display_is_refused_in_one_sentence(tmp_path) -> None:
    done = run(tmp_path, "-m", "dkl_ae.commands.cli", "swift")
    assert done.returncode == 1
    assert done.stderr == "There is no display to open Swift's window on: run dkl-ae demo --headless instead.\n"


def test_a_folder_that_cannot_be_made_is_refused_in_one_sentence(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    done = run(tmp_path, "-m", "dkl_ae.commands.cli", "demo", "--headless", "--folder", "file/below")
    assert done.returncode == 1
    assert done.stderr.startswith("The folder file/below cannot be used (")
    assert done.stderr.endswith("choose another with --folder.\n")


def test_the_library_loads_neither_torch_nor_nion(tmp_path) -> None:
    done = run(tmp_path, "-c", "import dkl_ae, sys; print(sorted({m.split('.')[0] for m in sys.modules}))")
    assert not {"torch", "nion", "gpytorch"} & set(done.stdout.replace("'", "").strip("[]\n").split(", "))
