"""dkl-ae report: a page and figures of a saved session."""

from __future__ import annotations

import argparse
import pathlib
import typing

from dkl_ae.commands.terminal import Terminal, add_overwrite, guarded, named_file


def add(commands: typing.Any) -> None:
    report = commands.add_parser(
        "report",
        help="a page of figures and numbers of a saved session",
        description="Write an HTML page that needs nothing but itself, and its figures as PNG and SVG.",
    )
    report.add_argument("file", type=named_file, metavar="FILE", help="a session that a run has made (.h5)")
    report.add_argument(
        "--out", type=named_file, metavar="FOLDER", help="(default: beside the session, named after it)"
    )
    add_overwrite(report)
    report.add_argument(
        "--steps",
        type=int,
        nargs="+",
        default=(),
        metavar="N",
        help="after how many measurements maps are shown (default: four times, spread over the run)",
    )
    report.set_defaults(run=run)


def _folder(options: argparse.Namespace) -> pathlib.Path:
    folder: pathlib.Path = options.out or options.file.parent / f"{options.file.stem}-report"
    return folder


def _cannot_write(options: argparse.Namespace, error: OSError) -> str:
    return f"The report cannot be written to {_folder(options)} ({error}): choose another place with --out."


@guarded("Interrupted: no report was written.", _cannot_write)
def run(options: argparse.Namespace, terminal: Terminal) -> int:
    from dkl_ae.reports import write_report
    from dkl_ae.session import open_session

    with open_session(options.file) as session:
        page = write_report(session, _folder(options), options.steps, overwrite=options.overwrite)
    terminal.say(f"Saved the report {page}")
    return 0
