"""A Nion microscope as the run sees it. The only module that moves the probe or switches the beam."""

from __future__ import annotations

import contextlib
import copy
import math
import threading
import time
import typing
from collections.abc import Iterator, Mapping

import numpy
from nion.data import DataAndMetadata
from nion.instrumentation import stem_controller
from nion.utils import Geometry

from dkl_ae.instruments import Frame, SurveySize
from dkl_ae.records import InstrumentError, MendableError, Position, Survey, brief
from nionswift_plugin.dkl_ae_ui.microscope.devices import Microscope
from nionswift_plugin.dkl_ae_ui.microscope.frames import check_survey_is_current, mrad_per_pixel, survey_size, to_survey
from nionswift_plugin.dkl_ae_ui.microscope.watch import Watch, read_back

BLANKER = "C_Blank"
BEAM_CURRENT = "BeamCurrent"
PARKING_POSITION = Position(0.0, 0.0)
"""Where the probe waits on a column without a blanker: the survey's corner, which no patch is centred on."""

_PATIENCE_S = 5.0
"""How long a device may take for what should be immediate."""


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
        exposure_ms: float,
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
        self._camera_parameters.exposure_ms = exposure_ms
        self._exposure_s = exposure_ms / 1000
        self._has_blanker = self._stem.TryGetVal(BLANKER)[0]
        self._survey_exposure_s = 0.0
        self._aborted = threading.Event()
        self._watch = Watch(self._stem, self._scan, self._survey_parameters)
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
    def notice(self) -> str:
        """What its user should know of it before a run; empty where all is as it should be."""
        if self._has_blanker:
            return ""
        return (
            f"This microscope has no control {BLANKER}: between exposures the probe waits in the survey's corner, "
            "unblanked."
        )

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

    @property
    def survey_size(self) -> SurveySize:
        return survey_size(self._given_survey, self._survey_parameters)

    def acquire_survey(self) -> Survey:
        if self._given_survey is not None:
            check_survey_is_current(self._given_survey, self._scan)
            self._watch.begin()
            return to_survey(self._given_survey)
        parameters = self._survey_parameters
        self._scan.set_enabled_channels([self._channel])
        # Recording alone would leave the probe's coordinates at the previous view.
        self._scan.set_current_frame_parameters(parameters)
        duration_s = self._scan.calculate_frame_time(parameters)
        self._watch.begin()
        with self._beam_on():
            xdata = _record(self._scan, parameters, duration_s)
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
        self._watch.begin()

    def acquire_pattern(self, position: Position) -> Frame:
        self._watch.set_back(_PATIENCE_S)
        self._watch.require_unchanged()
        self._move_probe(position)
        with self._beam_on(), self._watch.exposure(position) as disturbed:
            xdata = _record(self._camera, self._camera_parameters, self._exposure_s)
            end = time.time()
            found = read_back(self._stem)
        metadata = xdata.metadata.get("hardware_source", {})
        return Frame(
            pattern=numpy.array(xdata.data),
            mrad_per_pixel=mrad_per_pixel(xdata),
            counts_per_electron=float(metadata.get("counts_per_electron") or 1.0),
            position_read_back=found,
            exposure_s=self._exposure_s,
            time=end,
            untrusted=disturbed(),
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
            _wait_for_window(self._aborted)
            if self._stem.probe_state == "parked" and read_back(self._stem) == position:
                return
            self._watch.require_no_scan()
            if time.monotonic() > deadline:
                raise MendableError(
                    f"The probe did not reach ({position.y:.4f}, {position.x:.4f}) within {_PATIENCE_S:g} s: "
                    "end whatever else moves it."
                )

    def _set_probe(self, position: Position) -> None:
        self._stem.set_probe_position(Geometry.FloatPoint(y=position.y, x=position.x))


def _without_subscan(parameters: typing.Any) -> None:
    if parameters.subscan_pixel_size:
        parameters.subscan_pixel_size = None
        parameters.subscan_fractional_size = None
        parameters.subscan_fractional_center = None
        parameters.subscan_rotation = 0.0


def _wait_for_window(aborted: threading.Event) -> None:
    """Wait until the window's thread has dealt with a move.

    There Swift's probe graphic follows the probe, and writes its own position back to it: a late echo would put
    the probe back to the place before, in the middle of an exposure. The event loop works in order, so what is
    queued now is done after the echo.
    """
    event_loop = stem_controller._event_loop
    if event_loop is None:
        return
    deadline = time.monotonic() + _PATIENCE_S
    dealt_with = threading.Event()
    event_loop.call_soon_threadsafe(dealt_with.set)
    while not dealt_with.wait(0.01):
        if aborted.is_set():
            raise InstrumentError("The run was stopped before the probe had moved.")
        if time.monotonic() > deadline:
            raise MendableError(f"Swift's window did not answer within {_PATIENCE_S:g} s: end what keeps it busy.")


def _record(device: typing.Any, parameters: typing.Any, duration_s: float) -> DataAndMetadata.DataAndMetadata:
    """One record task: its exposure begins after it was started, which no other way of grabbing promises."""
    # A finished task is removed just after its data arrive.
    deadline = time.monotonic() + _PATIENCE_S
    while device.is_recording and time.monotonic() < deadline:
        time.sleep(0.0005)
    try:
        xdatas = device.start_recording(frame_parameters=parameters).grab_xdatas(timeout=_PATIENCE_S + 2 * duration_s)
    except Exception as error:
        # Swift raises a bare Exception when no data came in time, and its devices whatever they like.
        device.abort_recording()
        raise InstrumentError(
            f"{device.display_name} gave no data within {_PATIENCE_S + 2 * duration_s:.1f} s ({brief(error)}): "
            "check it in its own panel, then start again."
        ) from error
    if not xdatas or xdatas[0] is None:
        raise InstrumentError(
            f"{device.display_name} failed or was stopped during the exposure: "
            "check it in its own panel, then start again."
        )
    return typing.cast(DataAndMetadata.DataAndMetadata, xdatas[0])
