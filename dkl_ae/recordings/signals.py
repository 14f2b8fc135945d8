"""What RosettaSciIO reads: its signals as arrays, of which nothing is read before it is asked for."""

from __future__ import annotations

import contextlib
import importlib
import math
import pathlib
import typing
from collections.abc import Mapping, Sequence

from dkl_ae.recordings.arrays import Axis, StoredArray, is_image_or_more


def read_signals(reader: str, file: pathlib.Path, closing: contextlib.ExitStack) -> list[StoredArray]:
    """All arrays of two to four axes. reader: the name of a module of RosettaSciIO."""
    return _stored(importlib.import_module(reader).file_reader(str(file), lazy=True))


def read_velox(file: pathlib.Path, closing: contextlib.ExitStack) -> list[StoredArray]:
    """The images and stacks of images of a Velox file. closing: what closes the file."""
    from rsciio.emd import file_reader
    from rsciio.utils.file import get_file_handle

    signals = file_reader(str(file), lazy=True, select_type="images")
    for signal in signals:
        closing.callback(get_file_handle(signal["data"]).close)
    return _stored(signals)


def _stored(signals: Sequence[Mapping[str, typing.Any]]) -> list[StoredArray]:
    return [_of_signal(signal) for signal in signals if is_image_or_more(signal["data"])]


def _of_signal(signal: Mapping[str, typing.Any]) -> StoredArray:
    axes = axes_of_signal(signal)
    return StoredArray(
        str(_item(signal["metadata"], "General.title") or ""),
        signal["data"],
        axes if len(axes) == signal["data"].ndim else (),
        beam_energy_kev=_beam_energy_kev(signal),
    )


def axes_of_signal(signal: Mapping[str, typing.Any]) -> tuple[Axis, ...]:
    """In the order of the data."""
    described = sorted(signal["axes"], key=lambda axis: axis.get("index_in_array", 0))
    return tuple(Axis(float(axis.get("scale", math.nan)), axis["units"] or "", axis["navigate"]) for axis in described)


def _beam_energy_kev(signal: Mapping[str, typing.Any]) -> float:
    """Of a transmission or a scanning microscope, told or to be converted from where the format keeps it."""
    for source, (target, convert) in signal.get("mapping", {}).items():
        found = _item(signal["original_metadata"], source)
        if target.endswith(".beam_energy") and found is not None:
            return float(convert(found) if convert else found)
    beam_energy = _item(signal["metadata"], "Acquisition_instrument.TEM.beam_energy")
    return math.nan if beam_energy is None else float(beam_energy)


def _item(metadata: typing.Any, path: str) -> typing.Any:
    """What nested mappings have at a path such as General.title, or None."""
    for name in path.split("."):
        if not isinstance(metadata, Mapping):
            return None
        metadata = metadata.get(name)
    return metadata
