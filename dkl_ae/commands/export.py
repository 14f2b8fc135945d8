"""dkl-ae export: a saved session for other programs."""

from __future__ import annotations

import argparse
import typing

from dkl_ae.commands.terminal import Terminal, add_overwrite, guarded, named_file


def add(commands: typing.Any) -> None:
    # The same names as the library's; it is not imported here, for it takes long.
    export = commands.add_parser(
        "export",
        help="a saved session for other programs",
        description="Write the measured patterns, the maps, the positions and the readings of a saved session, with "
        "their units, for other programs.",
    )
    export.add_argument("file", type=named_file, metavar="FILE", help="saved session (.h5)")
    export.add_argument(
        "--to",
        required=True,
        choices=("hspy", "emd", "nexus", "csv"),
        help="HyperSpy; EMD 1.0, which py4DSTEM reads; NeXus; or a folder with a table (.csv) and images (.tif)",
    )
    export.add_argument(
        "--out", type=named_file, metavar="PATH", help="file or folder to write (default: beside the session)"
    )
    add_overwrite(export)
    export.set_defaults(run=run)


def _cannot_write(options: argparse.Namespace, error: OSError) -> str:
    return f"{options.file} cannot be exported ({error}): choose another place with --out."


@guarded("Interrupted: nothing was exported.", _cannot_write)
def run(options: argparse.Namespace, terminal: Terminal) -> int:
    from dkl_ae.export import export_session

    written, losses = export_session(options.file, options.to, options.out, overwrite=options.overwrite)
    terminal.say("\n".join([*losses, f"Saved {written}"]))
    return 0
