"""dkl-ae replay: the automated experiment on a recorded set."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import sys
import typing

from dkl_ae.commands.recorded_options import add_calibration, add_file
from dkl_ae.commands.terminal import Terminal
from dkl_ae.records import DEFAULT_EXPOSURE_S, UserError

if typing.TYPE_CHECKING:
    from dkl_ae.experiment import Plan
    from dkl_ae.instruments import Replay

_ACQUISITIONS: typing.Final = {
    "ei": "expected_improvement",
    "ei-observed": "expected_improvement_observed",
    "pi": "probability_of_improvement",
    "ucb": "upper_confidence_bound",
    "uncertainty": "maximum_uncertainty",
}
"""Short names; the library's own are taken too."""


def add(commands: typing.Any) -> None:
    replay = commands.add_parser(
        "replay",
        help="the automated experiment on a recorded 4D-STEM set, into a session file",
        description="Measure a recorded 4D-STEM set as if it were a specimen: the model chooses which of its patterns "
        "are looked at.",
    )
    add_file(replay)
    replay.add_argument(
        "--survey-ring",
        type=float,
        nargs=2,
        metavar=("INNER", "OUTER"),
        help="make the survey of the patterns, as a detector between these disc radii, such as 1.5 4",
    )
    replay.add_argument(
        "--out", type=pathlib.Path, default=pathlib.Path("session.h5"), metavar="FILE", help="(default: session.h5)"
    )
    replay.add_argument("--overwrite", action="store_true", help="take the place of an earlier session")
    _add_settings(replay)
    add_calibration(replay)
    replay.set_defaults(run=run)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """What a plan has too, named like it; what is left out has the plan's default."""
    group = parser.add_argument_group("run", argument_default=argparse.SUPPRESS)
    group.add_argument("--scalarizer", metavar="NAME", help="what drives the run (com_magnitude)")
    group.add_argument("--scalarizer-file", type=_absolute, metavar="FILE", help="scalarizers of your own (.py)")
    group.add_argument("--expression", help="gives the reading composite, such as 'com_magnitude / abf'")
    group.add_argument("--arm", type=float, metavar="ANGSTROM", help="of the charge density's cross (0.6)")
    group.add_argument("--goal", help="largest, smallest or value (largest)")
    group.add_argument("--goal-value", type=float, metavar="VALUE", help="the reading that is sought")
    group.add_argument("--seeds", type=int, dest="seed_points", metavar="N", help="points at random places (10)")
    group.add_argument("--steps", type=int, metavar="N", help="points that the model chooses (60)")
    group.add_argument(
        "--exposure", type=float, default=DEFAULT_EXPOSURE_S, metavar="S", help="of a pattern, for the dose (0.01)"
    )
    group.add_argument("--random-seed", type=int, metavar="N", help="the same gives the same run (0)")
    group = parser.add_argument_group("model", argument_default=argparse.SUPPRESS)
    group.add_argument("--patch", type=int, dest="patch_size", metavar="PIXELS", help="side of the patches (13)")
    group.add_argument("--acquisition", metavar="NAME", help=f"{', '.join(_ACQUISITIONS)} or thompson (ei)")
    group.add_argument(
        "--parameter", type=float, dest="acquisition_parameter", metavar="VALUE", help="of the acquisition function"
    )
    group.add_argument("--batch", type=int, dest="batch_size", metavar="N", help="points chosen together (1)")
    group.add_argument("--travel-cost", type=float, metavar="COST", help="of a nanometre of the probe's way (0)")
    group.add_argument("--least-spacing", type=float, dest="least_spacing_nm", metavar="NM", help="of exposures (0)")
    group.add_argument("--model", dest="embedding", help="combined, patches or network (combined)")
    group.add_argument("--start-from", type=_absolute, dest="pretrained", metavar="FILE", help="a saved model")
    group.add_argument("--device", help="auto, gpu or cpu (auto)")
    group = parser.add_argument_group("reference and detector", argument_default=argparse.SUPPRESS)
    group.add_argument(
        "--reference",
        dest="reference_source",
        metavar="SOURCE",
        help="darkest (places of the survey), mean, or a file: a saved reference (.npz) or a vacuum pattern (.npy) "
        "(darkest)",
    )
    group.add_argument(
        "--region", metavar="T,L,H,W", help="top, left, height and width of vacuum, as fractions of the scan"
    )
    group.add_argument("--reference-frames", type=int, metavar="N", help="patterns that the reference is made of (4)")
    group.add_argument(
        "--mask", type=float, nargs=2, metavar=("INNER", "OUTER"), help="ring of the centre of mass, disc radii (0 1.1)"
    )
    group.add_argument("--descan", help="none, plane or quadratic (none)")
    group.add_argument(
        "--rotation", type=float, dest="detector_rotation_deg", metavar="DEG", help="to the scan's axes (0)"
    )
    group.add_argument(
        "--mirrored", action="store_true", dest="detector_mirrored", help="the detector's x axis is reversed"
    )


