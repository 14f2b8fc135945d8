"""A microscope that counts its exposures, and takes no time: small patterns of a disc that wanders over the survey."""

from __future__ import annotations

import numpy

from dkl_ae.instruments import Frame, SurveySize
from dkl_ae.records import Position, Survey

_SIDE = 16
_RADIUS = 4.2


class CountingInstrument:
    """See `dkl_ae.instruments.Instrument`.

    is_known: whether the survey's size is known before it is acquired.
    """

    def __init__(self, shape: tuple[int, int] = (12, 12), pixel_size_nm: float = 0.1, *, is_known: bool = True) -> None:
        self.shape = shape
        self.pixel_size_nm = pixel_size_nm
        self._is_known = is_known
        self.surveys = 0
        self.exposures = 0
        self.blanked = False
        self.restored = 0
        self.beam_current_a: float | None = 1e-11
        self.survey_exposure_s = 0.1

    @property
    def survey_size(self) -> SurveySize | None:
        return SurveySize(self.shape, self.pixel_size_nm) if self._is_known else None

    def prepare(self) -> None:
        self.blanked = True

    def acquire_survey(self) -> Survey:
        self.surveys += 1
        image = numpy.random.default_rng(7).normal(size=self.shape).cumsum(axis=0).cumsum(axis=1)
        return Survey(image, self.pixel_size_nm)

    def adopt_survey(self, survey: Survey) -> None:
        pass

    def acquire_pattern(self, position: Position) -> Frame:
        self.exposures += 1
        self.blanked = False
        try:
            ky, kx = numpy.indices((_SIDE, _SIDE)) - (_SIDE - 1) / 2
            distance = numpy.hypot(ky - 0.6 * position.y, kx - 0.8 * position.x**2)
            counts = 2000 * numpy.clip(_RADIUS + 0.5 - distance, 0, 1) + 3
            return Frame(counts.astype(numpy.uint16), (5.0, 5.0), 1.0, position, 0.01, 1e9 + self.exposures)
        finally:
            self.blank()

    def abort(self) -> None:
        pass

    def blank(self) -> None:
        self.blanked = True

    def restore(self) -> None:
        self.restored += 1
