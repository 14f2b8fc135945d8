"""dkl-ae replay: the automated experiment on a recorded set."""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import typing

from dkl_ae.commands.plan_options import add_plan_options, plan_from
from dkl_ae.commands.recorded_options import add_calibration, add_file
from dkl_ae.commands.terminal import Terminal, add_overwrite, guarded, named_file
from dkl_ae.experiment import require_known
from dkl_ae.outputs import require_place
from dkl_ae.recordings import files_of
from dkl_ae.scalarizers import scalarizers_of
from dkl_ae.settings import SETTINGS, Plan, values_of

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
        "--out", type=named_file, default=pathlib.Path("session.h5"), metavar="FILE", help="(default: session.h5)"
    )
    add_overwrite(replay)
    add_plan_options(replay)
    add_calibration(replay)
    replay.set_defaults(run=run)


@guarded("Interrupted before the run began.")
def run(options: argparse.Namespace, terminal: Terminal) -> int:
    from dkl_ae.commands.run_on_terminal import carry_out
    from dkl_ae.session import About, SessionWriter

    plan = plan_from(options, terminal)
    inputs = [*files_of(options.file), options.survey, *_files_of(plan)]
    require_place(options.out, inputs, overwrite=options.overwrite)
    scalarizers = scalarizers_of(plan.objective)
    require_known(plan, scalarizers)
    replay = _replay(options, plan)
    about = About(options.file.name, replay.described())
    out = options.out.resolve() if options.out.is_symlink() else options.out
    with (
        contextlib.closing(SessionWriter(out, plan, scalarizers, about)) as session,
        replay.opened(lambda done: terminal.show_progress(round(100 * done), "survey")) as instrument,
    ):
        return carry_out(instrument, plan, scalarizers, session, terminal)


def _files_of(plan: Plan) -> list[pathlib.Path]:
    values = values_of(plan)
    return [pathlib.Path(str(values[key])) for key, known in SETTINGS.items() if known.is_file and values[key]]


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
