"""Whether what an instrument says of an exposure can be: nothing is believed of it before."""

from __future__ import annotations

import math
import typing

import numpy

from dkl_ae.instruments import Frame
from dkl_ae.records import InstrumentError, Position, Survey

_ARM_SHARE: typing.Final = 0.1
"""Of a cross's arm, by which its ends may be off: the differences between them are then as much off."""


def as_frame(given: object) -> Frame:
    """A frame whose pattern can be kept, its numbers as they are told, NaN for what is none.

    Raises InstrumentError for what is no pattern.
    """
    if not isinstance(given, Frame) or not _is_image(given.pattern):
        pattern = given.pattern if isinstance(given, Frame) else given
        what = type(pattern).__name__
        if isinstance(pattern, numpy.ndarray):
            what = f"an array of shape {pattern.shape} and type {pattern.dtype}"
        raise InstrumentError(f"The camera gave {what} instead of a pattern: check it, then start again.")
    place = given.position_read_back
    return Frame(
        pattern=given.pattern,
        mrad_per_pixel=_pair(given.mrad_per_pixel),
        counts_per_electron=as_number(given.counts_per_electron),
        position_read_back=Position(*(as_number(getattr(place, axis, None)) for axis in "yx")),
        exposure_s=as_number(given.exposure_s),
        time=as_number(given.time),
        untrusted=given.untrusted,
    )


def require_sound(frame: Frame) -> None:
    """Raises InstrumentError for a gain or a calibration that no camera has."""
    if not 0 < frame.counts_per_electron < math.inf:
        raise InstrumentError(
            f"The camera's gain is {frame.counts_per_electron:g} counts per electron: calibrate it, then start again."
        )
    if not all(0 < mrad < math.inf for mrad in frame.mrad_per_pixel):
        ky, kx = frame.mrad_per_pixel
        raise InstrumentError(
            f"The camera's pixels are calibrated as {ky:g} x {kx:g} mrad: calibrate it, then start again."
        )


def require_in_place(found: Position, asked: Position, survey: Survey, arm_nm: float | None = None) -> None:
    """Raises InstrumentError when the probe was not in the survey pixel around the place it was sent to.

    arm_nm: of a cross of which the place is one; None for a place alone.
    """
    within_nm = survey.pixel_size_nm / 2
    if arm_nm is not None:
        within_nm = min(within_nm, _ARM_SHARE * arm_nm)
    distances = numpy.abs(numpy.subtract(survey.offset_nm(found), survey.offset_nm(asked)))
    # NaN is nowhere; rounding moves nothing.
    if not (distances <= within_nm * (1 + 1e-6)).all():
        raise InstrumentError(
            f"The probe was at ({found.y:.4f}, {found.x:.4f}) when it should expose at ({asked.y:.4f}, {asked.x:.4f}): "
            "leave it alone during a run and see that nothing else scans, then start again."
        )


def require_same_size(frame: Frame, first: Frame) -> None:
    """Raises InstrumentError when the camera's frames have changed."""
    if frame.pattern.shape != first.pattern.shape:
        before, now = (" x ".join(map(str, each.pattern.shape)) for each in (first, frame))
        raise InstrumentError(
            f"The camera's frames have changed from {before} to {now} pixels: set it as it was, then start again."
        )


def as_number(given: object) -> float:
    """What is told as a number; NaN for what is none."""
    try:
        return float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _is_image(pattern: object) -> bool:
    return (
        isinstance(pattern, numpy.ndarray) and pattern.ndim == 2 and pattern.size > 0 and pattern.dtype.kind in "buif"
    )


def _pair(given: object) -> tuple[float, float]:
    numbers = [as_number(each) for each in given] if isinstance(given, tuple | list | numpy.ndarray) else []
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (math.nan, math.nan)
