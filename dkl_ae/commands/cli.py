"""The command dkl-ae."""

from __future__ import annotations

import importlib
import sys
import typing
from collections.abc import Sequence

from dkl_ae.commands.interrupting import nothing_done_yet

_COMMANDS: typing.Final = ("swift", "scalarize", "reconstruct", "replay", "resume", "report", "export", "benchmark")
"""Modules beside this one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    # Whatever takes time to load is loaded inside.
    with nothing_done_yet():
        import argparse

        from dkl_ae.commands.terminal import Terminal

        parser = argparse.ArgumentParser(prog="dkl-ae", description="Autonomous 4D-STEM with deep-kernel learning.")
        commands = parser.add_subparsers(dest="command", required=True)
        for name in _COMMANDS:
            importlib.import_module(f"dkl_ae.commands.{name}").add(commands)
        options = parser.parse_args(arguments)
    status: int = options.run(options, Terminal(sys.stdout))
    return status


if __name__ == "__main__":
    sys.exit(main())
