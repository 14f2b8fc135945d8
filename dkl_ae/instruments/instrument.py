"""What the run needs of a microscope."""

from __future__ import annotations

import dataclasses
import typing

import numpy.typing

from dkl_ae.records import Position, Survey


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """One exposure of the camera.

    Attributes
    ----------
    pattern : ndarray, shape (ky, kx)
        Counts, of the type that the camera gives.
    mrad_per_pixel : tuple of float
        Along ky and kx.
    counts_per_electron : float
        Gain of the camera.
    position_read_back : Position
        Where the microscope says that the probe was.
    exposure_s : float
        In seconds.
    time : float
        Seconds since the epoch at the end of the exposure.
    untrusted : str
        Why it cannot be believed to be of its place, in one sentence with what to do; empty where nothing speaks
        against it. It is kept and not learned from, and the run waits.
    """

    pattern: numpy.typing.NDArray[typing.Any]
    mrad_per_pixel: tuple[float, float]
    counts_per_electron: float
    position_read_back: Position
    exposure_s: float
    time: float
    untrusted: str = ""


@dataclasses.dataclass(frozen=True)
class SurveySize:
    """What is known of a survey before it is acquired.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns.
    pixel_size_nm : float
        Side of a pixel, in nm.
    """

    shape: tuple[int, int]
    pixel_size_nm: float


class Instrument(typing.Protocol):
    """What a run needs of a microscope, simulated or real: a class with these methods is one.

    Raises
    ------
    InstrumentError
        By every method, when the microscope cannot do what is asked.
    MendableError
        By `acquire_pattern`, before it exposes, for what its user can mend: the run waits, and asks again.
    """

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
    def survey_size(self) -> SurveySize | None:
        """Of the survey that `acquire_survey` would give; None where that is not known before. A run that has no room
        on it is refused before anything is exposed."""

    @property
    def beam_current_a(self) -> float | None:
        """Beam current in ampere; None when the instrument does not know it."""

    @property
    def survey_exposure_s(self) -> float:
        """Seconds that the beam was on for the last survey."""
