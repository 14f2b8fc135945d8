"""The commands, and the real Swift application without a window; in processes of their own, as users run them."""

from __future__ import annotations

import json

import pytest

from dkl_ae.commands.cli import main
from dkl_ae.session import MAPS
from nionswift_plugin.dkl_ae_ui.launcher.project import ensure_project
from tests.support.demo import run

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


def test_the_demo_without_a_display_saves_a_project_that_opens_again(demo, tmp_path) -> None:
    assert "   0 % " in demo.said
    assert " 100 % Point 70 of 70" in demo.said
    assert (demo.folder / "final-maps.png").read_bytes().startswith(b"\x89PNG")
    assert f"Saved the Swift project {ensure_project(demo.folder).file}" in demo.said

    listed = run(tmp_path, "-c", LIST_ITEMS, str(demo.copied_to(tmp_path / "copy")))
    assert listed.returncode == 0, listed.stderr
    items, groups = json.loads(listed.stdout)
    assert items["patterns"][0] == [70, 64, 64]
    assert items["patterns"][1] > 70 * 1.8e6
    assert items["maps"][0] == [61, len(MAPS), 116, 116]
    assert len(items) == 8 + len(MAPS)
    assert any(title.startswith("Automated experiment: CoM magnitude") for title in groups)


@pytest.fixture
def no_display(tmp_path, monkeypatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_a_window_without_a_display_is_refused_in_one_sentence(no_display, capsys) -> None:
    assert main(["swift"]) == 1
    error = capsys.readouterr().err
    assert error == "There is no display to open Swift's window on: run dkl-ae demo --headless instead.\n"


def test_a_folder_that_cannot_be_made_is_refused_in_one_sentence(no_display, tmp_path, capsys) -> None:
    (tmp_path / "file").write_text("")
    assert main(["demo", "--headless", "--folder", "file/below"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("The folder file/below cannot be used (")
    assert error.endswith("choose another with --folder.\n")
    assert error.count("\n") == 1


def test_the_library_loads_neither_torch_nor_nion(tmp_path) -> None:
    done = run(tmp_path, "-c", "import dkl_ae, sys; print(sorted({m.split('.')[0] for m in sys.modules}))")
    assert not {"torch", "nion", "gpytorch"} & set(done.stdout.replace("'", "").strip("[]\n").split(", "))
