"""dkl-ae reconstruct: the maps of a recorded 4D-STEM set, predicted from a fraction of its patterns."""

from __future__ import annotations

import argparse
import pathlib
import typing

from dkl_ae.commands import recorded_options
from dkl_ae.commands.terminal import Terminal, add_overwrite, guarded, named_file
from dkl_ae.outputs import finished_folder
from dkl_ae.patterns import zero_notice

MAPS: typing.Final = "reconstruction.h5"


def add(commands: typing.Any) -> None:
    reconstruct = commands.add_parser(
        "reconstruct",
        help="maps of a recorded 4D-STEM set, predicted from random parts of it",
        description="Read random parts of a recorded set, predict its maps from them and the survey, and compare them "
        f"with the truth. Writes {MAPS}, a page and its figures.",
    )
    recorded_options.add_file(reconstruct)
    reconstruct.add_argument(
        "--fractions",
        type=float,
        nargs="+",
        default=(1.0, 0.1, 0.01, 0.001),
        metavar="F",
        help="of all places, measured at random; the model learns from 2000 of them at most (1 0.1 0.01 0.001)",
    )
    reconstruct.add_argument(
        "--scalarizer",
        nargs="+",
        default=("com_magnitude", "com_angle"),
        dest="scalarizers",
        metavar="NAME",
        help="names such as com_x abf, or all (com_magnitude com_angle)",
    )
    reconstruct.add_argument("--patch", type=int, default=13, metavar="PIXELS", help="side of the patches (13)")
    reconstruct.add_argument("--random-seed", type=int, default=0, metavar="N", help="the same gives the same maps (0)")
    reconstruct.add_argument(
        "--truth",
        action="store_true",
        help="read all patterns to compare with; without it only where a fraction is 1 or the scan has up to 128 x 128 "
        "pixels",
    )
    reconstruct.add_argument(
        "--out", type=named_file, metavar="FOLDER", help="(default: beside the set, named after it)"
    )
    add_overwrite(reconstruct)
    recorded_options.add_calibration(reconstruct)
    recorded_options.add_reference(reconstruct)
    recorded_options.add_readings(reconstruct)
    reconstruct.set_defaults(run=run)


def _folder(options: argparse.Namespace) -> pathlib.Path:
    folder: pathlib.Path = options.out or options.file.parent / f"{options.file.stem}-reconstruction"
    return folder


def _cannot_write(options: argparse.Namespace, error: OSError) -> str:
    return f"{_folder(options)} cannot be written ({error}): choose another place with --out."


@guarded("Interrupted: nothing was reconstructed.", _cannot_write)
def run(options: argparse.Namespace, terminal: Terminal) -> int:
    from dkl_ae.analysis import ReconstructionSettings, reconstruct, write_reconstruction
    from dkl_ae.reports import PAGE, write_reconstruction_report

    folder = _folder(options)
    settings = ReconstructionSettings(tuple(options.fractions), options.patch, options.random_seed, options.truth)
    request = recorded_options.request_from(options)
    with finished_folder(folder, [MAPS, PAGE], request.inputs, overwrite=options.overwrite) as unfinished:
        result = reconstruct(request, settings, lambda done, text: terminal.show_progress(round(100 * done), text))
        write_reconstruction(unfinished / MAPS, result)
        write_reconstruction_report(result, unfinished)
    saved = [f"Saved the maps {folder / MAPS}", f"Saved the report {folder / PAGE}"]
    terminal.say("\n".join(["", *filter(None, [zero_notice(result.reference)]), *saved]))
    return 0
