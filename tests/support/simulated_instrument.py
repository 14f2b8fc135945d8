"""A dry run whose beam is watched: what runs do to it, in trouble too."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy
import scipy.constants

from dkl_ae.instruments import Frame
from dkl_ae.instruments.column_instrument import ColumnInstrument
from dkl_ae.records import DEFAULT_BEAM_CURRENT_A, InstrumentError, Position
from dkl_ae.simulation import VirtualColumn, graphene_with_silicon

ELECTRONS_PER_S = DEFAULT_BEAM_CURRENT_A / scipy.constants.elementary_charge
SURVEY_S = 0.32
EXPOSURE_S = 0.01


class SimulatedInstrument(ColumnInstrument):
    """Logs what is done to the beam; trouble(exposure number) may raise, or return a pattern to read instead."""

    def __init__(self, seed: int = 0, trouble: Callable[[int], numpy.ndarray | None] | None = None) -> None:
        self.column = _column(seed)
        self.column.scan_shape = (40, 40)
        super().__init__(self.column, exposure_s=EXPOSURE_S, pixel_time_s=SURVEY_S / 1600)
        self.log: list[str] = []
        self.blanked = False
        self.exposures = 0
        self._trouble = trouble or (lambda exposure: None)

    def prepare(self) -> None:
        self.log.append("prepare")
        self.blank()

    def acquire_pattern(self, position: Position) -> Frame:
        assert self.blanked, "the probe moves only while the beam is blanked"
        self.exposures += 1
        self.blanked = False
        try:
            pattern = self._trouble(self.exposures)
            frame = super().acquire_pattern(position)
            return frame if pattern is None else dataclasses.replace(frame, pattern=pattern)
        finally:
            self.blank()

    def abort(self) -> None:
        self.log.append("abort")

    def blank(self) -> None:
        self.blanked = True

    def restore(self) -> None:
        self.log.append("restore")


def _column(seed: int) -> VirtualColumn:
    """As VirtualColumn(graphene_with_silicon(), seed=seed) is, but the atoms' potential is summed up once for all."""
    pristine = _pristine()
    column = VirtualColumn(pristine.specimen, seed=seed)
    column._patterns, column._images = pristine.patterns, pristine.images
    return column


@functools.cache
def _pristine() -> VirtualColumn:
    return VirtualColumn(graphene_with_silicon())


def failing_at(exposure: int) -> Callable[[int], None]:
    """A camera that fails at one exposure."""

    def trouble(number: int) -> None:
        if number == exposure:
            raise InstrumentError("The camera failed: check it, then start again.")

    return trouble
