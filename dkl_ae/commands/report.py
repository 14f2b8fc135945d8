"""dkl-ae report: a page and figures of a saved session."""

from __future__ import annotations

import argparse
import pathlib
import sys
import typing

from dkl_ae.commands.terminal import Terminal
from dkl_ae.records import UserError


def add(commands: typing.Any) -> None:
    report = commands.add_parser(
        "report",
        help="a page of figures and numbers of a saved session",
        description="Write an HTML page that needs nothing but itself, and its figures as PNG and SVG.",
    )
    report.add_argument("file", type=pathlib.Path, metavar="FILE", help="a session that a run has made (.h5)")
    report.add_argument(
        "--out", type=pathlib.Path, metavar="FOLDER", help="(default: beside the session, named after it)"
    )
    report.add_argument(
        "--steps",
        type=int,
        nargs="+",
        default=(),
        metavar="N",
        help="after how many measurements maps are shown (default: four times, spread over the run)",
    )
    report.set_defaults(run=run)


def run(options: argparse.Namespace, terminal: Terminal) -> int:
    from dkl_ae.reports import write_report
    from dkl_ae.session import open_session

    folder = options.out or options.file.with_name(f"{options.file.stem}-report")
    try:
        with open_session(options.file) as session:
            page = write_report(session, folder, options.steps)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"The report cannot be written to {folder} ({error}): choose another place with --out.\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted: the report is not complete.\n")
        return 1
    terminal.say(f"Saved the report {page}")
    return 0
