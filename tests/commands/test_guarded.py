"""What a command says when it cannot be carried out."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any

import numpy
import pytest

from dkl_ae.commands.cli import main
from dkl_ae.commands.terminal import Terminal, guarded
from dkl_ae.records import UserError

OPTIONS = argparse.Namespace(out="here")


def outcome(error: BaseException, **given: Any) -> int:
    """The exit status of a command that raises this."""

    @guarded("Interrupted.", lambda options, error: f"{options.out} cannot be written ({error}).", **given)
    def run(options: argparse.Namespace, terminal: Terminal) -> int:
        raise error

    return run(OPTIONS, Terminal(sys.stdout))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (UserError("There is no file: choose one."), "There is no file: choose one."),
        (OSError("disk full"), "here cannot be written (disk full)."),
        (KeyboardInterrupt(), "Interrupted."),
        (ModuleNotFoundError(name="nion.swift"), "nion.swift is not installed."),
    ],
)
def test_what_a_person_can_mend_is_one_sentence_and_no_traceback(capsys, caplog, error, sentence) -> None:
    assert outcome(error, missing=("nion", "{name} is not installed.")) == 1
    assert capsys.readouterr().err == f"{sentence}\n"
    assert not caplog.records


def test_what_a_command_returns_is_its_exit_status() -> None:
    assert guarded("")(lambda options, terminal: 3)(OPTIONS, Terminal(sys.stdout)) == 3


COMMANDS = {
    "benchmark": ("dkl_ae.benchmarks.engine_rows", ["benchmark", "engine"]),
    "export": ("dkl_ae.export.export_session", ["export", "run.h5", "--to", "csv"]),
    "reconstruct": ("dkl_ae.analysis.reconstruct", ["reconstruct", "set.h5"]),
    "replay": ("dkl_ae.commands.replay.scalarizers_of", ["replay", "set.h5"]),
    "report": ("dkl_ae.session.open_session", ["report", "run.h5"]),
    "resume": ("dkl_ae.session.open_session", ["resume", "run.h5"]),
    "scalarize": ("dkl_ae.analysis.make_maps", ["scalarize", "set.h5"]),
    "swift": ("nionswift_plugin.dkl_ae_ui.launcher.project.ensure_project", ["swift"]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_failure_of_the_program_is_told_as_that_and_logged(monkeypatch, tmp_path, capsys, caplog, name) -> None:
    monkeypatch.chdir(tmp_path)
    place, arguments = COMMANDS[name]

    def fail(*given: Any, **named: Any) -> Any:
        return numpy.zeros(3) + numpy.zeros(4)

    module, _, function = place.rpartition(".")
    monkeypatch.setattr(importlib.import_module(module), function, fail)
    assert main(arguments) == 1
    assert capsys.readouterr().err == (
        "The program failed unexpectedly (ValueError: operands could not be broadcast together with shapes (3,) (4,) "
        "): see the log for details.\n"
    )
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is ValueError
