"""Where the session files of a Swift project are."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib

from nion.swift import DocumentController

from dkl_ae.records import UserError
from dkl_ae.session import SUFFIX, open_session

_LOOKED_AT = 5
"""Of the latest sessions, so many are looked at for one that can go on."""


def sessions_folder(window: DocumentController.DocumentController) -> pathlib.Path:
    """Beside the project; of a project without a file, in the user's home."""
    project = pathlib.Path(window.project.storage_location_str)
    if project.suffix == ".nsproj":
        return project.with_name(f"{project.stem} Sessions")
    return pathlib.Path.home() / "Automated Experiment Sessions"


def new_session_file(
    window: DocumentController.DocumentController, scalarizer: str, start: datetime.datetime
) -> pathlib.Path:
    """A name that no session has yet."""
    first = sessions_folder(window) / f"{start:%Y-%m-%d %H.%M.%S} {scalarizer}{SUFFIX}"
    file, number = first, 1
    while file.exists():
        number += 1
        file = first.with_stem(f"{first.stem} {number}")
    return file


@dataclasses.dataclass(frozen=True)
class Unfinished:
    """A session that can go on."""

    file: pathlib.Path
    measured: int
    points: int
    title: str


def last_unfinished(window: DocumentController.DocumentController) -> Unfinished | None:
    """The latest session of the project, if its run has points left."""
    try:
        files = sorted(sessions_folder(window).glob(f"*{SUFFIX}"), key=lambda file: file.stat().st_mtime, reverse=True)
    except OSError:
        return None
    for file in files[:_LOOKED_AT]:
        try:
            with open_session(file) as session:
                if session.count < session.plan.search.points:
                    return Unfinished(file, session.count, session.plan.search.points, session.title)
        except UserError:
            continue  # Another's file, or a damaged one: reviewing it tells which.
        return None
    return None
