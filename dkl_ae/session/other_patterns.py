"""Room in a session file for patterns that are not like its first: none that was measured is changed to fit.

A wider type makes the datasets wider. What no type can hold together with the others, or is of another size, stands
beside them.
"""

from __future__ import annotations

import pathlib
import shutil
import typing
from collections.abc import Iterator, Sequence

import h5py
import numpy

from dkl_ae.records import NumberArray
from dkl_ae.run import Event, PointMeasured, ReferenceRepeated
from dkl_ae.session.layout import FORMAT_OF_1_10, REPEATED_PATTERNS

_GROUP: typing.Final = "other_patterns"
_STACKS: typing.Final = ("patterns", "cross_ends/patterns", REPEATED_PATTERNS)
"""Datasets of patterns, which are all of one type; a file of before runs repeated any has not the last."""
_EXACT: typing.Final = 2**53
"""Up to here whole numbers have a double of their own."""
_SPARE_BYTES: typing.Final = 2**25


def name_beside(measurement: int, end: int | None = None) -> str:
    """Where a pattern stands that the others' dataset does not hold.

    measurement: from 0.
    end: of the cross, from 0; None for its centre.
    """
    return f"{_GROUP}/{measurement}" if end is None else f"{_GROUP}/{measurement} end {end}"


def name_beside_repeated(number: int) -> str:
    """Likewise, of a repeated exposure of the reference, from 1."""
    return f"{_GROUP}/repeated {number}"


def can_hold(dataset: h5py.Dataset, pattern: NumberArray) -> bool:
    """Whether a dataset of patterns can hold one as it is."""
    return pattern.shape == dataset.shape[-2:] and _is_exact(pattern, dataset.dtype)


def need_room(opened: h5py.File, events: Sequence[Event]) -> bool:
    """Whether some pattern of these events has no place in the file yet."""
    return any(not can_hold(opened["patterns"], pattern) and name not in opened for name, pattern in _patterns(events))


def make_room(file: pathlib.Path, events: Sequence[Event]) -> None:
    """Give each pattern of these events its place in a file that nobody else has open, and write what stands beside.

    Raises OSError when the disk has no space for it.
    """
    with h5py.File(file, "r+", libver=FORMAT_OF_1_10) as opened:
        stored = opened["patterns"]
        alike = [pattern.dtype for _, pattern in _patterns(events) if pattern.shape == stored.shape[1:]]
        wider = numpy.result_type(stored.dtype, *alike) if alike else stored.dtype
        if not all(numpy.can_cast(dtype, stored.dtype) for dtype in alike):
            names = [name for name in _STACKS if name in opened]
            growth = wider.itemsize / stored.dtype.itemsize
            needed = sum(opened[name].id.get_storage_size() for name in names) * growth + _SPARE_BYTES
            # HDF5 crashes on closing a file that it could not write.
            if shutil.disk_usage(file.parent).free < needed:
                raise OSError("no space left on the disk")
            for name in names:
                _widen(opened, name, wider)
        for name, pattern in _patterns(events):
            if not can_hold(opened["patterns"], pattern) and name not in opened:
                _write_beside(opened, name, pattern)


def _patterns(events: Sequence[Event]) -> Iterator[tuple[str, NumberArray]]:
    """Every pattern of events, with its name beside the others."""
    for event in events:
        if isinstance(event, PointMeasured):
            yield name_beside(event.number - 1), event.frame.pattern
            for end, frame in enumerate(event.ends):
                yield name_beside(event.number - 1, end), frame.pattern
        elif isinstance(event, ReferenceRepeated):
            yield name_beside_repeated(event.repeated.number), event.repeated.frame.pattern


def _widen(opened: h5py.File, name: str, dtype: numpy.dtype[typing.Any]) -> None:
    old, waiting = opened[name], f"{name} wider"
    new = opened.create_dataset(
        waiting,
        old.shape,
        dtype,
        maxshape=old.maxshape,
        chunks=old.chunks,
        compression=old.compression,
        compression_opts=old.compression_opts,
        shuffle=old.shuffle,
    )
    new.attrs.update(old.attrs)
    for index in range(len(old)):
        images = old[index]
        new[index] = images.astype(dtype)
        if not _is_exact(images, dtype):
            for beside, image in _each(opened, name, index, images):
                if beside not in opened:
                    _write_beside(opened, beside, image)
    del opened[name]
    opened.move(waiting, name)


def _each(opened: h5py.File, stack: str, index: int, images: NumberArray) -> list[tuple[str, NumberArray]]:
    """The pattern of a stack's row, or those of a cross's ends."""
    if stack == "patterns":
        return [(name_beside(index), images)]
    if stack == REPEATED_PATTERNS:
        return [(name_beside_repeated(index + 1), images)]
    measurement = int(opened["cross_ends/measurement"][index])
    return [(name_beside(measurement, end), image) for end, image in enumerate(images)]


def _write_beside(opened: h5py.File, name: str, pattern: NumberArray) -> None:
    opened.create_dataset(name, data=pattern, compression="gzip", shuffle=True).attrs["units"] = "counts"


def _is_exact(images: NumberArray, dtype: numpy.dtype[typing.Any]) -> bool:
    if images.dtype.kind in "iu" and images.dtype.itemsize == 8 and dtype.kind == "f":
        return bool(((images <= _EXACT) & (images >= -_EXACT)).all())
    return numpy.can_cast(images.dtype, dtype)
