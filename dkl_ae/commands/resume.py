"""dkl-ae resume: a run on a recorded set goes on where it was left."""

from __future__ import annotations

import argparse
import pathlib
import typing

from dkl_ae.commands.terminal import Terminal, guarded, named_file
from dkl_ae.records import UserError

if typing.TYPE_CHECKING:
    from dkl_ae.session import UnconfirmedFileError


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
    resume.add_argument(
        "--confirm",
        metavar="SHA256",
        help="of the file of custom scalarizers that the session names: it is run only if it is this one",
    )
    resume.set_defaults(run=run)


@guarded("Interrupted before the run went on.")
def run(options: argparse.Namespace, terminal: Terminal) -> int:
    import numpy

    from dkl_ae.commands.run_on_terminal import carry_out
    from dkl_ae.instruments import replay_of
    from dkl_ae.session import UnconfirmedFileError, open_session, require_resumable, take_up

    confirmed = {options.confirm} if options.confirm else set()
    with open_session(options.file) as session:
        try:
            require_resumable(session, confirmed)
        except UnconfirmedFileError as error:
            raise UserError(_to_confirm(options.file, error)) from error
        replay = replay_of(session.instrument, session.file.name, options.recording, options.survey)
        survey = session.survey
    with replay.opened(lambda done: terminal.show_progress(round(100 * done), "survey")) as instrument:
        if not numpy.array_equal(instrument.acquire_survey().image, survey.image):
            raise UserError(
                f"{replay.file} is not what the run was measured on, for its survey differs: name another with "
                "--recording."
            )
        interrupted, scalarizers, writer = take_up(options.file, confirmed)
        terminal.say(
            f"{len(interrupted.measurements)} of {interrupted.plan.search.points} points are measured already."
        )
        return carry_out(instrument, interrupted.plan, scalarizers, writer, terminal, interrupted)


def _to_confirm(session: pathlib.Path, error: UnconfirmedFileError) -> str:
    return (
        f"{session.name} runs {error.file}: read that file, and if you trust it type "
        f'dkl-ae resume "{session}" --confirm {error.sha256}'
    )
