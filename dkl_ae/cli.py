"""The command dkl-ae. The only module here that may start the Swift plug-in, and only when asked to."""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import sys
import typing
from collections.abc import Sequence

DEMO_FOLDER = pathlib.Path("demo-output")
_BAR_WIDTH = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    options = _parser().parse_args(arguments)
    terminal = _Terminal(sys.stdout)
    if options.command == "benchmark":
        return _benchmark(options, terminal)
    try:
        return _run(options, terminal)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("nion"):
            raise
        message = f"Nion Swift is not installed here ({error.name}): run pip install 'nionswift-dkl-ae[swift]'."
    except OSError as error:
        message = f"The folder {options.folder} cannot be used ({error}): choose another with --folder."
    except KeyboardInterrupt:
        message = "Interrupted: what was measured so far is in the project."
    sys.stderr.write(f"{message}\n")
    return 1


def _run(options: argparse.Namespace, terminal: _Terminal) -> int:
    from nionswift_plugin.dkl_ae_ui.program import ProgramError, launch
    from nionswift_plugin.dkl_ae_ui.program.project import ensure_project

    project = ensure_project(options.folder)
    try:
        if options.command == "swift" or (launch.has_display() and not options.headless):
            terminal.say(f"Opening Swift with the project {project.file}")
            return launch.run_swift(project)
        from nionswift_plugin.dkl_ae_ui.program import demo

        terminal.say(f"Running on the simulated microscope, without a window; the project is {project.file}")
        picture = demo.run_demo(project, terminal.show_progress)
    except ProgramError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    terminal.say(f"\nSaved the Swift project {project.file}")
    terminal.say(f"Saved the picture       {picture}")
    terminal.say(f"To look at it in Swift: dkl-ae swift --folder {options.folder}")
    return 0


def _benchmark(options: argparse.Namespace, terminal: _Terminal) -> int:
    # torch takes seconds to import: only this command needs it.
    from dkl_ae.benchmarks import engine, learning

    try:
        if options.benchmark == "learning":
            for line in learning.report(options.files, options.ways, options.seeds, options.out):
                terminal.say(line)
        elif options.json:
            terminal.say(json.dumps([dataclasses.asdict(row) for row in engine.engine_rows()], indent=1))
        else:
            for line in engine.table(engine.engine_rows()):
                terminal.say(line)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dkl-ae", description="Autonomous 4D-STEM with deep-kernel learning.")
    commands = parser.add_subparsers(dest="command", required=True)
    swift = commands.add_parser(
        "swift", help="open Nion Swift with the simulated microscope, the panel and a ready project"
    )
    demo = commands.add_parser(
        "demo", help="do the main job on the simulated microscope, in Swift's window where there is a display"
    )
    demo.add_argument("--headless", action="store_true", help="without a window even where there is a display")
    kinds = commands.add_parser(
        "benchmark", help="how fast the model is and how well it learns, on this computer"
    ).add_subparsers(dest="benchmark", required=True)
    engine = kinds.add_parser("engine", help="time of a step, beside the published way; takes some minutes")
    engine.add_argument("--json", action="store_true", help="a list of rows for programs")
    learning = kinds.add_parser("learning", help="accuracy and calibration on noise-free recorded sets")
    learning.add_argument("files", nargs="+", type=pathlib.Path, metavar="FILE")
    learning.add_argument(
        "--way",
        action="append",
        dest="ways",
        metavar="WAY",
        help="a way of learning, such as dkl-ae or published; may be repeated (default: all but published, which takes "
        "an hour)",
    )
    learning.add_argument("--seeds", type=int, default=10, help="repetitions of everything (default: 10)")
    learning.add_argument("--out", type=pathlib.Path, metavar="FOLDER", help="where to keep results and pictures")
    for command in (swift, demo):
        command.add_argument(
            "--folder",
            type=pathlib.Path,
            default=DEMO_FOLDER,
            help=f"where the Swift project is, or is made (default: {DEMO_FOLDER})",
        )
    return parser


class _Terminal:
    """Writes to the terminal that was there at the start: Swift puts its own in the place of sys.stdout."""

    def __init__(self, stream: typing.TextIO) -> None:
        self._stream = stream
        self._last = ""

    def say(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def show_progress(self, percent: int, text: str) -> None:
        """Redraw one line on a terminal; elsewhere write a line for each change."""
        done = _BAR_WIDTH * percent // 100
        line = f"[{'#' * done}{'.' * (_BAR_WIDTH - done)}] {percent:3d} % {text[:60]}"
        if line == self._last:
            return
        self._last = line
        if self._stream.isatty():
            self._stream.write(f"\r{line:<110}")
            self._stream.flush()
        else:
            self.say(line)


if __name__ == "__main__":
    sys.exit(main())
