"""Everything that a run exposes goes through here: the dose is counted, and a pause or a stop is obeyed before."""

from __future__ import annotations

from collections.abc import Callable

from dkl_ae.instruments import Frame, Instrument
from dkl_ae.records import InstrumentError, Position, Survey
from dkl_ae.run.controls import StopRequestedError
from dkl_ae.run.events import Dose
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

    def survey(self) -> Survey:
        self._wait()
        survey = self._instrument.acquire_survey()
        self._count(self._instrument.survey_exposure_s)
        return survey

    def pattern(self, position: Position) -> Frame:
        frame = self._instrument.acquire_pattern(position)
        self._count(frame.exposure_s)
        return frame

    def point(self, position: Position, survey: Survey, arm_nm: float | None) -> Cross:
        """A position itself and the ends of a cross around it; what was exposed before something failed is not lost
        with it.

        arm_nm: of the cross; None for the position alone.
        """
        centre = self.pattern(position)
        ends: list[Frame] = []
        if arm_nm is None:
            return Cross(centre)
        try:
            for y, x in ENDS:
                self._wait()
                ends.append(self.pattern(survey.moved(position, y * arm_nm, x * arm_nm)))
        except (InstrumentError, StopRequestedError) as error:
            return Cross(centre, tuple(ends), error)
        return Cross(centre, tuple(ends))

    def _count(self, exposure_s: float) -> None:
        self.dose = self.dose.add(exposure_s, self._instrument.beam_current_a)
