"""The survey image, and the patches around its pixels."""

from __future__ import annotations

import dataclasses

import numpy
import numpy.typing

from dkl_ae.records.arrays import FloatArray
from dkl_ae.records.errors import UserError
from dkl_ae.records.measurement import Position


@dataclasses.dataclass(frozen=True, eq=False)
class Survey:
    """The image that spans the search space.

    Raises UserError when the image is not two-dimensional, holds NaN or infinity, or is constant: nothing can
    be learned from such a survey.
    """

    image: FloatArray
    """Shape (H, W), arbitrary intensity."""
    pixel_size_nm: float

    def __post_init__(self) -> None:
        if self.image.ndim != 2:
            raise UserError(f"The survey has {self.image.ndim} dimensions: choose a two-dimensional image.")
        bad = int(numpy.count_nonzero(~numpy.isfinite(self.image)))
        if bad:
            raise UserError(f"The survey has {bad} pixels that are not numbers: acquire it again.")
        if self.image.min() == self.image.max():
            raise UserError(
                f"Every pixel of the survey is {self.image.flat[0]:g}: "
                "check that the beam is on and the detector is inserted, then acquire it again."
            )
        if not self.pixel_size_nm > 0:
            raise UserError(f"The survey's pixel size is {self.pixel_size_nm:g} nm: calibrate the scan first.")

    @property
    def shape(self) -> tuple[int, int]:
        return self.image.shape[0], self.image.shape[1]

    def position(self, row: int, column: int) -> Position:
        """The centre of a pixel as a fraction of the survey."""
        height, width = self.shape
        return Position(y=(row + 0.5) / height, x=(column + 0.5) / width)

    def offset_nm(self, position: Position) -> tuple[float, float]:
        """How far below and to the right of the survey's centre a position is; users count from there."""
        height, width = (side * self.pixel_size_nm for side in self.shape)
        return (position.y - 0.5) * height, (position.x - 0.5) * width

    def moved(self, position: Position, y_nm: float, x_nm: float) -> Position:
        """The position so far below and to the right of another."""
        height, width = (side * self.pixel_size_nm for side in self.shape)
        return Position(y=position.y + y_nm / height, x=position.x + x_nm / width)
