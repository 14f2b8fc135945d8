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
    if options.command == "scalarize":
        return _scalarize(options, terminal)
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


def _scalarize(options: argparse.Namespace, terminal: _Terminal) -> int:
    from dkl_ae.recorded_maps import Request, make_maps
    from dkl_ae.recorded_reference import ReferenceChoice
    from dkl_ae.scalarizers import Geometry

    try:
        request = Request(
            file=options.file.absolute(),
            scalarizers=tuple(options.scalarizers),
            survey_file=options.survey and options.survey.absolute(),
            nm_per_pixel=options.nm_per_pixel,
            mrad_per_pixel=options.mrad_per_pixel,
            electrons=options.electrons,
            reference=ReferenceChoice(
                source=options.reference,
                region=options.region,
                mask_inner=options.mask[0],
                mask_radius=options.mask[1],
                geometry=Geometry(options.rotation, options.mirrored, options.ellipticity, options.long_axis),
                descan=options.descan,
                dark_file=options.dark,
                bad_pixels_file=options.bad_pixels,
                saturation=options.saturation,
                threshold=options.threshold,
                counts_per_electron=options.counts_per_electron,
            ),
            arm_nm=options.arm / 10,
            scalarizer_file=options.scalarizer_file and str(pathlib.Path(options.scalarizer_file).absolute()),
            expression=options.expression,
        )
        spread = None
        if options.scheduler:
            from dkl_ae.cluster import on_cluster

            spread = on_cluster(options.scheduler, request)
        said = make_maps(
            request,
            options.out,
            spread,
            lambda done: terminal.show_progress(round(100 * done), options.file.name),
        )
        if options.picture is not None:
            said += _draw(options.out, options.picture)
    except ModuleNotFoundError as error:
        if error.name != "distributed":
            raise
        sys.stderr.write("Dask's scheduler is not installed here: run pip install 'nionswift-dkl-ae[cluster]'.\n")
        return 1
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"The maps cannot be written to {options.out} ({error}): choose another place with --out.\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted: no maps were written.\n")
        return 1
    terminal.say("\n".join(["", *said, f"Saved the maps {options.out}"]))
    return 0


def _draw(maps: pathlib.Path, picture: pathlib.Path) -> list[str]:
    """The maps are written by now: a picture that cannot be drawn is told, and no failure."""
    from dkl_ae.map_sheet import draw_sheet

    try:
        draw_sheet(maps, picture)
    except (OSError, ValueError) as error:
        return [f"The picture {picture} cannot be drawn ({error}): choose another with --picture, .png or .svg."]
    return [f"Saved the picture {picture}"]


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
    _add_scalarize(commands)
    for command in (swift, demo):
        command.add_argument(
            "--folder",
            type=pathlib.Path,
            default=DEMO_FOLDER,
            help=f"where the Swift project is, or is made (default: {DEMO_FOLDER})",
        )
    return parser


def _add_scalarize(commands: typing.Any) -> None:
    # The same names as the library's; it is not imported here, for it takes long.
    scalarize = commands.add_parser(
        "scalarize",
        help="the maps of a recorded 4D-STEM set, into an HDF5 file",
        description="Read every pattern of a recorded 4D-STEM set. Writes /<scalarizer>/{value,sigma}, each (H, W) "
        "with its unit; docs/scalarizers.md lists the scalarizers.",
    )
    scalarize.add_argument("file", type=pathlib.Path, metavar="FILE", help="HDF5 (.h5, .hdf5) or NumPy (.npy)")
    scalarize.add_argument(
        "--scalarizer",
        nargs="+",
        default=["all"],
        dest="scalarizers",
        metavar="NAME",
        help="names such as com_x abf, or all (default: all)",
    )
    scalarize.add_argument("--out", type=pathlib.Path, default=pathlib.Path("maps.h5"), help="(default: maps.h5)")
    scalarize.add_argument("--picture", type=pathlib.Path, metavar="FILE", help="draw the maps too (.png, .svg)")
    scalarize.add_argument(
        "--survey", type=pathlib.Path, metavar="FILE", help="image of the same scan, in another file"
    )
    scalarize.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster, such as tcp://host:8786")
    calibration = scalarize.add_argument_group("calibration, where the file does not tell")
    calibration.add_argument("--nm-per-pixel", type=float, metavar="NM", help="of the scan")
    calibration.add_argument("--mrad-per-pixel", type=float, metavar="MRAD", help="of the detector")
    calibration.add_argument("--counts-per-electron", type=float, default=1.0, metavar="COUNTS", help="(default: 1)")
    calibration.add_argument(
        "--electrons",
        type=float,
        default=1.87e6,
        help="of a pattern, for a simulation without noise (default: 1.87e6, 30 pA for 10 ms)",
    )
    reference = scalarize.add_argument_group("reference")
    reference.add_argument(
        "--reference",
        default="automatic",
        metavar="SOURCE",
        help="vacuum (the set's own pattern), darkest (places of the survey), mean, or a file: a saved reference "
        "(.npz) or a vacuum pattern (.npy); by default the first of the three that there is",
    )
    reference.add_argument(
        "--region",
        default="",
        metavar="T,L,H,W",
        help="top, left, height and width of vacuum, as fractions of the scan",
    )
    reference.add_argument(
        "--mask",
        type=float,
        nargs=2,
        default=(0.0, 1.1),
        metavar=("INNER", "OUTER"),
        help="ring of the centre of mass, in disc radii (0 1.1); inf for the whole detector",
    )
    reference.add_argument("--descan", default="none", choices=("none", "plane", "quadratic"))
    detector = scalarize.add_argument_group("detector")
    detector.add_argument(
        "--rotation", type=float, default=0.0, metavar="DEG", help="to the scan's axes, from +x to +y"
    )
    detector.add_argument("--mirrored", action="store_true", help="the detector's x axis is reversed")
    detector.add_argument("--ellipticity", type=float, default=1.0, help="long over short axis of a circle (1)")
    detector.add_argument("--long-axis", type=float, default=0.0, metavar="DEG", help="its direction, from +x to +y")
    detector.add_argument("--dark", default="", metavar="FILE", help="counts without a beam (.npy)")
    detector.add_argument("--bad-pixels", default="", metavar="FILE", help="not zero where a pixel is bad (.npy)")
    detector.add_argument("--saturation", type=float, metavar="COUNTS", help="of a full pixel")
    detector.add_argument("--threshold", type=float, metavar="COUNTS", help="fewer are read as none")
    readings = scalarize.add_argument_group("readings")
    readings.add_argument(
        "--arm", type=float, default=0.6, metavar="ANGSTROM", help="of the charge density's cross (0.6)"
    )
    readings.add_argument("--expression", default="", help="gives the reading composite, such as 'com_magnitude / abf'")
    readings.add_argument(
        "--scalarizer-file", default="", metavar="FILE", help="Python file with scalarizers of your own"
    )


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
