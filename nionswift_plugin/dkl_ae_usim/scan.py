"""The scan: where its pixels and the parked probe are, and the detectors of its channels."""

from __future__ import annotations

import math
import threading
import typing

import numpy
import numpy.typing
from nion.device_kit import InstrumentDevice, ScanDevice
from nion.instrumentation import scan_base, stem_controller
from nion.utils import Geometry

from dkl_ae.simulation import DETECTORS
from nionswift_plugin.dkl_ae_usim.instrument import PRIORITY, Instrument

FLYBACK_FRAMES = 2
"""Camera frames that a synchronized scan spends at the start of each line; they are thrown away."""

_PIXEL_TIMES_US: typing.Final = {"Fast": 40, "Slow": 80, "Record": 160}


def parked_position_nm(context: stem_controller.ScanContext, position: Geometry.FloatPoint) -> tuple[float, float]:
    """(y, x) of a fraction of the scan context. Its field of view is its longer edge.

    ScanContext.fov_size_nm is no use: for scans that are not square it differs between Swift 16.16
    and 16.18.
    """
    pixel_nm = context.fov_nm / max(context.size)
    offset = Geometry.FloatPoint(
        y=(position.y - 0.5) * context.size.height * pixel_nm,
        x=(position.x - 0.5) * context.size.width * pixel_nm,
    )
    return (context.center_nm + offset.rotate(context.rotation_rad)).as_tuple()


def probe_fraction(context: stem_controller.ScanContext, y_nm: float, x_nm: float) -> tuple[float, float]:
    """The inverse of parked_position_nm: (y, x) as fractions of the scan context."""
    pixel_nm = context.fov_nm / max(context.size)
    offset = (Geometry.FloatPoint(y_nm, x_nm) - context.center_nm).rotate(-context.rotation_rad)
    return offset.y / (context.size.height * pixel_nm) + 0.5, offset.x / (context.size.width * pixel_nm) + 0.5


def scan_positions_nm(
    parameters: scan_base.ScanFrameParameters, rows: typing.Any, columns: typing.Any
) -> tuple[typing.Any, typing.Any]:
    """(y, x) of the centres of pixels of a scan, or of its subscan; numbers or arrays."""
    pixel_nm = parameters.fov_nm / max(parameters.pixel_size)
    height, width = (length * pixel_nm for length in parameters.pixel_size)
    centre = parameters.center_nm
    if parameters.subscan_fractional_center:
        fraction = parameters.subscan_fractional_center - Geometry.FloatPoint(0.5, 0.5)
        offset = Geometry.FloatPoint(y=fraction.y * height, x=fraction.x * width)
        centre += offset.rotate(parameters.rotation_rad)
    if parameters.subscan_fractional_size:
        height *= parameters.subscan_fractional_size.height
        width *= parameters.subscan_fractional_size.width
    size = parameters.scan_size
    y = ((rows + 0.5) / size.height - 0.5) * height
    x = ((columns + 0.5) / size.width - 0.5) * width
    rotation = parameters.rotation_rad - parameters.subscan_rotation
    cosine, sine = math.cos(rotation), math.sin(rotation)
    return centre.y + sine * x + cosine * y, centre.x + cosine * x - sine * y


