"""What is installed is what is here."""

import pathlib

import pytest
from setuptools.config.pyprojecttoml import read_configuration

ROOT = pathlib.Path(__file__).parent.parent
CODE = {".py", ".pyc"}


@pytest.fixture(scope="module")
def configuration():
    return read_configuration(ROOT / "pyproject.toml")


def in_the_tree():
    return [
        file
        for top in ("dkl_ae", "nionswift_plugin")
        for file in (ROOT / top).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    ]


def test_every_folder_with_modules_is_packaged(configuration) -> None:
    folders = {file.parent.relative_to(ROOT) for file in in_the_tree() if file.suffix == ".py"}
    expected = {".".join(folder.parts) for folder in folders} | {"nionswift_plugin"}
    assert sorted(configuration["tool"]["setuptools"]["packages"]) == sorted(expected)


def test_every_file_of_data_is_packaged(configuration) -> None:
    packaged = {
        ROOT.joinpath(*package.split("."), name)
        for package, names in configuration["tool"]["setuptools"]["package-data"].items()
        for name in names
    }
    assert packaged == {file for file in in_the_tree() if file.suffix not in CODE}


def test_the_command_is_the_programs(configuration) -> None:
    module, _, function = configuration["project"]["scripts"]["dkl-ae"].partition(":")
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
    assert function == "main"


def test_the_version_stands_in_one_place(configuration) -> None:
    version = configuration["project"]["version"]
    code = [file for file in in_the_tree() if file.suffix == ".py"]
    assert [file.name for file in code if version in file.read_text("utf-8")] == []
    readers = [file.name for file in code if "metadata.version(" in file.read_text("utf-8")]
    assert readers == ["version.py"]
