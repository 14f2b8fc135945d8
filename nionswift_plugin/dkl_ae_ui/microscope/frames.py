"""What the frames of Swift's devices are: a survey of the scan as it is set, patterns over angles."""

from __future__ import annotations

import typing

import numpy
from nion.data import DataAndMetadata
from nion.instrumentation import scan_base

from dkl_ae.instruments import SurveySize
from dkl_ae.records import InstrumentError, Survey

_MRAD_PER_UNIT: typing.Final = {"rad": 1e3, "mrad": 1.0}


def to_survey(xdata: DataAndMetadata.DataAndMetadata) -> Survey:
    """A copy of a scan's frame; raises InstrumentError when it is not calibrated in nm."""
    calibration = xdata.dimensional_calibrations[-1]
    if calibration.units != "nm":
        raise InstrumentError(
            f"The survey is calibrated in '{calibration.units}' rather than nm: choose a frame of the scan."
        )
    return Survey(numpy.array(xdata.data, numpy.float64), abs(calibration.scale))


def survey_size(given: DataAndMetadata.DataAndMetadata | None, parameters: scan_base.ScanFrameParameters) -> SurveySize:
    """Of the frame that is given, or of the whole one that a scan makes with these parameters.

    Raises InstrumentError when the given one is not calibrated in nm.
    """
    if given is not None:
        survey = to_survey(given)
        return SurveySize(survey.shape, survey.pixel_size_nm)
    height, width = parameters.pixel_size
    return SurveySize((height, width), parameters.fov_nm / max(height, width))


def check_survey_is_current(xdata: DataAndMetadata.DataAndMetadata, scan: scan_base.ScanHardwareSource) -> None:
    """Raise InstrumentError unless the data are a whole frame of this scan as it is set now.

    Probe positions are fractions of the current scan: on any other frame they would be other places.
    """
    described = xdata.metadata.get("scan", {})
    context = scan.scan_context
    advice = "scan again and select that frame, or choose to acquire a new survey."
    if described.get("hardware_source_id") != scan.hardware_source_id:
        raise InstrumentError(f"The selected data item is not a frame of {scan.display_name}: {advice}")
    size = tuple(described.get("scan_size", ()))
    if size != tuple(described.get("scan_context_size", ())) or size != xdata.data_shape:
        raise InstrumentError(f"The selected data item is only a part of a scan: {advice}")
    frame = (
        described.get("fov_nm"),
        described.get("center_y_nm"),
        described.get("center_x_nm"),
        described.get("rotation"),
        *size,
    )
    now = (
        context.fov_nm,
        context.center_nm.y,
        context.center_nm.x,
        context.rotation_rad,
        context.size.height,
        context.size.width,
    )
    if not numpy.allclose(numpy.array(frame, numpy.float64), numpy.array(now, numpy.float64)):
        raise InstrumentError(
            f"The selected data item shows {frame[0]:g} nm in {size[0]} x {size[1]} px but the scan is now set to "
            f"{context.fov_nm:g} nm in {context.size.height} x {context.size.width} px, or was moved: {advice}"
        )


def mrad_per_pixel(xdata: DataAndMetadata.DataAndMetadata) -> tuple[float, float]:
    """Angle of a detector pixel along ky and kx; raises InstrumentError when it is not calibrated in angles."""
    scales = []
    for calibration in xdata.dimensional_calibrations[-2:]:
        if calibration.units not in _MRAD_PER_UNIT:
            raise InstrumentError(
                f"The camera is calibrated in '{calibration.units}' rather than rad or mrad: "
                "calibrate it, or choose another camera."
            )
        scales.append(abs(calibration.scale) * _MRAD_PER_UNIT[calibration.units])
    return scales[0], scales[1]
