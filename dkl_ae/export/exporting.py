"""Writes a saved session in another format."""

from __future__ import annotations

import dataclasses
import pathlib
import typing
from collections.abc import Callable, Mapping

from dkl_ae.export.content import Content, content_of
from dkl_ae.export.csv_folder import write_csv
from dkl_ae.export.emd_file import write_emd
from dkl_ae.export.hyperspy_file import write_hyperspy
from dkl_ae.export.nexus_file import write_nexus
from dkl_ae.outputs import finished_file, finished_folder, require_place
from dkl_ae.session import open_session


@dataclasses.dataclass(frozen=True)
class Format:
    """One format that sessions are exported to."""

    write: Callable[[Content, pathlib.Path], None]
    suffix: str
    """Of the file; or, of a folder, the end of its name."""
    is_folder: bool = False


FORMATS: typing.Final[Mapping[str, Format]] = {
    "hspy": Format(write_hyperspy, ".hspy"),
    "emd": Format(write_emd, ".emd"),
    "nexus": Format(write_nexus, ".nxs"),
    "csv": Format(write_csv, "-csv", is_folder=True),
}


def export_session(
    file: pathlib.Path, to: str, out: pathlib.Path | None = None, *, overwrite: bool = False
) -> tuple[pathlib.Path, tuple[str, ...]]:
    """Write what a saved session holds in another format, whole or not at all; the session stays as it is.

    to: one of FORMATS.
    out: file, or folder for csv; where it is None, beside the session and named like it.
    overwrite: whether an earlier file may be replaced; a folder must not be there yet.

    Returns what was written, and a sentence for each thing that the session has lost.

    Raises UserError, one sentence, for a session that cannot be read or holds no measurement, and for a place that is
    taken; OSError when it cannot be written.
    """
    chosen = FORMATS[to]
    out = out or file.parent / f"{file.stem}{chosen.suffix}"
    require_place(out, [file], overwrite=overwrite)
    with open_session(file) as session:
        content = content_of(session)
        place = finished_folder(out) if chosen.is_folder else finished_file(out, [file], overwrite=overwrite)
        with place as unfinished:
            chosen.write(content, unfinished)
        return out, session.losses
