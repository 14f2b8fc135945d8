"""What a command says when it cannot be carried out."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import textwrap
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
    status = 130 if isinstance(error, KeyboardInterrupt) else 1
    assert outcome(error, missing=("nion", "{name} is not installed.")) == status
    assert capsys.readouterr().err == f"{sentence}\n"
    assert not caplog.records


def test_what_a_command_returns_is_its_exit_status() -> None:
    assert guarded("")(lambda options, terminal: 3)(OPTIONS, Terminal(sys.stdout)) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
@pytest.mark.parametrize("module", ["argparse", "numpy", "scipy.special", "dkl_ae.commands.benchmark"])
def test_ctrl_c_while_the_program_is_loaded_is_one_sentence(module) -> None:
    program = f"""
        import signal, sys
        from dkl_ae.commands.cli import main

        class Interrupter:
            def find_spec(self, name, path=None, target=None):
                if name == "{module}":
                    signal.raise_signal(signal.SIGINT)

        sys.meta_path.insert(0, Interrupter())
        sys.modules.pop("argparse", None)
        # Whoever runs the tests in the background may have it ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.exit(main(["report", "nowhere.h5"]))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "Interrupted: nothing was done.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", ""],
        ["export", "", "--to", "csv"],
        ["resume", ""],
        ["scalarize", ""],
        ["scalarize", "set.h5", "--out", ""],
        ["reconstruct", "", "--survey", ""],
        ["replay", ""],
        ["benchmark", "learning", ""],
        ["swift", "--folder", ""],
    ],
)
def test_a_name_that_is_empty_is_asked_for(arguments, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith("it is empty: name a file\n")


LONG = {"253": "n" * 250 + ".h5", "303": "n" * 300 + ".h5"}


@pytest.mark.parametrize("length", LONG)
@pytest.mark.parametrize(
    "command",
    [
        "scalarize {long}",
        "scalarize set.h5 --out {long}",
        "scalarize set.h5 --survey {long}",
        "reconstruct {long}",
        "reconstruct set.h5 --out {long}",
        "replay {long}",
        "replay set.h5 --out {long}",
        "resume {long}",
        "report {long}",
        "report set.h5 --out {long}",
        "export {long} --to csv",
        "export set.h5 --to csv --out {long}",
        "benchmark learning {long}",
        "benchmark learning set.h5 --method grid --out {long}",
    ],
)
def test_a_name_of_any_length_is_told_in_one_sentence(tmp_path, monkeypatch, capsys, caplog, command, length) -> None:
    """There is nothing of these names."""
    monkeypatch.chdir(tmp_path)
    assert main(command.format(long=LONG[length]).split()) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "failed unexpectedly" not in said
    assert not caplog.records
    assert not list(tmp_path.iterdir())


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
        "The program failed unexpectedly (ValueError: operands could not be broadcast together with shapes (3,) (4,)"
        "): see the log for details.\n"
    )
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is ValueError
