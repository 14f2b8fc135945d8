"""Everything that a run exposes goes through here: the dose is counted, and a pause or a stop is obeyed before."""

from __future__ import annotations

from collections.abc import Callable

from dkl_ae.instruments import Frame, Instrument
from dkl_ae.records import InstrumentError, MendableError, Position, Survey
from dkl_ae.run.events import Dose
from dkl_ae.run.frame_checks import as_frame, as_number, require_in_place, require_sound
from dkl_ae.run.pattern_reader import Cross
from dkl_ae.scalarizers import ENDS


class Exposing:
    """The door to the beam of one run.

    wait: called before each exposure but the first of a point; raises StopRequestedError when the run is to stop.
    """

    def __init__(self, instrument: Instrument, wait: Callable[[], None]) -> None:
        self._instrument = instrument
        self._wait = wait
        self.dose = Dose()
        """Everything exposed so far."""

    def survey(self) -> tuple[Survey, BaseException | None]:
        """The survey, and why the run must end with it: its exposure cannot be counted."""
        self._wait()
        survey: object = self._instrument.acquire_survey()
        if not isinstance(survey, Survey):
            raise InstrumentError(
                f"The scan gave {type(survey).__name__} instead of a survey: check it, then start again."
            )
        try:
            self._count(self._instrument.survey_exposure_s)
        except BaseException as error:
            return survey, error
        return survey, None

    def pattern(self, position: Position, survey: Survey) -> Frame:
        """Raises why the run must end with this pattern."""
        frame, trouble = self._exposed(position, survey, None)
        if trouble is not None:
            raise trouble
        return frame

    def point(self, position: Position, survey: Survey, arm_nm: float | None) -> Cross:
        """A position itself and the ends of a cross around it; what was exposed before something failed is not lost
        with it.

        arm_nm: of the cross; None for the position alone.
        """
        centre, trouble = self._exposed(position, survey, arm_nm)
        ends: list[Frame] = []
        if arm_nm is None or trouble is not None:
            return Cross(centre, untrusted=trouble)
        try:
            for y, x in ENDS:
                self._wait()
                end, trouble = self._exposed(survey.moved(position, y * arm_nm, x * arm_nm), survey, arm_nm)
                ends.append(end)
                if trouble is not None:
                    break
        except BaseException as error:
            trouble = error
        return Cross(centre, tuple(ends), trouble)

    def _exposed(self, position: Position, survey: Survey, arm_nm: float | None) -> tuple[Frame, BaseException | None]:
        """A pattern, and why it cannot be believed that it is of this place and what is said of it."""
        frame = as_frame(self._instrument.acquire_pattern(position))
        try:
            self._count(frame.exposure_s)
            require_sound(frame)
            if frame.untrusted:
                raise MendableError(frame.untrusted)
            require_in_place(frame.position_read_back, position, survey, arm_nm)
        except BaseException as error:
            return frame, error
        return frame, None

    def _count(self, exposure_s: object) -> None:
        current: object = self._instrument.beam_current_a
        self.dose = self.dose.add(as_number(exposure_s), None if current is None else as_number(current))
