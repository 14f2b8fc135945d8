"""A Nion microscope as the run sees it. The only module that moves the probe or switches the beam."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
import threading
import time
import typing
from collections.abc import Iterator, Mapping

import numpy
from nion.data import DataAndMetadata
from nion.instrumentation import camera_base, scan_base, stem_controller
from nion.utils import Geometry, Registry

from dkl_ae.instruments import Frame
from dkl_ae.records import InstrumentError, Position, Survey

BLANKER = "C_Blank"
BEAM_CURRENT = "BeamCurrent"
PARKING_POSITION = Position(0.0, 0.0)
"""Where the probe waits on a column without a blanker: the survey's corner, which no patch is centred on."""

_MRAD_PER_UNIT = {"rad": 1e3, "mrad": 1.0}
_PATIENCE_S = 5.0
"""How long a device may take for what should be immediate."""


@dataclasses.dataclass(frozen=True)
class Microscope:
    """One instrument with its own scan and camera, as the user chose them."""

    stem: stem_controller.STEMController
    scan: typing.Any
    """A scan hardware source; its declared protocol lacks methods that every one has."""
    camera: camera_base.CameraHardwareSource


def instruments() -> list[stem_controller.STEMController]:
    """Every registered microscope, the one that Swift prefers first."""
    return sorted(
        typing.cast(
            list[stem_controller.STEMController],
            list(Registry.get_components_by_type("stem_controller")),
        ),
        key=lambda stem: (-getattr(stem, "priority", 50), identifier(stem)),
    )


def identifier(stem: stem_controller.STEMController) -> str:
    """The id under which an instrument is registered; Swift's base class does not declare it."""
    return str(getattr(stem, "instrument_id", ""))


def scan_of(stem: stem_controller.STEMController) -> scan_base.ScanHardwareSource | None:
    """The scan of an instrument; Swift's own default may belong to another one."""
    for source in Registry.get_components_by_type("scan_hardware_source"):
        scan = typing.cast(scan_base.ScanHardwareSource, source)
        if getattr(scan, "stem_controller", None) is stem:
            return scan
    return None


def cameras_of(stem: stem_controller.STEMController) -> list[camera_base.CameraHardwareSource]:
    """The cameras of an instrument that may record patterns, its ronchigram cameras first.

    A camera module that names no instrument serves every one.
    """
    found = []
    for module in Registry.get_components_by_type("camera_module"):
        owner = getattr(module, "instrument_controller_id", None) or getattr(module, "stem_controller_id", None)
        camera = getattr(module, "hardware_source", None)
        if camera is not None and owner in (None, identifier(stem)):
            found.append(typing.cast(camera_base.CameraHardwareSource, camera))
    return sorted(
        found,
        key=lambda c: (not c.features.get("is_ronchigram_camera", False), c.display_name),
    )


