"""dkl-ae resume: a run on a recorded set goes on where it was left."""

from __future__ import annotations

import argparse
import typing

from dkl_ae.commands.terminal import Terminal, guarded, named_file
from dkl_ae.records import UserError


def add(commands: typing.Any) -> None:
    resume = commands.add_parser(
        "resume",
        help="go on with a run of dkl-ae replay that was stopped or broken off",
        description="Go on with a saved session where it was left, as if it had never stopped. A session of Swift goes "
        "on in Swift's panel.",
    )
    resume.add_argument("file", type=named_file, metavar="FILE", help="saved session (.h5)")
    resume.add_argument("--recording", type=named_file, metavar="FILE", help="where the recorded set is now")
    resume.add_argument("--survey", type=named_file, metavar="FILE", help="where its survey is now")
    resume.set_defaults(run=run)


@guarded("Interrupted before the run went on.")
def run(options: argparse.Namespace, terminal: Terminal) -> int:
    import numpy

    from dkl_ae.commands.run_on_terminal import carry_out
    from dkl_ae.instruments import replay_of
    from dkl_ae.session import open_session, take_up

    with open_session(options.file) as session:
        replay = replay_of(session.instrument, session.file.name, options.recording, options.survey)
        survey = session.survey
    with replay.opened(lambda done: terminal.show_progress(round(100 * done), "survey")) as instrument:
        if not numpy.array_equal(instrument.acquire_survey().image, survey.image):
            raise UserError(
                f"{replay.file} is not what the run was measured on, for its survey differs: name another with "
                "--recording."
            )
        interrupted, scalarizers, writer = take_up(options.file)
        terminal.say(
            f"{len(interrupted.measurements)} of {interrupted.plan.search.points} points are measured already."
        )
        return carry_out(instrument, interrupted.plan, scalarizers, writer, terminal, interrupted)
