"""Modules and classes are small enough to be read at once."""

from __future__ import annotations

import ast
import pathlib
import typing

import pytest

ROOT = pathlib.Path(__file__).parents[1]
MODULES = sorted(file for folder in ("dkl_ae", "nionswift_plugin") for file in (ROOT / folder).rglob("*.py"))

MOST_LINES_OF_A_MODULE = 350
MOST_LINES_OF_A_CLASS = 200

LONGER: typing.Final[dict[str, str]] = {
    "dkl_ae/simulation/patterns.py:PatternSimulator": (
        "the potential, the probe and the grid that they share are set up and used together"
    ),
    "nionswift_plugin/dkl_ae_ui/review_panel/handler.py:Handler": (
        "Swift's widgets bind to the attributes of one object"
    ),
}
"""What is longer, as path or path:class, and why."""


def name_of(file: pathlib.Path) -> str:
    return file.relative_to(ROOT).as_posix()


def classes_of(file: pathlib.Path) -> dict[str, int]:
    """Lines of each class of a module; those of its docstrings, which users of the library read, are not counted."""
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {
        f"{name_of(file)}:{node.name}": extent_of(node)
        - sum(extent_of(inner) for inner in ast.walk(node) if is_text(inner))
        for node in nodes
        if isinstance(node, ast.ClassDef)
    }


def extent_of(node: ast.stmt) -> int:
    return (node.end_lineno or 0) - node.lineno + 1


def is_text(node: ast.AST) -> typing.TypeGuard[ast.Expr]:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def lines_of(file: pathlib.Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_modules_and_classes_are_small(file) -> None:
    assert lines_of(file) <= MOST_LINES_OF_A_MODULE or name_of(file) in LONGER
    assert {name for name, lines in classes_of(file).items() if lines > MOST_LINES_OF_A_CLASS} <= set(LONGER)


def test_nothing_is_excused_that_is_small_enough() -> None:
    long = {name_of(file) for file in MODULES if lines_of(file) > MOST_LINES_OF_A_MODULE}
    long |= {name for file in MODULES for name, lines in classes_of(file).items() if lines > MOST_LINES_OF_A_CLASS}
    assert set(LONGER) == long
    assert all(LONGER.values())
