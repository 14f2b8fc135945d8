"""docs/architecture.md is true of the contracts and the imports, and no path in the documentation leads nowhere."""

from __future__ import annotations

import pathlib
import re
import tomllib

import grimp
import pytest

ROOT = pathlib.Path(__file__).parent.parent
MAP = ROOT / "docs/architecture.md"
PLUG_INS = ("dkl_ae_kit", "dkl_ae_ui", "dkl_ae_usim")
DOCUMENTS = sorted({ROOT / "README.md", ROOT / "CHANGES.md", *ROOT.glob("docs/**/*.md")})


def rows_of_the_stack() -> list[tuple[int, str, set[str]]]:
    """Level, package and what it imports, from the table."""
    rows = re.findall(r"^\| (\d+) \| `([\w.]+)` \| [^|]* \| ([^|]*) \|$", MAP.read_text("utf-8"), re.MULTILINE)
    return [(int(level), package, {name for name in imports.split(", ") if name}) for level, package, imports in rows]


def levels_of(rows, *, among: set[str]) -> list[set[str]]:
    """The packages of each level, of those among which it is asked, the uppermost first."""
    numbers = [level for level, _, _ in rows]
    assert numbers == sorted(numbers, reverse=True)
    levels = [{package for level, package, _ in rows if level == number} & among for number in dict.fromkeys(numbers)]
    return [level for level in levels if level]


def layers_of(name: str) -> list[set[str]]:
    """Those of the contract whose name begins so."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (contract,) = (one for one in settings["contracts"] if one["name"].startswith(name))
    return [{_short(module) for module in layer.split(" | ")} for layer in contract["layers"]]


def _short(module: str) -> str:
    return module.removeprefix("nionswift_plugin.").removeprefix("dkl_ae.").partition(".")[0]


@pytest.fixture(scope="module")
def relations() -> dict[str, set[str]]:
    """What each package imports, as it is."""
    graph = grimp.build_graph("dkl_ae", *(f"nionswift_plugin.{name}" for name in PLUG_INS), cache_dir=None)
    found: dict[str, set[str]] = {_short(module): set() for module in graph.modules}
    for module in graph.modules:
        found[_short(module)] |= {_short(imported) for imported in graph.find_modules_directly_imported_by(module)}
    return {package: imported - {package} for package, imported in found.items()}


@pytest.mark.parametrize("contract", ["Imports point one way", "The plug-ins stand on the library"])
def test_the_levels_are_those_of_the_contract(contract) -> None:
    layers = layers_of(contract)
    assert levels_of(rows_of_the_stack(), among=set().union(*layers)) == layers


def test_every_package_stands_in_the_table_once() -> None:
    folders = {folder.parent.name for folder in ROOT.glob("dkl_ae/*/__init__.py")}
    plug_ins = {folder.parent.name for folder in ROOT.glob("nionswift_plugin/*/__init__.py")}
    packages = [package for _, package, _ in rows_of_the_stack()]
    assert sorted(packages) == sorted(folders | plug_ins | {"dkl_ae"})


def test_the_table_tells_what_each_package_imports(relations) -> None:
    table = {package: imports for _, package, imports in rows_of_the_stack()}
    changed = {
        package: ", ".join(name for name in table if name in imports)
        for package, imports in relations.items()
        if table[package] != imports
    }
    assert changed == {}, "the column `imports` of docs/architecture.md should say this"


def test_whatever_a_package_imports_stands_below_it(relations) -> None:
    level = {package: number for number, package, _ in rows_of_the_stack()}
    assert [
        (package, imported)
        for package, imports in relations.items()
        for imported in imports
        if level[imported] >= level[package]
    ] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.relative_to(ROOT).as_posix())
def test_every_path_in_the_documentation_leads_somewhere(document) -> None:
    text = document.read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text) if "://" not in link]
    paths = re.findall(r"`((?:dkl_ae|nionswift_plugin|tests|tools|docs|resources)/[\w./-]*)`", text)
    scripts = re.findall(r"python (tools/\w+\.py)", text)
    assert [link for link in links if not (document.parent / link).exists()] == []
    assert [path for path in (*paths, *scripts) if not (ROOT / path).exists()] == []