class PixelClock(ScanDevice.ScanSimulatorLike):
    """Which pixel the beam is on: told by the scan, or by the camera in a synchronized scan."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.scan_shape_pixels = Geometry.IntSize()
        self.pixel_size_nm = Geometry.FloatSize()
        self.external_clock = False
        self._pixel = 0
        self._camera_frames = 0

    def reset_frame(self) -> None:
        self._pixel = 0
        self._camera_frames = 0

    @property
    def probe_position_pixels(self) -> Geometry.IntPoint:
        if self.scan_shape_pixels.width == 0:
            return Geometry.IntPoint()
        row, column = divmod(self._pixel, self.scan_shape_pixels.width)
        return Geometry.IntPoint(y=row, x=column)

    @property
    def blanker_signal_condition(self) -> threading.Condition:
        return self._condition

    @property
    def current_pixel_flat(self) -> int:
        return self._pixel

    def _advance_pixel(self, n: int) -> None:
        self._pixel += n

    def advance_pixel(self) -> None:
        if not self.external_clock:
            return
        width = self.scan_shape_pixels.width
        row, frame = divmod(self._camera_frames, width + FLYBACK_FRAMES)
        self._camera_frames += 1
        self._pixel = row * width + max(frame - FLYBACK_FRAMES, 0)
        if frame == 0:
            with self._condition:
                self._condition.notify_all()

    def generate_scan_data(
        self,
        instrument: InstrumentDevice.Instrument,
        scan_frame_parameters: ScanDevice.ScanFrameParameters,
    ) -> numpy.typing.NDArray[numpy.float32]:
        raise NotImplementedError("ScanBox.get_scan_data makes the image.")


class ScanBox(ScanDevice.Device):
    """Scans the beam; its channels count electrons on the annular and bright-field detectors.

    A frame takes the blanker, the current and the optics as they are when it starts.
    """

    def __init__(self, device_id: str, name: str, instrument: Instrument) -> None:
        self._clock = PixelClock()
        super().__init__(device_id, name, instrument, self._clock)
        self._instrument = instrument
        # Otherwise the scan of any other instrument may be taken for this one.
        self.scan_device_is_secondary = True

    # The base class has four channels with names of its own.

    @property
    def channel_count(self) -> int:
        return len(DETECTORS)

    @property
    def channels_enabled(self) -> tuple[bool, ...]:
        return super().channels_enabled[: len(DETECTORS)]

    def get_channel_name(self, channel_index: int) -> str:
        return DETECTORS[channel_index]

    def calculate_flyback_pixels(self, frame_parameters: scan_base.ScanFrameParameters) -> int:
        return FLYBACK_FRAMES

    @property
    def beam_position_nm(self) -> tuple[float, float]:
        """Where the scanning beam is now."""
        pixel = self._clock.probe_position_pixels
        return scan_positions_nm(self.current_frame_parameters, pixel.y, pixel.x)

    def get_scan_data(
        self,
        frame_parameters: scan_base.ScanFrameParameters,
        channel: int | ScanDevice.Channel,
    ) -> numpy.typing.NDArray[numpy.float32]:
        size = frame_parameters.scan_size
        column = self._instrument.column
        index = channel if isinstance(channel, int) else channel.channel_id
        if self._instrument.is_blanked or DETECTORS[index] not in column.channels:
            return numpy.zeros(size.as_tuple(), numpy.float32)
        rows, columns = numpy.indices(size.as_tuple())
        y, x = self._instrument.field_position_nm(*scan_positions_nm(frame_parameters, rows, columns))
        pixel_time_s = frame_parameters.pixel_time_us * 1e-6
        electrons = self._instrument.electrons(pixel_time_s)
        image = column.scan(DETECTORS[index], y, x, electrons, pixel_time_s)
        # All channels of a frame share its dose; the frames of a camera that clocks the scan count their own.
        is_last = index == max(i for i, enabled in enumerate(self.channels_enabled) if enabled)
        if is_last and not self._clock.external_clock:
            column.irradiate(y, x, electrons)
        return image.astype(numpy.float32)


class ScanModule(scan_base.ScanModule):
    """The scan box with its three profiles."""

    def __init__(self, device_id: str, name: str, instrument: Instrument) -> None:
        self.stem_controller_id = instrument.instrument_id
        self.device = ScanBox(device_id, name, instrument)
        self.priority = PRIORITY
        modes = [
            scan_base.ScanSettingsMode(mode, mode.lower(), frame_parameters(instrument, pixel_time_us))
            for mode, pixel_time_us in _PIXEL_TIMES_US.items()
        ]
        self.settings = scan_base.ScanSettings(device_id, modes, ScanDevice.ScanFrameParameters, 0, len(modes) - 1)


def frame_parameters(instrument: Instrument, pixel_time_us: float) -> ScanDevice.ScanFrameParameters:
    """A scan of the whole field of what is in the instrument, with its usual sampling."""
    column = instrument.column
    return ScanDevice.ScanFrameParameters(
        pixel_size=column.scan_shape, pixel_time_us=pixel_time_us, fov_nm=max(column.extent_nm)
    )


def show_whole_field(hardware_source: typing.Any, instrument: Instrument) -> None:
    """Set every profile of the scan to the field of what is in the instrument now, and forget a subscan."""
    for profile, pixel_time_us in enumerate(_PIXEL_TIMES_US.values()):
        hardware_source.set_frame_parameters(profile, frame_parameters(instrument, pixel_time_us))
    hardware_source.set_current_frame_parameters(hardware_source.get_frame_parameters(0))
