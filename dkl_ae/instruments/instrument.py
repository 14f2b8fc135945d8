"""What the run needs of a microscope."""

from __future__ import annotations

import dataclasses
import typing

import numpy.typing

from dkl_ae.records import Position, Survey


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """One exposure of the camera."""

    pattern: numpy.typing.NDArray[typing.Any]
    """Shape (ky, kx), counts."""
    mrad_per_pixel: tuple[float, float]
    """Along ky and kx."""
    counts_per_electron: float
    position_read_back: Position
    exposure_s: float
    time: float
    """Seconds since the epoch at the end of the exposure."""


class Instrument(typing.Protocol):
    """A microscope, simulated or real. Every method may raise InstrumentError."""

    def prepare(self) -> None:
        """Stop what is running, remember how the scan and camera were left, and blank the beam."""

    def acquire_survey(self) -> Survey:
        """Unblank, acquire the survey, blank; later positions are fractions of it."""

    def adopt_survey(self, survey: Survey) -> None:
        """Make later positions fractions of a survey that was acquired before; the beam stays blanked."""

    def acquire_pattern(self, position: Position) -> Frame:
        """Move the blanked probe, read its position back, unblank, expose, blank."""

    def abort(self) -> None:
        """Break off an exposure under way; safe to call from another thread at any time."""

    def blank(self) -> None:
        """Blank the beam; without a blanker, park the probe where nothing will be measured."""

    def restore(self) -> None:
        """Leave the scan and camera as they were found, the beam blanked."""

    @property
    def beam_current_a(self) -> float | None:
        """Beam current in ampere; None when the instrument does not know it."""

    @property
    def survey_exposure_s(self) -> float:
        """Seconds that the beam was on for the last survey."""
