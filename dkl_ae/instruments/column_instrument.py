"""A run without Swift and without a microscope: a column behind the interface that runs know."""

from __future__ import annotations

import time

import numpy

from dkl_ae.instruments.instrument import Frame, SurveySize
from dkl_ae.records import (
    DEFAULT_BEAM_CURRENT_A,
    DEFAULT_EXPOSURE_S,
    ELEMENTARY_CHARGE_C,
    InstrumentError,
    Position,
    Survey,
    UserError,
)
from dkl_ae.simulation import Column


class ColumnInstrument:
    """Exposes as fast as it can compute. See `dkl_ae.instruments.Instrument`.

    pixel_time_s: dwell time of the survey, which has the column's usual sampling and its first channel.
    """

    def __init__(
        self,
        column: Column,
        *,
        exposure_s: float = DEFAULT_EXPOSURE_S,
        pixel_time_s: float = 40e-6,
        beam_current_a: float = DEFAULT_BEAM_CURRENT_A,
    ) -> None:
        self._column = column
        self._exposure_s = exposure_s
        self._pixel_time_s = pixel_time_s
        self.beam_current_a: float | None = beam_current_a
        self._electrons_per_s = beam_current_a / ELEMENTARY_CHARGE_C
        self.survey_exposure_s = 0.0

    def prepare(self) -> None:
        """Nothing runs and no beam is on."""

    @property
    def survey_size(self) -> SurveySize:
        shape = self._column.scan_shape
        return SurveySize(shape, max(self._column.extent_nm) / max(shape))

    def acquire_survey(self) -> Survey:
        shape, extent = self._column.scan_shape, self._column.extent_nm
        rows, columns = ((numpy.arange(n) + 0.5) * side / n for n, side in zip(shape, extent, strict=True))
        y, x = numpy.meshgrid(rows, columns, indexing="ij")
        electrons = self._electrons_per_s * self._pixel_time_s
        image = self._column.scan(self._column.channels[0], y, x, electrons, self._pixel_time_s)
        self._column.irradiate(y, x, electrons)
        self.survey_exposure_s = image.size * self._pixel_time_s
        # Swift's frames have this precision.
        return Survey(image.astype(numpy.float32).astype(float), self.survey_size.pixel_size_nm)

    def adopt_survey(self, survey: Survey) -> None:
        height, width = (side * survey.pixel_size_nm for side in survey.shape)
        if not numpy.allclose((height, width), self._column.extent_nm, rtol=1e-3):
            there = " x ".join(f"{side:.4g}" for side in self._column.extent_nm)
            raise InstrumentError(
                f"The survey shows {height:.4g} x {width:.4g} nm but {self._column.name} {there} nm: choose the "
                "specimen that the run began on."
            )

    def acquire_pattern(self, position: Position) -> Frame:
        height, width = self._column.extent_nm
        electrons = self._electrons_per_s * self._exposure_s
        try:
            pattern = self._column.expose(position.y * height, position.x * width, electrons, self._exposure_s)
        except UserError as error:
            raise InstrumentError(str(error)) from error
        return Frame(
            pattern,
            self._column.mrad_per_pixel,
            self._column.counts_per_electron,
            position,
            self._exposure_s,
            time.time(),
        )

    def abort(self) -> None:
        """An exposure takes no time."""

    def blank(self) -> None:
        """No beam is on."""

    def restore(self) -> None:
        """Nothing was changed."""
