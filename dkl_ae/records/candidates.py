"""The candidates of a run: where it may measure, and what a model sees of each place."""

from __future__ import annotations

import dataclasses
import functools
import typing

import numpy
import numpy.typing

from dkl_ae.records.arrays import AnyArray, FeatureArray, FloatArray
from dkl_ae.records.errors import UserError
from dkl_ae.records.survey import Survey
from dkl_ae.records.survey_cleaning import cleaned


def centred_size(size: int) -> int:
    """The next patch size that has a central pixel: an even window would sit half a pixel off its candidate."""
    return size + 1 - size % 2


class Candidates(typing.Protocol):
    """What there is to choose from: the patches of a survey, or any other finite set, such as a grid of parameters."""

    @property
    def count(self) -> int:
        """How many there are; they are numbered from 0."""

    @property
    def features(self) -> FeatureArray:
        """What a model sees of each, shape (count, features)."""

    def distances_nm(self, candidate: int) -> FloatArray:
        """How far every candidate is from one, shape (count,)."""

    def to_map(self, values: numpy.typing.ArrayLike) -> FloatArray:
        """Lay out one value for each candidate for people to see."""


@dataclasses.dataclass(frozen=True, eq=False)
class Patches:
    """The square windows of a survey; each is centred on the pixel of one candidate.

    A candidate is a pixel whose window lies inside the survey. Candidates are numbered row by row. On a large survey
    they may be thinned: each then stands for the pixels around it.

    Attributes
    ----------
    survey : Survey
        The patches are views of it.
    size : int
        Side in pixels, odd: an even window would sit half a pixel off its candidate.
    spacing : int
        Pixels from one candidate to the next, along rows and columns.

    Raises
    ------
    UserError
        When the size is not a positive odd number, or the survey is smaller than one patch.
    """

    survey: Survey
    size: int
    spacing: int = 1

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UserError(f"The patch size is {self.size} px: choose a positive odd number such as 13.")
        if self.size % 2 == 0:
            raise UserError(
                f"The patch size is {self.size} px, which has no central pixel: choose {centred_size(self.size)}."
            )
        height, width = self.survey.shape
        if self.size > min(height, width):
            raise UserError(
                f"The patch size is {self.size} px but the survey is {height} x {width} px: "
                "choose a smaller patch or a larger survey."
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of candidates."""
        height, width = self.inner_shape
        return (height - 1) // self.spacing + 1, (width - 1) // self.spacing + 1

    @property
    def inner_shape(self) -> tuple[int, int]:
        """Rows and columns of pixels whose patches lie inside the survey."""
        height, width = self.survey.shape
        return height - self.size + 1, width - self.size + 1

    @property
    def count(self) -> int:
        """Number of candidates."""
        rows, columns = self.grid
        return rows * columns

    @property
    def windows(self) -> FloatArray:
        """Shape (rows, columns, size, size); a view of the survey, nothing is copied."""
        return self._windows_of(self.survey.image)

    @functools.cached_property
    def features(self) -> numpy.typing.NDArray[numpy.float32]:
        """Shape (candidates, size * size): the patches of the survey scaled to zero mean and unit deviation.

        The scale is the survey's, not each patch's: brightness carries the number of atoms. Wild pixels are brought
        back to their neighbours, and a slow background is taken off.
        """
        image = cleaned(self.survey.image, self.size).image
        scaled = ((image - image.mean()) / image.std()).astype(numpy.float32)
        return self._windows_of(scaled).reshape(self.count, self.size * self.size)

    @functools.cached_property
    def positions_nm(self) -> FloatArray:
        """Row and column of each candidate in nanometres from the first one's, shape (candidates, 2)."""
        pixels = numpy.stack(numpy.unravel_index(numpy.arange(self.count), self.grid), axis=1)
        return numpy.asarray(pixels * (self.spacing * self.survey.pixel_size_nm), numpy.float64)

    @functools.cached_property
    def relative_positions(self) -> FloatArray:
        """The same as fractions of the survey's longer side."""
        return self.positions_nm / (max(self.survey.shape) * self.survey.pixel_size_nm)

    def distances_nm(self, candidate: int) -> FloatArray:
        """Of every candidate from one, shape (candidates,)."""
        distances: FloatArray = numpy.hypot(*(self.positions_nm - self.positions_nm[candidate]).T)
        return distances

    def pixel(self, candidate: int) -> tuple[int, int]:
        """The survey pixel of a candidate.

        Returns
        -------
        row, column : int
            From 0.
        """
        row, column = divmod(candidate, self.grid[1])
        return row * self.spacing + self.size // 2, column * self.spacing + self.size // 2

    def candidate(self, row: int, column: int) -> int:
        """The candidate that stands for a survey pixel: the nearest one.

        Raises
        ------
        UserError
            When its patch would leave the survey.
        """
        margin = self.size // 2
        height, width = self.inner_shape
        if not (0 <= row - margin < height and 0 <= column - margin < width):
            raise UserError(
                f"The patch around pixel ({row}, {column}) leaves the survey: "
                f"choose a pixel at least {margin} px from the edge."
            )
        nearest = (
            min((inner + self.spacing // 2) // self.spacing, candidates - 1)
            for inner, candidates in zip((row - margin, column - margin), self.grid, strict=True)
        )
        return int(numpy.ravel_multi_index(tuple(nearest), self.grid))

    def inside(self, image: AnyArray) -> AnyArray:
        """A view of a map of the survey's shape without the margin in which no patch fits: shape `inner_shape`."""
        margin = self.size // 2
        height, width = self.inner_shape
        return image[margin : margin + height, margin : margin + width]

    def to_map(self, values: numpy.typing.ArrayLike, *, circular: bool = False) -> FloatArray:
        """Lay out one value for each candidate as a map, and what is linear between them where they are thinned.

        Parameters
        ----------
        values : array_like, shape (candidates,)
        circular : bool
            Whether they are angles in radian.

        Returns
        -------
        ndarray of float, shape (H, W)
            NaN in the margin, where no patch fits.
        """
        image = numpy.full(self.survey.shape, numpy.nan)
        grid = numpy.reshape(numpy.asarray(values, numpy.float64), self.grid)
        if self.spacing == 1:
            self.inside(image)[...] = grid
        elif circular:
            between = numpy.angle(self._between(numpy.exp(1j * grid)))
            between[:: self.spacing, :: self.spacing] = grid
            self.inside(image)[...] = between
        else:
            self.inside(image)[...] = self._between(grid)
        return image

    def _between(self, grid: AnyArray) -> AnyArray:
        """Linear between the candidates, and as the nearest beyond the last: shape `inner_shape`."""
        height, width = self.inner_shape
        return self._between_rows(self._between_rows(grid, height).T, width).T

    def _between_rows(self, grid: AnyArray, length: int) -> AnyArray:
        """So many rows, of which every `spacing`-th is one of the grid's."""
        rows = numpy.empty((length, grid.shape[1]), grid.dtype, order="F" if grid.flags.f_contiguous else "C")
        following = numpy.concatenate([grid[1:], grid[-1:]])
        for step in range(self.spacing):
            between = rows[step :: self.spacing]
            count = len(between)
            # On a candidate its own value counts alone, though its neighbour has none.
            between[...] = grid[:count] + step / self.spacing * (following[:count] - grid[:count]) if step else grid
        return rows

    def _windows_of(self, image: AnyArray) -> AnyArray:
        windows = numpy.lib.stride_tricks.sliding_window_view(image, (self.size, self.size))
        return windows[:: self.spacing, :: self.spacing]
