"""Arrays as files of any format hold them: what their axes mean, and how a part of them is read without the rest."""

from __future__ import annotations

import dataclasses
import math
import re
import threading
import typing
import unicodedata

import numpy
import numpy.typing

from dkl_ae.records import NumberArray, wavelength_angstrom

_NM_PER_UNIT: typing.Final = {
    "m": 1e9,
    "um": 1e3,
    "\u03bcm": 1e3,
    "nm": 1.0,
    "A": 0.1,
    "Å": 0.1,
    "angstrom": 0.1,
    "Angstrom": 0.1,
    "pm": 1e-3,
}
_MRAD_PER_UNIT: typing.Final = {"rad": 1e3, "mrad": 1.0}
_ALL: typing.Final = slice(None)


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis of an array, as far as its file tells."""

    scale: float = math.nan
    """Units between neighbouring pixels."""
    units: str = ""
    is_scan: bool | None = None
    """Whether it is of the scan rather than of the detector; None where the file does not tell."""

    @property
    def nm(self) -> float:
        """Length of a pixel in nm; NaN where the units are no length."""
        return abs(self.scale) * _NM_PER_UNIT.get(_plain(self.units), math.nan)

    @property
    def is_length(self) -> bool:
        return _plain(self.units) in _NM_PER_UNIT

    @property
    def is_reciprocal(self) -> bool:
        """Whether its units are those of a spatial frequency, which is an angle only with the wavelength."""
        return _plain(self.units).removeprefix("1/") in _NM_PER_UNIT and not self.is_length

    @property
    def is_angle(self) -> bool:
        return _plain(self.units) in _MRAD_PER_UNIT

    def mrad(self, beam_energy_kev: float) -> float:
        """Angle of a pixel in mrad; NaN where the units are none, or the energy is needed and is NaN."""
        if self.is_reciprocal and not math.isnan(beam_energy_kev):
            per_nm = abs(self.scale) / _NM_PER_UNIT[_plain(self.units).removeprefix("1/")]
            return 1e3 * per_nm * wavelength_angstrom(1e3 * beam_energy_kev) / 10
        return abs(self.scale) * _MRAD_PER_UNIT.get(_plain(self.units), math.nan)


def _plain(units: str) -> str:
    """One spelling of a unit: 1/nm for nm^-1, 1 / nm, [1_/_n_m] and what else there is."""
    characters = unicodedata.normalize("NFKC", units).replace("\u2212", "-")
    return re.sub(r"^(.+?)(\^|\*\*)?-1$", r"1/\1", re.sub(r"[\s_()\[\]]", "", characters))


@dataclasses.dataclass(frozen=True, eq=False)
class StoredArray:
    """An array of two axes or more in a file."""

    name: str
    data: typing.Any
    """Has a shape, and gives its part when a tuple of slices is asked for: a memory map, a dataset, a Dask array."""
    axes: tuple[Axis, ...] = ()
    """As many as the data have, or none."""
    is_transposed: bool = False
    """Whether the axes are stored in the reverse order: the detector's x first."""
    scan_shape: tuple[int, int] | None = None
    """Of a stack of patterns, three axes, whose file tells how they were scanned."""
    beam_energy_kev: float = math.nan
    square_root_scale: float | None = None
    """See Recording."""

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(map(int, self.data.shape))

    @property
    def order(self) -> tuple[int, ...]:
        """Its axes in the order that is meant: slow ones first, and those of the scan before those of the detector."""
        axes = range(len(self.shape))
        if self.is_transposed:
            axes = axes[::-1]
        by_units = {axis: self._is_scan_by_units(axis) for axis in axes}
        by_flags = {axis: self.axis(axis).is_scan for axis in axes}
        for is_scan in (by_units, by_flags):
            scan, detector = ([axis for axis in axes if is_scan[axis] is wanted] for wanted in (True, False))
            if len(scan) == len(axes) - 2 and len(detector) == 2:
                return *scan, *detector
        return tuple(axes)

    def _is_scan_by_units(self, axis: int) -> bool | None:
        described = self.axis(axis)
        if described.is_length:
            return True
        return False if described.is_angle or described.is_reciprocal else None

    def axis(self, number: int) -> Axis:
        return self.axes[number] if self.axes else Axis()

    def read(self) -> NumberArray:
        """All of it, in the order that is meant."""
        return read_part(self.data, (_ALL,) * len(self.shape)).transpose(self.order)


