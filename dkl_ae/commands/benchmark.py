"""dkl-ae benchmark: how fast the model is and how well it learns, on this computer."""

from __future__ import annotations

import argparse
import dataclasses
import json
import typing

from dkl_ae.commands.terminal import Terminal, add_overwrite, guarded, named_file


def add(commands: typing.Any) -> None:
    benchmark = commands.add_parser("benchmark", help="how fast the model is and how well it learns, on this computer")
    benchmark.set_defaults(run=run)
    kinds = benchmark.add_subparsers(dest="benchmark", required=True)
    engine = kinds.add_parser("engine", help="time of a step, beside AtomAI dklGPR; takes some minutes")
    engine.add_argument("--json", action="store_true", help="a list of rows for programs")
    learning = kinds.add_parser("learning", help="accuracy and calibration on noise-free recorded sets")
    learning.add_argument("files", nargs="+", type=named_file, metavar="FILE")
    learning.add_argument(
        "--method",
        "--way",
        action="append",
        dest="methods",
        metavar="METHOD",
        help="a method of learning, such as dkl-ae or published (AtomAI dklGPR); may be repeated (default: all but "
        "published, which takes an hour)",
    )
    add_overwrite(learning)
    learning.add_argument("--seeds", type=int, default=10, help="repetitions of everything (default: 10)")
    learning.add_argument("--out", type=named_file, metavar="FOLDER", help="where to keep results and pictures")


def _cannot_write(options: argparse.Namespace, error: OSError) -> str:
    return f"The results cannot be written ({error}): choose another place with --out."


@guarded("Interrupted: the benchmark is not complete.", _cannot_write)
def run(options: argparse.Namespace, terminal: Terminal) -> int:
    # torch takes seconds to import: only this command needs it.
    from dkl_ae.benchmarks import engine_rows, engine_table, learning_report

    if options.benchmark == "learning":
        files, methods, seeds = options.files, options.methods, options.seeds
        for line in learning_report(files, methods, seeds, options.out, overwrite=options.overwrite):
            terminal.say(line)
    elif options.json:
        terminal.say(json.dumps([dataclasses.asdict(row) for row in engine_rows()], indent=1))
    else:
        for line in engine_table(engine_rows()):
            terminal.say(line)
    return 0