class SwiftInstrument:
    """Carries out a run's wishes on a Nion microscope. See `dkl_ae.instruments.Instrument`.

    channel: the scan channel of the survey.
    given_survey: a survey that is acquired already, or None to acquire one with the scan's current settings.
    scan_settings: how the scan was set for the survey of an earlier run, which is to be adopted.
    settle_s: how long the coils may swing after a move, and the blanker after it opened.
    """

    def __init__(
        self,
        microscope: Microscope,
        *,
        channel: int,
        exposure_s: float,
        given_survey: DataAndMetadata.DataAndMetadata | None = None,
        scan_settings: Mapping[str, typing.Any] | None = None,
        settle_s: float = 0.001,
    ) -> None:
        self._stem = microscope.stem
        self._scan = microscope.scan
        self._camera = microscope.camera
        self._channel = channel
        self._given_survey = given_survey
        self._survey_parameters = copy.deepcopy(self._scan.get_current_frame_parameters())
        for name, value in (scan_settings or {}).items():
            self._survey_parameters.set_parameter(name, value)
        _without_subscan(self._survey_parameters)
        self._settle_s = settle_s
        self._camera_parameters = copy.deepcopy(self._camera.get_current_frame_parameters())
        self._camera_parameters.exposure_ms = exposure_s * 1000
        self._exposure_s = exposure_s
        self._has_blanker = self._stem.TryGetVal(BLANKER)[0]
        self._survey_exposure_s = 0.0
        self._aborted = threading.Event()
        self._restore_steps = contextlib.ExitStack()

    @property
    def beam_current_a(self) -> float | None:
        known, current = self._stem.TryGetVal(BEAM_CURRENT)
        return current if known else None

    @property
    def survey_exposure_s(self) -> float:
        return self._survey_exposure_s

    @property
    def scan_settings(self) -> dict[str, typing.Any]:
        """How the scan is set for the survey, as JSON takes it; for a later run that adopts it."""
        return dict(self._survey_parameters.as_dict())

    @property
    def has_blanker(self) -> bool:
        return self._has_blanker

    def require_idle(self) -> None:
        """Raise InstrumentError while someone else records with the scan or the camera; touches nothing."""
        for device in (self._scan, self._camera):
            if device.is_recording:
                raise InstrumentError(
                    f"{device.display_name} is recording: wait until it has finished, or stop it, then start again."
                )

    def prepare(self) -> None:
        self._remember_scan()
        for device in (self._scan, self._camera):
            if device.is_playing:
                device.abort_playing(sync_timeout=_PATIENCE_S)
        self.blank()

    def acquire_survey(self) -> Survey:
        if self._given_survey is not None:
            check_survey_is_current(self._given_survey, self._scan)
            return to_survey(self._given_survey)
        parameters = self._survey_parameters
        self._scan.set_enabled_channels([self._channel])
        # Recording alone would leave the probe's coordinates at the previous view.
        self._scan.set_current_frame_parameters(parameters)
        duration_s = self._scan.calculate_frame_time(parameters)
        with self._beam_on():
            xdata = self._record(self._scan, parameters, duration_s)
        self._survey_exposure_s = duration_s
        return to_survey(xdata)

    def adopt_survey(self, survey: Survey) -> None:
        self._scan.set_current_frame_parameters(self._survey_parameters)
        context = self._scan.scan_context
        size = (context.size.height, context.size.width)
        pixel_nm = context.fov_nm / max(size)
        if size != survey.shape or not math.isclose(pixel_nm, survey.pixel_size_nm, rel_tol=1e-3):
            raise InstrumentError(
                f"The survey has {survey.shape[0]} x {survey.shape[1]} px of {survey.pixel_size_nm:.4g} nm but the "
                f"scan {size[0]} x {size[1]} px of {pixel_nm:.4g} nm: choose the microscope that the run began on."
            )

    def acquire_pattern(self, position: Position) -> Frame:
        self._move_probe(position)
        with self._beam_on():
            xdata = self._record(self._camera, self._camera_parameters, self._exposure_s)
            end = time.time()
            read_back = self._read_back()
        if read_back != position:
            raise InstrumentError(
                f"The probe was moved to ({read_back.y:.4f}, {read_back.x:.4f}) while it was exposing at "
                f"({position.y:.4f}, {position.x:.4f}): leave the probe alone during a run, then start again."
            )
        metadata = xdata.metadata.get("hardware_source", {})
        return Frame(
            pattern=numpy.array(xdata.data),
            mrad_per_pixel=mrad_per_pixel(xdata),
            counts_per_electron=float(metadata.get("counts_per_electron") or 1.0),
            position_read_back=read_back,
            exposure_s=self._exposure_s,
            time=end,
        )

    def abort(self) -> None:
        self._aborted.set()
        for device in (self._scan, self._camera):
            device.abort_recording()

    def blank(self) -> None:
        if self._has_blanker:
            if not self._stem.SetVal(BLANKER, 1.0):
                raise InstrumentError("The beam did not blank: check the blanker by hand.")
        else:
            self._set_probe(PARKING_POSITION)

    def restore(self) -> None:
        self._restore_steps.close()

    def _remember_scan(self) -> None:
        parameters = copy.deepcopy(self._scan.get_current_frame_parameters())
        channels = list(self._scan.get_enabled_channel_indexes())
        self._restore_steps.callback(self._scan.set_enabled_channels, channels)
        self._restore_steps.callback(self._scan.set_current_frame_parameters, parameters)
        if self._has_blanker:
            self._restore_steps.callback(self._stem.set_probe_position, self._stem.probe_position)

    @contextlib.contextmanager
    def _beam_on(self) -> Iterator[None]:
        try:
            if self._has_blanker and not self._stem.SetVal(BLANKER, 0.0):
                raise InstrumentError("The beam did not unblank: check the blanker by hand.")
            time.sleep(self._settle_s)
            yield
        finally:
            self.blank()

    def _move_probe(self, position: Position) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            self._set_probe(position)
            self._wait_for_window(deadline)
            if self._stem.probe_state == "parked" and self._read_back() == position:
                return
            if time.monotonic() > deadline:
                raise InstrumentError(
                    f"The probe did not reach ({position.y:.4f}, {position.x:.4f}) within {_PATIENCE_S:g} s: "
                    "stop every other scan, then start again."
                )

    def _wait_for_window(self, deadline: float) -> None:
        """Wait until the window's thread has dealt with the move.

        There Swift's probe graphic follows the probe, and writes its own position back to it: a late echo would put
        the probe back to the place before, in the middle of an exposure. The event loop works in order, so what is
        queued now is done after the echo.
        """
        event_loop = stem_controller._event_loop
        if event_loop is None:
            return
        dealt_with = threading.Event()
        event_loop.call_soon_threadsafe(dealt_with.set)
        while not dealt_with.wait(0.01):
            if self._aborted.is_set():
                raise InstrumentError("The run was stopped before the probe had moved.")
            if time.monotonic() > deadline:
                raise InstrumentError(
                    f"Swift's window did not answer within {_PATIENCE_S:g} s: end what keeps it busy, then start again."
                )

    def _set_probe(self, position: Position) -> None:
        self._stem.set_probe_position(Geometry.FloatPoint(y=position.y, x=position.x))

    def _read_back(self) -> Position:
        found = self._stem.probe_position
        return Position(found.y, found.x) if found is not None else Position(math.nan, math.nan)

    def _record(self, device: typing.Any, parameters: typing.Any, duration_s: float) -> DataAndMetadata.DataAndMetadata:
        """One record task: its exposure begins after it was started, which no other way of grabbing promises."""
        # A finished task is removed just after its data arrive.
        deadline = time.monotonic() + _PATIENCE_S
        while device.is_recording and time.monotonic() < deadline:
            time.sleep(0.0005)
        try:
            xdatas = device.start_recording(frame_parameters=parameters).grab_xdatas(
                timeout=_PATIENCE_S + 2 * duration_s
            )
        except Exception as error:
            # Swift raises a bare Exception when no data came in time, and its devices whatever they like.
            device.abort_recording()
            raise InstrumentError(
                f"{device.display_name} gave no data within {_PATIENCE_S + 2 * duration_s:.1f} s ({error}): "
                "check it in its own panel, then start again."
            ) from error
        if not xdatas or xdatas[0] is None:
            raise InstrumentError(
                f"{device.display_name} failed or was stopped during the exposure: "
                "check it in its own panel, then start again."
            )
        return typing.cast(DataAndMetadata.DataAndMetadata, xdatas[0])


def _without_subscan(parameters: typing.Any) -> None:
    if parameters.subscan_pixel_size:
        parameters.subscan_pixel_size = None
        parameters.subscan_fractional_size = None
        parameters.subscan_fractional_center = None
        parameters.subscan_rotation = 0.0


def to_survey(xdata: DataAndMetadata.DataAndMetadata) -> Survey:
    """A copy of a scan's frame; raises InstrumentError when it is not calibrated in nm."""
    calibration = xdata.dimensional_calibrations[-1]
    if calibration.units != "nm":
        raise InstrumentError(
            f"The survey is calibrated in '{calibration.units}' rather than nm: choose a frame of the scan."
        )
    return Survey(numpy.array(xdata.data, numpy.float64), abs(calibration.scale))


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
