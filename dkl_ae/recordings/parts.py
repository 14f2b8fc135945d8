"""Of which files a recording is read."""

from __future__ import annotations

import contextlib
import pathlib

from dkl_ae.recordings.frames import empad_patterns


def files_of(recording: pathlib.Path) -> tuple[pathlib.Path, ...]:
    """The file that is named, and those beside it that are read with it."""
    suffix = recording.suffix.lower()
    if suffix == ".mib":
        return recording, recording.with_suffix(".hdr")
    if suffix not in (".raw", ".xml"):
        return (recording,)
    patterns = None
    # What cannot be read is told by who reads it.
    with contextlib.suppress(Exception):
        patterns = empad_patterns(recording)
    return recording, *([patterns] if patterns is not None else []), *sorted(recording.parent.glob("*.xml"))
