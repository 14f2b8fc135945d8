"""The instrument: its controls, and the column that they change."""

from __future__ import annotations

import dataclasses
import logging
import threading
import typing
from collections.abc import Sequence

from nion.device_kit import InstrumentDevice
from nion.instrumentation import stem_controller
from nion.utils import Geometry, Stream

from dkl_ae.records import DEFAULT_BEAM_CURRENT_A, ELEMENTARY_CHARGE_C, UserError
from dkl_ae.simulation import Column, Optics

PRIORITY = 10
"""Below Nion's simulator (20) and below hardware (50): nothing may pick this microscope unasked."""


@dataclasses.dataclass(frozen=True)
class _OpticsControl:
    """A control that changes the probe."""

    field: str
    """Of Optics."""
    unit: float
    """Of that field, per SI unit."""
    component: int | None = None
    """Of a field that has two."""

    def read(self, optics: Optics) -> float:
        value = getattr(optics, self.field)
        return float(value if self.component is None else value[self.component]) / self.unit

    def changed(self, optics: Optics, value: float) -> Optics:
        """Raises ValueError for a value that no probe can be made of."""
        new: typing.Any = value * self.unit
        if self.component is not None:
            new = tuple(new if i == self.component else old for i, old in enumerate(getattr(optics, self.field)))
        return dataclasses.replace(optics, **{self.field: new})


_OPTICS_CONTROLS: typing.Final = {
    "EHT": _OpticsControl("high_tension_v", 1.0),
    "ConvergenceAngle": _OpticsControl("convergence_mrad", 1e3),
    "C10": _OpticsControl("defocus_nm", 1e9),
    "C12.x": _OpticsControl("astigmatism_nm", 1e9, 0),
    "C12.y": _OpticsControl("astigmatism_nm", 1e9, 1),
    "C21.x": _OpticsControl("coma_nm", 1e9, 0),
    "C21.y": _OpticsControl("coma_nm", 1e9, 1),
    "C23.x": _OpticsControl("threefold_nm", 1e9, 0),
    "C23.y": _OpticsControl("threefold_nm", 1e9, 1),
    "C30": _OpticsControl("spherical_um", 1e6),
}


class Controls(InstrumentDevice.ValueManagerLike):
    """Controls by name, in SI units, and the column that agrees with them.

    A control that does not exist, or a value that no probe can be made of, is refused with False.
    """

    def __init__(self, column: Column) -> None:
        self._values = {"BeamCurrent": DEFAULT_BEAM_CURRENT_A, "C_Blank": 0.0, "CSH.y": 0.0, "CSH.x": 0.0}
        self._streams: dict[str, Stream.ValueStream[typing.Any]] = {}
        self._lock = threading.RLock()
        self.column = column
        self._values |= _values_of(column)

    def load(self, column: Column) -> None:
        """Take another column, and its optics and calibrations."""
        with self._lock:
            self.column = column
            self._values |= _values_of(column)
            streams = dict(self._streams)
        for name, stream in streams.items():
            stream.value = self._try_value(name)

    def get_value(self, name: str) -> float | None:
        return self._values.get(name)

    def set_value(self, name: str, value: float) -> bool:
        with self._lock:
            if name not in self._values:
                return False
            if name in _OPTICS_CONTROLS and value != self._values[name]:
                try:
                    optics = _OPTICS_CONTROLS[name].changed(self.column.optics or Optics(), value)
                    self.column.set_optics(optics)
                except UserError as error:
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


def _values_of(column: Column) -> dict[str, float]:
    """The controls that follow from what is in the column."""
    optics = column.optics or Optics()
    values = {name: control.read(optics) for name, control in _OPTICS_CONTROLS.items()}
    for axis, pixels, mrad in zip("yx", column.detector_shape, column.mrad_per_pixel, strict=True):
        values[f"ronchigram_{axis}_scale"] = mrad * 1e-3
        # Swift's calibrations refer to the edges of pixels: the middle of the detector is at pixels / 2.
        values[f"ronchigram_{axis}_offset"] = -mrad * 1e-3 * pixels / 2
    return values


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
    """The microscope. Its scan's centre is the centre of the column's field."""

    def __init__(self, instrument_id: str, column: Column) -> None:
        self._controls = Controls(column)
        super().__init__(instrument_id, self._controls, Axes())
        self.priority = PRIORITY

    @property
    def column(self) -> Column:
        """What is in it now."""
        return self._controls.column

    def load(self, column: Column) -> None:
        """Put another specimen or recording in; the one before is closed."""
        previous = self.column
        self._controls.load(column)
        previous.close()

    @property
    def is_blanked(self) -> bool:
        return self.GetVal("C_Blank") != 0

    def electrons(self, seconds: float) -> float:
        """How many the beam brings in that time, blanked or not."""
        return self.GetVal("BeamCurrent") * seconds / ELEMENTARY_CHARGE_C

    def field_position_nm(self, y_nm: typing.Any, x_nm: typing.Any) -> tuple[typing.Any, typing.Any]:
        """Scan coordinates (numbers or arrays) as coordinates of the field, beam shift included."""
        shift = self.GetVal2D("CSH") * 1e9
        height, width = self.column.extent_nm
        return y_nm + shift.y + height / 2, x_nm + shift.x + width / 2

    def scan_position_nm(self, y_nm: float, x_nm: float) -> tuple[float, float]:
        """The inverse of field_position_nm."""
        y, x = self.field_position_nm(0.0, 0.0)
        return y_nm - y, x_nm - x

    # The base class has the size of Nion's own simulated sensors.

    def camera_sensor_dimensions(self, camera_type: str) -> tuple[int, int]:
        return self.column.detector_shape

    def camera_readout_area(self, camera_type: str) -> tuple[int, int, int, int]:
        return 0, 0, *self.column.detector_shape