def is_image_or_more(array: typing.Any) -> bool:
    """Whether there can be patterns or a survey in it: numbers along two to four axes."""
    return 2 <= array.ndim <= 4 and array.dtype.kind in "uif"


def read_part(data: typing.Any, part: tuple[slice, ...]) -> NumberArray:
    """A part of what StoredArray holds, in memory or in a memory map."""
    found = data[part]
    if hasattr(found, "compute"):
        # In this thread: whoever asks spreads the work over threads.
        found = found.compute(scheduler="synchronous")
    return numpy.asarray(found)


@dataclasses.dataclass(frozen=True, eq=False)
class StoredPatterns:
    """An array in a file as if it had the shape (H, W, ky, kx); of it, only what is asked for is read."""

    stored: typing.Any
    """Of three axes, a stack of patterns, or of four."""
    order: tuple[int, ...]
    """Of its axes: those of the scan, then ky and kx."""
    scan_shape: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        ky, kx = (int(self.stored.shape[axis]) for axis in self.order[-2:])
        return *self.scan_shape, ky, kx

    def __getitem__(self, place: tuple[int | slice, int | slice]) -> NumberArray:
        """The patterns at rows and columns of the scan, neighbours; a whole number takes its axis away, as in NumPy."""
        rows, columns = (_places(side, where) for side, where in zip(self.scan_shape, place, strict=True))
        if len(self.order) == 4:
            found = self._read(rows, columns)
        else:
            width = self.scan_shape[1]
            starts = (row * width for row in rows)
            found = numpy.stack([self._read(range(start + columns.start, start + columns.stop)) for start in starts])
        return found[tuple(slice(None) if isinstance(where, slice) else 0 for where in place)]

    def _read(self, *of_scan: range) -> NumberArray:
        part = [_ALL] * len(self.order)
        for axis, places in zip(self.order, of_scan, strict=False):
            part[axis] = slice(places.start, places.stop)
        return read_part(self.stored, tuple(part)).transpose(self.order)


def _places(side: int, where: int | slice) -> range:
    if isinstance(where, slice):
        return range(side)[where]
    place = range(side)[where]
    return range(place, place + 1)


class KeptChunk:
    """A compressed array of which the chunk that was read last is kept: neighbouring patterns mostly share it."""

    def __init__(self, stored: typing.Any) -> None:
        self.shape: tuple[int, ...] = stored.shape
        self._stored = stored
        self._lock = threading.Lock()
        self._box: tuple[slice, ...] = ()
        self._chunk: typing.Any = None

    def __getitem__(self, part: tuple[slice, ...]) -> NumberArray:
        lengths: tuple[int, ...] = self._stored.chunks
        box = tuple(_whole_chunks(along, length) for along, length in zip(part, lengths, strict=True))
        if any(whole != _ALL and whole.stop - whole.start > length for whole, length in zip(box, lengths, strict=True)):
            return numpy.asarray(self._stored[part])
        with self._lock:
            if box != self._box:
                self._chunk, self._box = numpy.asarray(self._stored[box]), box
            chunk: NumberArray = self._chunk
        return chunk[tuple(_inside(along, whole) for along, whole in zip(part, box, strict=True))]


def _whole_chunks(part: slice, length: int) -> slice:
    return part if part == _ALL else slice(part.start // length * length, math.ceil(part.stop / length) * length)


def _inside(part: slice, whole: slice) -> slice:
    return part if part == _ALL else slice(part.start - whole.start, part.stop - whole.start)
