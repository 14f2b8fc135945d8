"""The physics of the virtual specimen behind the library's own instrument protocol: a microscope without Swift."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy

from dkl_ae.instrument import Frame, InstrumentError
from dkl_ae.measurement import Position
from dkl_ae.specimen import PatternSimulator, graphene_with_silicon
from dkl_ae.survey import Survey

BEAM_CURRENT_A = 30e-12
ELECTRONS_PER_S = BEAM_CURRENT_A / 1.602176634e-19
SURVEY_S = 0.3
EXPOSURE_S = 0.01


class SimulatedInstrument:
    """Logs what is done to the beam; trouble(exposure number) may raise, or return a pattern to read instead."""

    def __init__(self, seed: int = 0, trouble: Callable[[int], numpy.ndarray | None] | None = None) -> None:
        self.simulator = PatternSimulator(graphene_with_silicon())
        self.log: list[str] = []
        self.blanked = False
        self.exposures = 0
        self._random = numpy.random.default_rng(seed)
        self._trouble = trouble or (lambda exposure: None)

    beam_current_a: float | None = BEAM_CURRENT_A
    survey_exposure_s = SURVEY_S

    def prepare(self) -> None:
        self.log.append("prepare")
        self.blank()

    def acquire_survey(self) -> Survey:
        extent = self.simulator.specimen.extent_nm
        places = (numpy.arange(40) + 0.5) * extent / 40
        expected = self.simulator.haadf(places[:, None], places[None, :]) * ELECTRONS_PER_S * SURVEY_S / 1600
        return Survey(self._random.poisson(expected).astype(float), extent / 40)

    def acquire_pattern(self, position: Position) -> Frame:
        assert self.blanked, "the probe moves only while the beam is blanked"
        self.exposures += 1
        self.blanked = False
        try:
            pattern = self._trouble(self.exposures)
            if pattern is None:
                extent = self.simulator.specimen.extent_nm
                expected = self.simulator.pattern(position.y * extent, position.x * extent)
                pattern = self._random.poisson(expected * ELECTRONS_PER_S * EXPOSURE_S)
        finally:
            self.blank()
        return Frame(pattern, (2.5, 2.5), 1.0, position, EXPOSURE_S, time.time())

    def abort(self) -> None:
        self.log.append("abort")

    def blank(self) -> None:
        self.blanked = True

    def restore(self) -> None:
        self.log.append("restore")


def failing_at(exposure: int) -> Callable[[int], None]:
    """A camera that fails at one exposure."""

    def trouble(number: int) -> None:
        if number == exposure:
            raise InstrumentError("The camera failed: check it, then start again.")

    return trouble
