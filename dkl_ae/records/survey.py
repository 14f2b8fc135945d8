"""The survey image, and the patches around its pixels."""

from __future__ import annotations

import dataclasses
import math

import numpy
import numpy.typing

from dkl_ae.records.arrays import FloatArray
from dkl_ae.records.errors import UserError
from dkl_ae.records.measurement import Position


@dataclasses.dataclass(frozen=True, eq=False)
class Survey:
    """The image that spans the search space.

    Attributes
    ----------
    image : ndarray of float, shape (H, W)
        Of arbitrary intensity.
    pixel_size_nm : float
        Side of a pixel, in nm.

    Raises
    ------
    UserError
        When the image is not two-dimensional, holds NaN or infinity, or is constant: nothing can be learned from such
        a survey. Also when the pixel size is not positive.
    """

    image: FloatArray
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
        if not 0 < self.pixel_size_nm < math.inf:
            raise UserError(f"The survey's pixel size is {self.pixel_size_nm:g} nm: calibrate the scan first.")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.image.shape[0], self.image.shape[1]

    def position(self, row: int, column: int) -> Position:
        """The centre of a pixel.

        Parameters
        ----------
        row, column : int
            The pixel, from 0.

        Returns
        -------
        Position
            As a fraction of the survey.
        """
        height, width = self.shape
        return Position(y=(row + 0.5) / height, x=(column + 0.5) / width)

    def offset_nm(self, position: Position) -> tuple[float, float]:
        """How far a position is from the survey's centre, from where users count.

        Returns
        -------
        y_nm, x_nm : float
            How far below it and to its right, in nm.
        """
        height, width = (side * self.pixel_size_nm for side in self.shape)
        return (position.y - 0.5) * height, (position.x - 0.5) * width

    def moved(self, position: Position, y_nm: float, x_nm: float) -> Position:
        """The position so far below and to the right of another."""
        height, width = (side * self.pixel_size_nm for side in self.shape)
        return Position(y=position.y + y_nm / height, x=position.x + x_nm / width)
