"""dkl-ae replay: the automated experiment on a recorded set."""

from __future__ import annotations

import argparse
import pathlib
import typing

from dkl_ae.commands.plan_options import add_plan_options, plan_from
from dkl_ae.commands.recorded_options import add_calibration, add_file
from dkl_ae.commands.terminal import Terminal, guarded
from dkl_ae.experiment import require_known
from dkl_ae.records import UserError
from dkl_ae.scalarizers import scalarizers_of
from dkl_ae.settings import Plan

if typing.TYPE_CHECKING:
    from dkl_ae.instruments import Replay


def add(commands: typing.Any) -> None:
    replay = commands.add_parser(
        "replay",
        help="the automated experiment on a recorded 4D-STEM set, into a session file",
        description="Measure a recorded 4D-STEM set as if it were a specimen: the model chooses which of its patterns "
        "are looked at.",
        # The --exposure of version 0.1 was in seconds: it must not pass for the beginning of --exposure-ms.
        allow_abbrev=False,
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
    add_plan_options(replay)
    add_calibration(replay)
    replay.set_defaults(run=run)


@guarded("Interrupted before the run began.")
def run(options: argparse.Namespace, terminal: Terminal) -> int:
    from dkl_ae.commands.run_on_terminal import carry_out
    from dkl_ae.session import About, SessionWriter

    _require_free(options)
    plan = plan_from(options, terminal)
    scalarizers = scalarizers_of(plan.objective)
    require_known(plan, scalarizers)
    replay = _replay(options, plan)
    with replay.opened(lambda done: terminal.show_progress(round(100 * done), "survey")) as instrument:
        session = SessionWriter(options.out, plan, scalarizers, About(options.file.name, replay.described()))
        return carry_out(instrument, plan, scalarizers, session, terminal)


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
        exposure_s=plan.exposure.exposure_ms / 1000,
        seed=plan.search.random_seed,
    )
