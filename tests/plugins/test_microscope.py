"""One folder of the plug-in moves the probe and switches the beam."""

from __future__ import annotations

import ast
import pathlib

PLUG_IN = pathlib.Path(__file__).parents[2] / "nionswift_plugin" / "dkl_ae_ui"
CONTROLS = {"SetVal", "SetValAndConfirm", "SetValDelta", "InformControl", "set_probe_position"}


def controls_in(file: pathlib.Path) -> set[str]:
    """Whoever looks where the probe is moves nothing."""
    attributes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)]
    moved = {node.attr for node in attributes if node.attr == "probe_position" and isinstance(node.ctx, ast.Store)}
    return CONTROLS & {node.attr for node in attributes} | moved


def test_only_the_microscope_folder_moves_the_probe_or_switches_the_beam() -> None:
    files = {file.relative_to(PLUG_IN) for file in PLUG_IN.rglob("*.py") if controls_in(file)}
    assert files == {pathlib.Path("microscope", "instrument.py")}
