"""One folder of the plug-in moves the probe and switches the beam."""

from __future__ import annotations

import ast
import pathlib

PLUG_IN = pathlib.Path(__file__).parents[2] / "nionswift_plugin" / "dkl_ae_ui"
CONTROLS = {"SetVal", "SetValAndConfirm", "SetValDelta", "InformControl", "set_probe_position", "probe_position"}


def controls_in(file: pathlib.Path) -> set[str]:
    names = (node.attr for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute))
    return CONTROLS & set(names)


def test_only_the_microscope_folder_moves_the_probe_or_switches_the_beam() -> None:
    files = {file.relative_to(PLUG_IN) for file in PLUG_IN.rglob("*.py") if controls_in(file)}
    assert files == {pathlib.Path("microscope", "instrument.py")}