def _absolute(name: str) -> str:
    """A run that goes on elsewhere finds the file again."""
    return str(pathlib.Path(name).absolute())


def run(options: argparse.Namespace, terminal: Terminal) -> int:
    from dkl_ae.commands.run_on_terminal import carry_out
    from dkl_ae.session import About, SessionWriter

    try:
        _require_free(options)
        plan = _plan(options, terminal)
        replay = _replay(options, plan)
        with replay.opened(lambda done: terminal.show_progress(round(100 * done), "survey")) as instrument:
            session = SessionWriter(options.out, plan, About(options.file.name, replay.described()))
            return carry_out(instrument, plan, session, terminal)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted before the run began.\n")
    return 1


def _require_free(options: argparse.Namespace) -> None:
    out: pathlib.Path = options.out
    if not out.exists():
        return
    if any(
        source is not None and source.exists() and out.samefile(source) for source in (options.file, options.survey)
    ):
        raise UserError(f"{out} is the recording itself: choose another place for the session with --out.")
    if not options.overwrite:
        raise UserError(f"{out} is there already: choose another place with --out, or --overwrite it.")


def _plan(options: argparse.Namespace, terminal: Terminal) -> Plan:
    from dkl_ae.experiment import ACQUISITIONS, Plan
    from dkl_ae.records import centred_size
    from dkl_ae.settings import FILE, REFERENCES, REGION, VALUE

    given = vars(options)
    settings = {field.name: given[field.name] for field in dataclasses.fields(Plan) if field.name in given}
    if "patch_size" in settings and settings["patch_size"] != (size := centred_size(settings["patch_size"])):
        terminal.say(f"A patch of {settings['patch_size']} px has no central pixel: {size} px are taken.")
        settings["patch_size"] = size
    if "acquisition" in settings:
        name = settings["acquisition"] = _ACQUISITIONS.get(options.acquisition, options.acquisition)
        if name in ACQUISITIONS:
            settings.setdefault("acquisition_parameter", ACQUISITIONS[name].default)
    if "goal_value" in settings:
        settings.setdefault("goal", VALUE)
    if "arm" in given:
        settings["cross_arm_nm"] = options.arm / 10
    if "mask" in given:
        settings["mask_inner"], settings["mask_radius"] = options.mask
    if "region" in given:
        settings |= {"reference": REGION, "reference_region": options.region}
    elif "reference_source" in given:
        source = options.reference_source
        is_file = source not in REFERENCES
        settings |= {"reference": FILE, "reference_file": _absolute(source)} if is_file else {"reference": source}
    return Plan(**settings)


def _replay(options: argparse.Namespace, plan: Plan) -> Replay:
    from dkl_ae.instruments import Replay

    return Replay(
        options.file,
        options.survey,
        scan_shape=options.scan_shape and tuple(options.scan_shape),
        nm_per_pixel=options.nm_per_pixel,
        mrad_per_pixel=options.mrad_per_pixel,
        beam_energy_kev=options.beam_energy_kev,
        survey_ring=options.survey_ring and tuple(options.survey_ring),
        counts_per_electron=options.counts_per_electron,
        electrons=options.electrons,
        exposure_s=options.exposure,
        seed=plan.random_seed,
    )
