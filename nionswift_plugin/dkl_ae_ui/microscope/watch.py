"""Watches what a user does to the microscope during a run.

Positions are fractions of the scan, and of the scan as it is set now: it must stay as it was for the survey. While a
pattern is exposed nothing may scan, and nothing may move the probe.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
import typing
from collections.abc import Callable, Iterator, Mapping

from nion.instrumentation import scan_base, stem_controller
from nion.utils import Geometry

from dkl_ae.records import MendableError, Position

_CONTROLS: typing.Final[Mapping[str, tuple[str, str, float]]] = {
    "EHT": ("high tension", "kV", 1e-3),
    "ConvergenceAngle": ("convergence angle", "mrad", 1e3),
}
"""Of a column, where it has them: what they are called, their unit for people, and how many of it one is."""
_TOLERANCE: typing.Final = 1e-3
"""Relative: a read-back value may waver by less."""
_SHORTLY_S: typing.Final = 0.01
"""Between two looks at a device that ends."""


@dataclasses.dataclass(frozen=True)
class Quantity:
    """One of the settings, in a unit for people."""

    name: str
    value: float
    unit: str
    waver: float
    """By how much it may differ and be the same."""

    def __str__(self) -> str:
        return f"{self.value:.4g} {self.unit}"


Settings = tuple[Quantity, ...]


def settings_of_scan(scan: scan_base.ScanHardwareSource) -> Settings:
    """How the scan is set now."""
    context = scan.scan_context
    pixel_nm = context.fov_nm / max(context.size.height, context.size.width)
    # What moves the field by less than a quarter of a pixel moves nothing; at its corner a rotation moves it most.
    least_nm = pixel_nm / 4
    return (
        Quantity("field of view", context.fov_nm, "nm", context.fov_nm * _TOLERANCE),
        Quantity("height", context.size.height, "px", 0.5),
        Quantity("width", context.size.width, "px", 0.5),
        Quantity("centre in y", context.center_nm.y, "nm", least_nm),
        Quantity("centre in x", context.center_nm.x, "nm", least_nm),
        Quantity("rotation", math.degrees(context.rotation_rad), "°", math.degrees(least_nm / context.fov_nm)),
    )


def settings_of_column(stem: stem_controller.STEMController) -> Settings:
    """How the column is set now, as far as it tells."""
    found = []
    for control, (name, unit, factor) in _CONTROLS.items():
        is_known, value = stem.TryGetVal(control)
        if is_known and value is not None and math.isfinite(value) and value != 0:
            found.append(Quantity(name, value * factor, unit, abs(value * factor) * _TOLERANCE))
    return tuple(found)


def changes(before: Settings, now: Settings) -> str:
    """What has changed, for people; empty where nothing has."""
    later = {quantity.name: quantity for quantity in now}
    return ", ".join(
        f"{was.name} from {was} to {later[was.name]}"
        for was in before
        if was.name in later and not abs(later[was.name].value - was.value) <= was.waver
    )


def read_back(stem: stem_controller.STEMController) -> Position:
    """Where the probe is; NaN where there is none."""
    return _position(stem.probe_position)


def _position(point: Geometry.FloatPoint | None) -> Position:
    return Position(point.y, point.x) if point is not None else Position(math.nan, math.nan)


class Watch:
    """Knows how the microscope was set for the survey.

    survey_parameters: of the scan, to be set back.
    """

    def __init__(
        self,
        stem: stem_controller.STEMController,
        scan: scan_base.ScanHardwareSource,
        survey_parameters: scan_base.ScanFrameParameters,
    ) -> None:
        self._stem = stem
        self._scan = scan
        self._survey_parameters = survey_parameters
        self._of_scan: Settings = ()
        self._of_column: Settings = ()
        self._is_to_be_set_back = False

    def begin(self) -> None:
        """From now on the microscope is to stay as it is."""
        self._of_scan, self._of_column = settings_of_scan(self._scan), settings_of_column(self._stem)

    def require_unchanged(self) -> None:
        """Raises MendableError when scan or column are not as they were for the survey."""
        if change := self._change():
            raise MendableError(change)

    @contextlib.contextmanager
    def exposure(self, position: Position) -> Iterator[Callable[[], str]]:
        """While a pattern is exposed at a position: gives what tells afterwards, in one sentence, what has disturbed it
        and what to do; nothing where nothing has."""
        states, places = ["parked"], [position]

        def changed(state: str, place: Geometry.FloatPoint | None) -> None:
            states.append(state)
            places.append(_position(place))

        def disturbed() -> str:
            if "scanning" in states:
                return self.to_be_set_back("The scan ran during the exposure")
            if any(math.isnan(place.y) for place in places):
                return self.to_be_set_back("The probe was taken off the survey during the exposure")
            if any(place != position for place in places):
                return self.to_be_set_back("The probe was moved during the exposure")
            return self._change()

        with contextlib.closing(self._stem.probe_state_changed_event.listen(changed)):
            yield disturbed
            # What came without an event, while the beam is still on.
            changed("scanning" if self._is_scanning else self._stem.probe_state, self._stem.probe_position)

    def to_be_set_back(self, trouble: str) -> str:
        """What to tell of a disturbance that the run ends itself when it goes on."""
        self._is_to_be_set_back = True
        return f"{trouble}: leave it to the run, which sets it back."

    def set_back(self, patience_s: float) -> None:
        """End what disturbed the run, where that was promised."""
        if not self._is_to_be_set_back:
            return
        self._scan.abort_recording()
        if self._scan.is_playing:
            self._scan.abort_playing()
        deadline = time.monotonic() + patience_s
        while self._is_scanning:
            if time.monotonic() > deadline:
                raise MendableError(f"{self._scan.display_name} still scans: stop it in its own panel.")
            time.sleep(_SHORTLY_S)
        self._scan.set_current_frame_parameters(self._survey_parameters)
        self._is_to_be_set_back = False

    @property
    def _is_scanning(self) -> bool:
        return bool(self._scan.is_playing or self._scan.is_recording)

    def require_no_scan(self) -> None:
        """Raises MendableError while something scans."""
        if self._is_scanning:
            raise MendableError(self.to_be_set_back("The scan was started during the run"))

    def _change(self) -> str:
        if of_column := changes(self._of_column, settings_of_column(self._stem)):
            return f"The column was changed since the survey ({of_column}): set it back, or stop and start again."
        of_scan = changes(self._of_scan, settings_of_scan(self._scan))
        return self.to_be_set_back(f"The scan was changed since the survey ({of_scan})") if of_scan else ""
