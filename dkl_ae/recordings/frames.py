"""Files of cameras that write frame after frame: Merlin, EMPAD, and the blockfiles of ASTAR."""

from __future__ import annotations

import contextlib
import math
import pathlib
import re
import typing

import numpy

from dkl_ae.recordings.arrays import Axis, StoredArray
from dkl_ae.recordings.signals import axes_of_signal

_EMPAD_FRAME: typing.Final = numpy.dtype([("data", "<f4", (128, 128)), ("footer", "<f4", (2, 128))])
_BLOCKFILE_HEADER: typing.Final = numpy.dtype(
    [
        ("ID", "S6"),
        ("MAGIC", "<u2"),
        ("Data_offset_1", "<u4"),
        ("Data_offset_2", "<u4"),
        ("UNKNOWN1", "<u4"),
        ("DP_SZ", "<u2"),
        ("DP_rotation", "<u2"),
        ("NX", "<u2"),
        ("NY", "<u2"),
        ("Scan_rotation", "<u2"),
        ("SX", "<f8"),
        ("SY", "<f8"),
        ("Beam_energy", "<u4"),
    ]
)


def read_merlin(file: pathlib.Path, closing: contextlib.ExitStack) -> list[StoredArray]:
    from rsciio.quantumdetector import load_mib_data

    _require_start(file, "MQ1")
    frames = load_mib_data(str(file), mmap_mode="r")
    if frames.strides[0] * len(frames) != file.stat().st_size:
        raise ValueError("the last pattern is cut off")
    # Merlin counts rows from below.
    return [StoredArray(file.stem, frames[:, ::-1], scan_shape=_merlin_scan(file.with_suffix(".hdr")))]


def _merlin_scan(header: pathlib.Path) -> tuple[int, int] | None:
    """As the header file beside the patterns tells it, if there is one and it does."""
    if not header.exists():
        return None
    entries = dict(re.findall(r"^([^\t\n:]+):?\t(\d+)\s*$", header.read_text(errors="replace"), re.MULTILINE))
    if "ScanX" in entries and "ScanY" in entries:
        return int(entries["ScanY"]), int(entries["ScanX"])
    frames, width = (int(entries.get(f"Frames {of} (Number)", 0)) for of in ("in Acquisition", "per Trigger"))
    return (frames // width, width) if frames >= width > 1 else None


def read_empad(file: pathlib.Path, closing: contextlib.ExitStack) -> list[StoredArray]:
    """The patterns, or the description beside them, which names their file."""
    described = _empad_description(file)
    if described is None:
        frames = numpy.memmap(file, _EMPAD_FRAME, "r")["data"]
        return [StoredArray(file.stem, frames, scan_shape=_empad_scan(file))]
    raw, axes, shape = described
    return [StoredArray(raw.stem, numpy.memmap(raw, _EMPAD_FRAME, "r")["data"].reshape(shape), axes)]


def empad_patterns(file: pathlib.Path) -> pathlib.Path | None:
    """The file of the patterns that a description names; None where there is no description."""
    described = _empad_description(file)
    return described and described[0]


def _empad_description(file: pathlib.Path) -> tuple[pathlib.Path, tuple[Axis, ...], tuple[int, ...]] | None:
    """The file of the patterns, with its axes and shape; None where no description is beside it."""
    from rsciio.empad import file_reader

    for description in [file] if file.suffix.lower() == ".xml" else sorted(file.parent.glob("*.xml")):
        try:
            (signal,) = file_reader(str(description), lazy=True)
            raw = file.parent / signal["original_metadata"]["root"]["raw_file"]["filename"]
        except Exception:
            if description == file:
                raise
            # Another program's, which happens to lie beside the patterns.
            continue
        if file in (raw, description):
            return raw, axes_of_signal(signal), tuple(int(axis["size"]) for axis in signal["axes"])
    return None


def _empad_scan(raw: pathlib.Path) -> tuple[int, int] | None:
    """As the camera's program tells it in the name of the file."""
    match = re.search(r"_x(\d+)_y(\d+)$", raw.stem)
    return (int(match[2]), int(match[1])) if match else None


def read_blockfile(file: pathlib.Path, closing: contextlib.ExitStack) -> list[StoredArray]:
    _require_start(file, "IMGBLO")
    (header,) = numpy.fromfile(file, _BLOCKFILE_HEADER, 1)
    side, scan_shape = int(header["DP_SZ"]), (int(header["NY"]), int(header["NX"]))
    frame = numpy.dtype([("header", "u1", 6), ("data", "u1", (side, side))])
    data = numpy.memmap(file, frame, "r", int(header["Data_offset_2"]), scan_shape)["data"]
    scan = (Axis(float(header[step]) or math.nan, "nm") for step in ("SY", "SX"))
    # Detector pixels are in cm on a screen: no angle.
    return [
        StoredArray(
            file.stem, data, (*scan, Axis(), Axis()), beam_energy_kev=float(header["Beam_energy"]) / 1e3 or math.nan
        )
    ]


def _require_start(file: pathlib.Path, start: str) -> None:
    """Readers that take any file for theirs would go by numbers that mean nothing."""
    with file.open("rb") as raw:
        if raw.read(len(start)) != start.encode():
            raise ValueError(f"it does not start with {start}")
