"""dkl-ae swift and dkl-ae demo: the only module of the library that may start the Swift plug-in."""

from __future__ import annotations

import argparse
import pathlib
import typing

from dkl_ae.commands.terminal import Terminal, guarded, named_file

DEMO_FOLDER = pathlib.Path("demo-output")


def add(commands: typing.Any) -> None:
    swift = commands.add_parser(
        "swift", help="open Nion Swift with the simulated microscope, the panel and a ready project"
    )
    demo = commands.add_parser(
        "demo", help="do the main job on the simulated microscope, in Swift's window where there is a display"
    )
    demo.add_argument("--headless", action="store_true", help="without a window even where there is a display")
    for command in (swift, demo):
        command.add_argument(
            "--folder",
            type=named_file,
            default=DEMO_FOLDER,
            help=f"where the Swift project is, or is made (default: {DEMO_FOLDER})",
        )
        command.set_defaults(run=run)


def _cannot_use(options: argparse.Namespace, error: OSError) -> str:
    return f"The folder {options.folder} cannot be used ({error}): choose another with --folder."


@guarded(
    "Interrupted: what was measured so far is in the project.",
    _cannot_use,
    ("nion", "Nion Swift is not installed here ({name}): run pip install 'nionswift-dkl-ae[swift]'."),
)
def run(options: argparse.Namespace, terminal: Terminal) -> int:
    from nionswift_plugin.dkl_ae_ui.launcher import window as launch
    from nionswift_plugin.dkl_ae_ui.launcher.project import ensure_project

    project = ensure_project(options.folder)
    if options.command == "swift" or (launch.has_display() and not options.headless):
        terminal.say(f"Opening Swift with the project {project.file}")
        return launch.run_swift(project)
    from nionswift_plugin.dkl_ae_ui.launcher import demo

    terminal.say(f"Running on the simulated microscope, without a window; the project is {project.file}")
    picture = demo.run_demo(project, terminal.show_progress)
    terminal.say(f"\nSaved the Swift project {project.file}")
    terminal.say(f"Saved the picture       {picture}")
    terminal.say(f"To look at it in Swift: dkl-ae swift --folder {options.folder}")
    return 0
