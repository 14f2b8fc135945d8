"""Recorded 4D-STEM data: a pattern at every pixel of a scan, and the survey image of the same scan.

A recording is read a pattern at a time, so it may be larger than memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import pathlib
import typing
from collections.abc import Callable, Iterable, Sequence

import numpy

from dkl_ae.recordings.arrays import StoredArray, StoredPatterns
from dkl_ae.recordings.files import read_arrays, reason_of
from dkl_ae.records import FloatArray, NumberArray, UserError

SURVEY_NAMES: typing.Final = ("survey", "haadf", "adf", "maadf", "annular_dark_field", "dark_field")
"""Of an image in the same file, or the beginning of its name, in order of preference."""
VACUUM_NAMES: typing.Final = ("vacuum",)
_SIZE_TOLERANCE: typing.Final = 0.01
"""Scan pixels whose sides differ by a smaller part are square."""


@dataclasses.dataclass(frozen=True, eq=False)
class Recording:
    """One recorded scan. Raises UserError, one sentence, for what does not fit together."""

    name: str
    stored_patterns: typing.Any
    """Shape (H, W, ky, kx), of which only what is asked for is read: an array, or StoredPatterns of a file."""
    survey: FloatArray | None
    """Shape (H, W); None where none was asked for and there is none."""
    nm_per_pixel: float
    """Of the scan."""
    mrad_per_pixel: tuple[float, float]
    """Of the detector, along ky and kx."""
    square_root_scale: float | None = None
    """None where counts are stored. Where a simulation without noise is stored as the square root of the fraction of
    the beam in each pixel, what to multiply that root by."""
    vacuum: FloatArray | None = None
    """The pattern without a specimen, shape (ky, kx), in the same unit as the others; None where there is none."""
    release: Callable[[], None] = lambda: None
    """Lets go of the file."""

    def __post_init__(self) -> None:
        shape = tuple(self.stored_patterns.shape)
        if len(shape) != 4 or 0 in shape:
            raise UserError(
                f"The patterns of {self.name} have the shape {shape}: choose data with two scan and two detector axes."
            )
        if self.survey is not None and self.survey.shape != shape[:2]:
            raise UserError(
                f"The survey of {self.name} has the shape {self.survey.shape} but its scan {shape[:2]}: choose the "
                "survey of the same scan."
            )
        for label, value in (("scan pixel", self.nm_per_pixel), ("detector pixel", min(self.mrad_per_pixel))):
            if not 0 < value < math.inf:
                raise UserError(f"The {label} of {self.name} is {value:g}: give a positive size.")

    @property
    def scan_shape(self) -> tuple[int, int]:
        height, width = self.stored_patterns.shape[:2]
        return int(height), int(width)

    @property
    def detector_shape(self) -> tuple[int, int]:
        height, width = self.stored_patterns.shape[2:]
        return int(height), int(width)

    @property
    def is_noise_free(self) -> bool:
        """Whether patterns are fractions of the beam rather than counts."""
        return self.square_root_scale is not None

    def pattern(self, row: int, column: int) -> FloatArray:
        """Counts, or fractions of the beam, shape (ky, kx)."""
        stored = numpy.asarray(self.stored_patterns[row, column], numpy.float64)
        if self.square_root_scale is None:
            return stored
        return (stored * self.square_root_scale) ** 2

    def counts(self, rows: slice, columns: slice, electrons: float) -> NumberArray:
        """Patterns of a part of the scan, row by row, shape (n, ky, kx), in counts as they are stored.

        electrons: of a pattern, where a simulation without noise tells fractions only.
        """
        stored = numpy.asarray(self.stored_patterns[rows, columns]).reshape(-1, *self.detector_shape)
        if self.square_root_scale is None:
            return stored
        return (stored * math.sqrt(electrons) * self.square_root_scale) ** 2

    def close(self) -> None:
        """Let go of the file; the recording cannot be read afterwards."""
        self.release()


def open_recording(
    file: pathlib.Path,
    survey_file: pathlib.Path | None = None,
    *,
    scan_shape: tuple[int, int] | None = None,
    nm_per_pixel: float | None = None,
    mrad_per_pixel: float | None = None,
    beam_energy_kev: float | None = None,
    require_survey: bool = True,
) -> Recording:
    """Open a recorded 4D-STEM set without reading its patterns.

    HyperSpy (.hspy, .zspy), Gatan (.dm3, .dm4), EMD of HyperSpy, py4DSTEM and Velox (.emd, .h5), Merlin (.mib), EMPAD
    (.raw, .xml), ASTAR (.blo), Swift (.h5, .ndata), other HDF5 (.h5, .hdf5), NumPy (.npy), and what else RosettaSciIO
    reads. The patterns are the largest array of four axes, or, where there is none, of three; the survey is an image
    of the scan's shape that is named as in SURVEY_NAMES.

    survey_file: in any of these formats; its survey is taken, or its only image.
    scan_shape: rows and columns, where the patterns are a stack and the file does not tell how they were scanned.
    nm_per_pixel, mrad_per_pixel: of scan and detector, where the file does not tell, or tells something wrong.
    beam_energy_kev: makes angles of what the file tells of the detector in 1/nm.
    require_survey: whether a recording without a survey is of no use.

    Raises UserError, one sentence, for a file that cannot be used.
    """
    with contextlib.ExitStack() as closing:
        arrays = read_arrays(file, closing)
        stored = _largest(file, arrays)
        patterns = StoredPatterns(stored.data, stored.order, _scan_shape(file, stored, scan_shape))
        survey = _named(arrays, SURVEY_NAMES, patterns.scan_shape) if survey_file is None else _read_survey(survey_file)
        if survey is None and require_survey:
            raise UserError(
                f"{file.name} has no survey of its scan, {' x '.join(map(str, patterns.scan_shape))} pixels: give a "
                "survey file too."
            )
        if beam_energy_kev is None:
            beam_energy_kev = stored.beam_energy_kev
        elif not 0 < beam_energy_kev < math.inf:
            raise UserError(f"The beam energy is {beam_energy_kev:g} keV: give a positive number.")
        recording = Recording(
            file.name,
            patterns,
            survey,
            _nm_per_pixel(file, stored) if nm_per_pixel is None else nm_per_pixel,
            _mrad_per_pixel(file, stored, beam_energy_kev) if mrad_per_pixel is None else (mrad_per_pixel,) * 2,
            stored.square_root_scale,
            _named(arrays, VACUUM_NAMES, patterns.shape[2:]),
        )
        _require_whole(file, recording)
        return dataclasses.replace(recording, release=closing.pop_all().close)


def _largest(file: pathlib.Path, arrays: Sequence[StoredArray]) -> StoredArray:
    for dimensions in (4, 3):
        found = [array for array in arrays if len(array.shape) == dimensions]
        if found:
            return max(found, key=lambda array: math.prod(array.shape))
    raise UserError(f"{file.name} has no four-dimensional array: choose a recorded 4D-STEM set.")


def _scan_shape(file: pathlib.Path, stored: StoredArray, given: tuple[int, int] | None) -> tuple[int, int]:
    leading = tuple(stored.shape[axis] for axis in stored.order[:-2])
    if len(leading) == 2:
        if given not in (None, leading):
            raise UserError(
                f"The scan of {file.name} is {leading[0]} x {leading[1]} pixels, not {given[0]} x {given[1]}: leave "
                "the scan shape out."
            )
        return leading
    shape = given or stored.scan_shape
    if shape is None:
        raise UserError(
            f"{file.name} is a stack of {leading[0]:,} patterns and does not tell the shape of their scan: give it "
            "(--scan-shape ROWS COLUMNS)."
        )
    if min(shape) < 1 or math.prod(shape) != leading[0]:
        raise UserError(
            f"{file.name} has {leading[0]:,} patterns but its scan {shape[0]} x {shape[1]} pixels: give a shape of as "
            "many (--scan-shape ROWS COLUMNS)."
        )
    return shape


def _nm_per_pixel(file: pathlib.Path, stored: StoredArray) -> float:
    sides = [stored.axis(axis).nm for axis in stored.order[:-2]]
    if math.isnan(sides[-1]):
        raise UserError(f"{file.name} does not tell the size of a scan pixel in nm: give it (--nm-per-pixel).")
    if abs(sides[0] - sides[-1]) > _SIZE_TOLERANCE * sides[-1]:
        raise UserError(
            f"The scan pixels of {file.name} are {sides[0]:g} x {sides[-1]:g} nm, not square: give one size for both "
            "sides (--nm-per-pixel)."
        )
    return sides[-1]


def _mrad_per_pixel(file: pathlib.Path, stored: StoredArray, beam_energy_kev: float) -> tuple[float, float]:
    detector = [stored.axis(axis) for axis in stored.order[-2:]]
    ky, kx = (axis.mrad(beam_energy_kev) for axis in detector)
    if any(axis.is_reciprocal for axis in detector) and math.isnan(beam_energy_kev):
        raise UserError(
            f"{file.name} tells the size of a detector pixel in {detector[0].units} but no beam energy in keV: give it "
            "(--beam-energy-kev)."
        )
    if math.isnan(ky) or math.isnan(kx):
        raise UserError(f"{file.name} does not tell the size of a detector pixel in mrad: give it (--mrad-per-pixel).")
    return ky, kx


def _named(arrays: Iterable[StoredArray], names: Sequence[str], shape: tuple[int, ...] | None) -> FloatArray | None:
    images = [array for array in arrays if len(array.shape) == 2]
    for name in names:
        for image in images:
            called = image.name.lower().replace(" ", "_")
            if called == name or called.startswith(f"{name}_"):
                found = image.read().astype(numpy.float64)
                if shape in (None, found.shape):
                    return found
    return None


def _read_survey(file: pathlib.Path) -> FloatArray:
    with contextlib.ExitStack() as closing:
        arrays = read_arrays(file, closing)
        images = [array for array in arrays if len(array.shape) == 2]
        if not images:
            axes = " or ".join(sorted({str(len(array.shape)) for array in arrays}))
            raise UserError(f"{file.name} has {axes or 'no'} axes: choose an image.")
        found = _named(images, SURVEY_NAMES, None)
        if found is None and len(images) == 1:
            found = images[0].read().astype(numpy.float64)
    if found is None:
        raise UserError(f"{file.name} has no image named {', '.join(SURVEY_NAMES)}: choose another survey file.")
    return found


def _require_whole(file: pathlib.Path, recording: Recording) -> None:
    """Before hours of work, not after: readers believe what a file says of its length until its end is asked for."""
    try:
        recording.pattern(-1, -1)
    except Exception as error:
        raise UserError(
            f"The last pattern of {file} cannot be read ({reason_of(error)}): copy the file again, or choose another."
        ) from error
