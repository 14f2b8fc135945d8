"""Disk space, reserved before HDF5 writes: when a write fails it loses track of the file, and closing it crashes."""

from __future__ import annotations

import os
import typing
from collections.abc import Iterable

from dkl_ae.experiment import Maps
from dkl_ae.run import Event, PointMeasured, ReferenceRepeated, RunResumed, StepCompleted
from dkl_ae.session.layout import MAPS

_AHEAD_BYTES: typing.Final = 2**20
"""More than all that is written for one event beside patterns and maps."""


def reserve_space(descriptor: int, end: int, events: Iterable[Event] = ()) -> None:
    """Make a file longer, where it does not reach far enough beyond the end of its content for events to be added.

    Raises OSError when the disk has no space for them.
    """
    length, needed = os.fstat(descriptor).st_size, end + sum(map(_max_bytes, events)) + _AHEAD_BYTES
    if length >= needed:
        return
    # Not anew for each event: a file that grows takes longer to be written.
    new_length = needed + _AHEAD_BYTES
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, length, new_length - length)
    else:
        os.ftruncate(descriptor, new_length)


def _max_bytes(event: Event) -> int:
    """Of an event's patterns and maps, before they are compressed."""
    match event:
        case PointMeasured(frame=frame, ends=ends):
            return frame.pattern.nbytes * (1 + len(ends))
        case StepCompleted(maps=Maps(prediction=image)) | RunResumed(maps=Maps(prediction=image)):
            return len(MAPS) * image.nbytes
        case ReferenceRepeated(repeated=repeated):
            return repeated.frame.pattern.nbytes
    return 0
