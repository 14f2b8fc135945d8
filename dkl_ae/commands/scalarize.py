"""dkl-ae scalarize: the maps of a recorded 4D-STEM set."""

from __future__ import annotations

import argparse
import pathlib
import typing

from dkl_ae.commands import recorded_options
from dkl_ae.commands.terminal import Terminal, add_overwrite, guarded, named_file
from dkl_ae.outputs import finished_file, require_picture, require_place
from dkl_ae.records import UserError


def add(commands: typing.Any) -> None:
    scalarize = commands.add_parser(
        "scalarize",
        help="the maps of a recorded 4D-STEM set, into an HDF5 file",
        description="Read every pattern of a recorded 4D-STEM set. Writes "
        "/<scalarizer>/{value,sigma,common_sigma}, each (H, W) "
        "with its unit; docs/scalarizers.md lists the scalarizers.",
    )
    recorded_options.add_file(scalarize)
    scalarize.add_argument(
        "--scalarizer",
        nargs="+",
        default=["all"],
        dest="scalarizers",
        metavar="NAME",
        help="names such as com_x abf, or all (default: all)",
    )
    scalarize.add_argument("--out", type=named_file, default=pathlib.Path("maps.h5"), help="(default: maps.h5)")
    add_overwrite(scalarize)
    scalarize.add_argument("--picture", type=named_file, metavar="FILE", help="draw the maps too (.png, .svg)")
    scalarize.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster, such as tcp://host:8786")
    recorded_options.add_calibration(scalarize)
    recorded_options.add_reference(scalarize)
    recorded_options.add_readings(scalarize)
    scalarize.set_defaults(run=run)


def _cannot_write(options: argparse.Namespace, error: OSError) -> str:
    return f"The maps cannot be written to {options.out} ({error}): choose another place with --out."


@guarded(
    "Interrupted: no maps were written.",
    _cannot_write,
    ("distributed", "Dask's scheduler is not installed here: run pip install 'nionswift-dkl-ae[cluster]'."),
)
def run(options: argparse.Namespace, terminal: Terminal) -> int:
    from dkl_ae.analysis import make_maps

    request = recorded_options.request_from(options)
    picture: pathlib.Path | None = options.picture
    if picture is not None:
        require_picture(picture, "--picture")
        require_place(picture, [*request.inputs, options.out], overwrite=options.overwrite, option="--picture")
    spread = None
    if options.scheduler:
        from dkl_ae.analysis.cluster import on_cluster

        spread = on_cluster(options.scheduler, request)
    lines = make_maps(
        request,
        options.out,
        spread,
        lambda done: terminal.show_progress(round(100 * done), options.file.name),
        overwrite=options.overwrite,
    )
    terminal.say("\n".join(["", *lines, f"Saved the maps {options.out}"]))
    if picture is not None:
        _draw(options.out, picture, overwrite=options.overwrite)
        terminal.say(f"Saved the picture {picture}")
    return 0


def _draw(maps: pathlib.Path, picture: pathlib.Path, *, overwrite: bool) -> None:
    from dkl_ae.reports import draw_map_figure

    try:
        with finished_file(picture, overwrite=overwrite, option="--picture") as unfinished:
            draw_map_figure(maps, unfinished, picture.suffix.removeprefix("."))
    except OSError as error:
        raise UserError(f"The picture {picture} cannot be written ({error}): choose another with --picture.") from error
