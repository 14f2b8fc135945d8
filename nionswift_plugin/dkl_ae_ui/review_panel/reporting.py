"""The report of a session, written in a thread of its own."""

from __future__ import annotations

import logging
import pathlib

from dkl_ae.records import UserError, described
from dkl_ae.session import open_session

logger = logging.getLogger(__name__)


def report(file: pathlib.Path, folder: pathlib.Path) -> str:
    """Write the report of a session into a folder; says in one sentence what came of it."""
    # matplotlib takes a second to import, and is needed only here.
    from dkl_ae.reports import write_report

    try:
        # Not the panel's session, which may be closed meanwhile.
        with open_session(file) as session:
            page = write_report(session, folder, overwrite=True)
    except (OSError, UserError) as error:
        return f"The report cannot be written into {folder} ({error}): choose another folder."
    except Exception as error:
        logger.exception("The report of %s failed.", file)
        return f"The report of {file.name} failed ({described(error)}): see the log."
    return f"The report is {page}: open it with a browser."
