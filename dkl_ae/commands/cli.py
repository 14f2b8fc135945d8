"""The command dkl-ae."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from dkl_ae.commands import benchmark, export, reconstruct, replay, report, resume, scalarize, swift
from dkl_ae.commands.terminal import Terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="dkl-ae", description="Autonomous 4D-STEM with deep-kernel learning.")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (swift, scalarize, reconstruct, replay, resume, report, export, benchmark):
        command.add(commands)
    options = parser.parse_args(arguments)
    status: int = options.run(options, Terminal(sys.stdout))
    return status


if __name__ == "__main__":
    sys.exit(main())
