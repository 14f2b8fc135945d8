"""The instrument: its controls, and the specimen as those controls make it look."""

from __future__ import annotations

import dataclasses
import logging
import threading
import typing
from collections.abc import Sequence

from nion.device_kit import InstrumentDevice
from nion.instrumentation import stem_controller
from nion.utils import Geometry, Stream

from dkl_ae.specimen import PatternSimulator

PRIORITY = 10
"""Below Nion's simulator (20) and below hardware (50): nothing may pick this microscope unasked."""

_ELECTRON_CHARGE = 1.602176634e-19

_OPTICS_CONTROLS: typing.Final = {
    "EHT": ("high_tension_v", 1.0),
    "C10": ("defocus_nm", 1e9),
    "ConvergenceAngle": ("convergence_mrad", 1e3),
}
"""For each control that changes the probe: the field of Optics, and that field's unit per SI
unit."""


class Controls(InstrumentDevice.ValueManagerLike):
    """Controls by name, in SI units, and the simulator that agrees with them.

    A control that does not exist, or a value that no probe can be made of, is refused with False.
    """

    def __init__(self, simulator: PatternSimulator) -> None:
        optics = simulator.optics
        pixel = simulator.mrad_per_pixel * 1e-3
        # Swift's calibrations refer to the edges of pixels: the middle of the detector is at pixels
        # / 2.
        offset = -pixel * simulator.detector_pixels / 2
        self._values = {
            "BeamCurrent": 30e-12,
            "C_Blank": 0.0,
            "CSH.y": 0.0,
            "CSH.x": 0.0,
            "ronchigram_y_scale": pixel,
            "ronchigram_y_offset": offset,
            "ronchigram_x_scale": pixel,
            "ronchigram_x_offset": offset,
        } | {name: getattr(optics, field) / factor for name, (field, factor) in _OPTICS_CONTROLS.items()}
        self._streams: dict[str, Stream.ValueStream[typing.Any]] = {}
        self._lock = threading.RLock()
        self.simulator = simulator

    def get_value(self, name: str) -> float | None:
        return self._values.get(name)

    def set_value(self, name: str, value: float) -> bool:
        with self._lock:
            if name not in self._values:
                return False
            if name in _OPTICS_CONTROLS and value != self._values[name]:
                field, factor = _OPTICS_CONTROLS[name]
                change: dict[str, typing.Any] = {field: value * factor}
                try:
                    optics = dataclasses.replace(self.simulator.optics, **change)
                    self.simulator = self.simulator.with_optics(optics)
                except ValueError as error:
                    logging.warning("%s stays at %g: %s", name, self._values[name], error)
                    return False
            self._values[name] = float(value)
            stream = self._streams.get(name)
        if stream:
            stream.value = self._try_value(name)
        return True

    def inform_value(self, name: str, value: float) -> bool:
        return self.set_value(name, value)

    def get_value_2d(
        self,
        s: str,
        default_value: Geometry.FloatPoint | None = None,
        *,
        axis: stem_controller.AxisType | None = None,
    ) -> Geometry.FloatPoint:
        y, x = self.get_value(f"{s}.y"), self.get_value(f"{s}.x")
        if y is not None and x is not None:
            return Geometry.FloatPoint(y=y, x=x)
        if default_value is None:
            raise ValueError(f"There is no two-dimensional control '{s}': use CSH.")
        return default_value

    def set_value_2d(
        self,
        s: str,
        value: Geometry.FloatPoint,
        *,
        axis: stem_controller.AxisType | None = None,
    ) -> bool:
        return self.set_value(f"{s}.y", value.y) and self.set_value(f"{s}.x", value.x)

    def inform_control_2d(self, s: str, value: Geometry.FloatPoint, *, axis: stem_controller.AxisType) -> bool:
        return self.set_value_2d(s, value, axis=axis)

    def get_reference_setting_index(self, settings_control: str) -> int:
        return 0

    def get_control_try_value_stream(self, control_name: str) -> Stream.AbstractStream[typing.Any]:
        """Swift 16.17 and later read calibrations through such streams; earlier ones never ask."""
        with self._lock:
            if control_name not in self._streams:
                self._streams[control_name] = Stream.ValueStream(self._try_value(control_name))
            return self._streams[control_name]

    def _try_value(self, name: str) -> typing.Any:
        value = self.get_value(name)
        error = None if value is not None else KeyError(f"There is no control '{name}'.")
        return stem_controller.TryValue(value, error)


class Axes(InstrumentDevice.AxisManagerLike):
    """All axes are those of the scan."""

    @property
    def supported_axis_descriptions(self) -> Sequence[stem_controller.AxisDescription]:
        return []

    def axis_transform_point(
        self,
        point: Geometry.FloatPoint,
        from_axis: stem_controller.AxisDescription,
        to_axis: stem_controller.AxisDescription,
    ) -> Geometry.FloatPoint:
        return point


class Instrument(InstrumentDevice.Instrument):
    """The microscope's column. Its scan's centre is the centre of the specimen's field."""

    def __init__(self, instrument_id: str, simulator: PatternSimulator) -> None:
        self._controls = Controls(simulator)
        super().__init__(instrument_id, self._controls, Axes())
        self.priority = PRIORITY

    @property
    def simulator(self) -> PatternSimulator:
        """The specimen under the present optics."""
        return self._controls.simulator

    @property
    def is_blanked(self) -> bool:
        return self.GetVal("C_Blank") != 0

    def electrons(self, seconds: float) -> float:
        """How many the beam brings in that time, blanked or not."""
        return self.GetVal("BeamCurrent") * seconds / _ELECTRON_CHARGE

    def field_position_nm(self, y_nm: typing.Any, x_nm: typing.Any) -> tuple[typing.Any, typing.Any]:
        """Scan coordinates (numbers or arrays) as coordinates of the specimen, beam shift
        included."""
        shift = self.GetVal2D("CSH") * 1e9
        middle = self.simulator.specimen.extent_nm / 2
        return y_nm + shift.y + middle, x_nm + shift.x + middle

    # The base class has the size of Nion's own simulated sensors.

    def camera_sensor_dimensions(self, camera_type: str) -> tuple[int, int]:
        pixels = self.simulator.detector_pixels
        return pixels, pixels

    def camera_readout_area(self, camera_type: str) -> tuple[int, int, int, int]:
        return 0, 0, *self.camera_sensor_dimensions(camera_type)

    @property
    def counts_per_electron(self) -> int:
        return 1
