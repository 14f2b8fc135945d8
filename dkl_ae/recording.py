"""Recorded 4D-STEM data: a pattern at every pixel of a scan, and the survey image of the same scan.

A recording is read a pattern at a time, so it may be larger than memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import pathlib
import typing
from collections.abc import Sequence

import numpy
import numpy.typing

from dkl_ae.survey import FloatArray

NumberArray = numpy.typing.NDArray[numpy.number]

SURVEY_NAMES: typing.Final = ("survey", "haadf", "adf", "maadf")
"""Of a two-dimensional dataset in the same file, in order of preference."""
VACUUM_NAMES: typing.Final = ("vacuum",)
_MRAD_PER_UNIT: typing.Final = {"rad": 1e3, "mrad": 1.0}
_NM_PER_UNIT: typing.Final = {"nm": 1.0, "um": 1e3, "A": 0.1, "Å": 0.1, "pm": 1e-3}


@dataclasses.dataclass(frozen=True, eq=False)
class Recording:
    """One recorded scan. Raises ValueError, one sentence, for what does not fit together."""

    name: str
    stored_patterns: typing.Any
    """Shape (H, W, ky, kx): an array, a memory map or an HDF5 dataset, of which only what is asked for is read."""
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

    def __post_init__(self) -> None:
        shape = tuple(self.stored_patterns.shape)
        if len(shape) != 4 or 0 in shape:
            raise ValueError(
                f"The patterns of {self.name} have the shape {shape}: choose data with two scan and two detector axes."
            )
        if self.survey is not None and self.survey.shape != shape[:2]:
            raise ValueError(
                f"The survey of {self.name} has the shape {self.survey.shape} but its scan {shape[:2]}: choose the "
                "survey of the same scan."
            )
        for label, value in (("scan pixel", self.nm_per_pixel), ("detector pixel", min(self.mrad_per_pixel))):
            if not 0 < value < math.inf:
                raise ValueError(f"The {label} of {self.name} is {value:g}: give a positive size.")

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
        file = getattr(self.stored_patterns, "file", None)
        if file is not None:
            file.close()


@dataclasses.dataclass(frozen=True)
class _Calibration:
    """What a file says of its pixels; NaN where it says nothing."""

    nm_per_pixel: float = math.nan
    mrad_per_pixel: tuple[float, float] = (math.nan, math.nan)


def open_recording(
    file: pathlib.Path,
    survey_file: pathlib.Path | None = None,
    *,
    nm_per_pixel: float | None = None,
    mrad_per_pixel: float | None = None,
    require_survey: bool = True,
) -> Recording:
    """Open a recorded 4D-STEM set without reading its patterns.

    HDF5 files (.h5, .hdf5) hold the patterns in their largest four-dimensional dataset, and the survey in a
    two-dimensional one named as in SURVEY_NAMES; Swift's own .h5 files are among them. NumPy files (.npy) hold one
    array, and need a survey file beside them.

    survey_file: a .npy file, or an HDF5 file whose survey is taken; where it is not in the file of the patterns.
    nm_per_pixel, mrad_per_pixel: of scan and detector, where the file does not tell.
    require_survey: whether a recording without a survey is of no use.

    Raises ValueError, one sentence, for a file that cannot be used.
    """
    with contextlib.ExitStack() as on_error:
        if file.suffix == ".npy":
            patterns, calibration, scale, survey = _load(file, memory_map=True), _Calibration(), None, None
            vacuum = None
        else:
            opened = on_error.enter_context(_open_hdf5(file))
            patterns = _largest_4d(file, opened)
            calibration, scale = _calibration(opened, patterns), patterns.attrs.get("scale")
            survey = _survey(opened, patterns.shape[:2])
            vacuum = _named(opened, VACUUM_NAMES, patterns.shape[2:])
        if survey_file is not None:
            survey = _read_survey(survey_file)
        if survey is None and require_survey:
            raise ValueError(
                f"{file.name} has no survey of its scan, {' x '.join(map(str, patterns.shape[:2]))} pixels: give a "
                "survey file too."
            )
        if nm_per_pixel is not None:
            calibration = dataclasses.replace(calibration, nm_per_pixel=nm_per_pixel)
        if mrad_per_pixel is not None:
            calibration = dataclasses.replace(calibration, mrad_per_pixel=(mrad_per_pixel, mrad_per_pixel))
        for what, value in (
            ("scan pixel in nm", calibration.nm_per_pixel),
            ("detector pixel in mrad", calibration.mrad_per_pixel[0]),
        ):
            if math.isnan(value):
                raise ValueError(f"{file.name} does not tell the size of a {what}: give it.")
        recording = Recording(
            file.name,
            patterns,
            survey,
            calibration.nm_per_pixel,
            calibration.mrad_per_pixel,
            None if scale is None else float(scale),
            vacuum,
        )
        on_error.pop_all()
        return recording


def _open_hdf5(file: pathlib.Path) -> typing.Any:
    import h5py

    if not file.exists():
        raise ValueError(f"There is no file {file}: check its name.")
    try:
        return h5py.File(file, "r")
    except OSError as error:
        raise ValueError(f"{file} is not an HDF5 file that can be read: choose a .h5, .hdf5 or .npy file.") from error


def _load(file: pathlib.Path, *, memory_map: bool) -> typing.Any:
    if not file.exists():
        raise ValueError(f"There is no file {file}: check its name.")
    try:
        return numpy.load(file, mmap_mode="r" if memory_map else None, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} is not a NumPy file that can be read: choose a .h5, .hdf5 or .npy file.") from error


def _datasets(opened: typing.Any, dimensions: int) -> list[typing.Any]:
    import h5py

    found: list[typing.Any] = []

    def visit(_: str, item: typing.Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == dimensions and item.dtype.kind in "uif":
            found.append(item)

    opened.visititems(visit)
    return found


def _largest_4d(file: pathlib.Path, opened: typing.Any) -> typing.Any:
    found = _datasets(opened, 4)
    if not found:
        raise ValueError(f"{file.name} has no four-dimensional array: choose a recorded 4D-STEM set.")
    return max(found, key=lambda dataset: dataset.size)


def _survey(opened: typing.Any, scan_shape: tuple[int, ...] | None) -> FloatArray | None:
    return _named(opened, SURVEY_NAMES, scan_shape)


def _named(opened: typing.Any, names: Sequence[str], shape: tuple[int, ...] | None) -> FloatArray | None:
    named = {dataset.name.rsplit("/", 1)[-1].lower(): dataset for dataset in _datasets(opened, 2)}
    for name in names:
        if name in named and shape in (None, named[name].shape):
            return numpy.asarray(named[name], numpy.float64)
    return None


def _read_survey(file: pathlib.Path) -> FloatArray:
    if file.suffix == ".npy":
        survey = _load(file, memory_map=False)
        if survey.ndim != 2:
            raise ValueError(f"{file.name} has {survey.ndim} axes: choose an image.")
        return numpy.asarray(survey, numpy.float64)
    with _open_hdf5(file) as opened:
        found = _survey(opened, None)
        images = _datasets(opened, 2)
        if found is None and len(images) == 1:
            found = numpy.asarray(images[0], numpy.float64)
    if found is None:
        raise ValueError(f"{file.name} has no image named {', '.join(SURVEY_NAMES)}: choose another survey file.")
    return found


def _calibration(opened: typing.Any, patterns: typing.Any) -> _Calibration:
    """From what this project's sets and Swift's files say."""
    with contextlib.suppress(KeyError, ValueError, TypeError):
        described = json.loads(opened.attrs["metadata"])
        mrad = float(described["detector_mrad_per_px"])
        return _Calibration(float(described["scan_step_A"]) / 10, (mrad, mrad))
    with contextlib.suppress(KeyError, ValueError, TypeError):
        axes = json.loads(patterns.attrs["properties"])["dimensional_calibrations"]
        scan, *detector = axes[1:]
        ky, kx = (abs(axis["scale"]) * _MRAD_PER_UNIT[axis["units"]] for axis in detector)
        return _Calibration(abs(scan["scale"]) * _NM_PER_UNIT[scan["units"]], (ky, kx))
    return _Calibration()
