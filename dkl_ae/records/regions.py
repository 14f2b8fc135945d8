"""Pixels of a scan: the darkest, those of a region, those that are spread evenly."""

from __future__ import annotations

import math

import numpy
import scipy.ndimage

from dkl_ae.records.arrays import IntArray
from dkl_ae.records.errors import UserError
from dkl_ae.records.survey import Survey

Region = tuple[float, float, float, float]
"""Top, left, height and width as fractions of the scan."""

_PARTS = 3
"""Along each direction, of a survey that is cut into parts."""

_SURROUNDINGS = 8
"""A pixel's surroundings have this part of the survey's side."""
_ALIKE = 1e-9
"""Part of the survey's range."""


def parse_region(text: str) -> Region:
    """Read a region; raises UserError when the text is not four numbers of a region inside the scan."""
    try:
        top, left, height, width = (float(number) for number in text.split(","))
    except ValueError:
        top = left = height = width = math.nan
    if not (0 <= top < top + height <= 1 and 0 <= left < left + width <= 1):
        raise UserError(
            f"The region is '{text}': give top, left, height and width as fractions of the scan, such as "
            "0.8, 0, 0.2, 0.3."
        )
    return top, left, height, width


def darkest_pixels(survey: Survey, count: int) -> IntArray:
    """Row and column of the `count` darkest pixels of a survey, shape (count, 2): vacuum where there is any.

    In a lattice without vacuum they are the hollow sites, where symmetry makes the field vanish. The survey is
    averaged over 3 x 3 pixels first, so that what is dark is a place rather than one noisy pixel. Of equally dark ones,
    such as those without a count in a hole, those come first that have the darkest surroundings.
    """
    order = numpy.argsort(_brightness_ranks(survey), axis=None, kind="stable")[:count]
    return numpy.stack(numpy.unravel_index(order, survey.shape), axis=1)


def darkest_pixels_in(survey: Survey, region: Region, count: int) -> IntArray:
    """The same in a part of the survey; fewer where it has fewer pixels."""
    inside = pixels_in(survey.shape, region)
    order = numpy.argsort(_brightness_ranks(survey)[tuple(inside.T)], kind="stable")[:count]
    return inside[order]


def darkest_pixel_of_each_part(survey: Survey) -> IntArray:
    """Of 3 x 3 equal parts of the survey, shape (9, 2); raises UserError for one that is too small to have so many."""
    if min(survey.shape) < _PARTS:
        height, width = survey.shape
        raise UserError(
            f"A descan is measured in {_PARTS} x {_PARTS} parts of the survey, which has {height} x {width} px: choose "
            "a larger survey, or no correction."
        )
    ranks = _brightness_ranks(survey)
    pixels = []
    for rows in numpy.array_split(numpy.arange(survey.shape[0]), _PARTS):
        for columns in numpy.array_split(numpy.arange(survey.shape[1]), _PARTS):
            part = ranks[numpy.ix_(rows, columns)]
            row, column = numpy.unravel_index(int(part.argmin()), part.shape)
            pixels.append((rows[row], columns[column]))
    return numpy.array(pixels)


def pixels_in(shape: tuple[int, int], region: Region) -> IntArray:
    """Row and column of every pixel that a region touches, shape (n, 2)."""
    top, left, height, width = region
    rows, columns = (
        numpy.arange(math.floor(start * side), min(max(math.ceil((start + length) * side), 1), side))
        for start, length, side in ((top, height, shape[0]), (left, width, shape[1]))
    )
    return numpy.stack(numpy.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def spread_pixels(shape: tuple[int, int], count: int) -> IntArray:
    """Row and column of pixels that leave no part of a scan out, shape (count, 2), or of all where there are no more.

    By the additive recurrence of the plastic number: Roberts, "The unreasonable effectiveness of quasirandom sequences"
    (2018).
    """
    if count >= shape[0] * shape[1]:
        return numpy.stack(numpy.unravel_index(numpy.arange(shape[0] * shape[1]), shape), axis=1)
    plastic = 1.324717957244746
    steps = numpy.arange(1, count + 1)[:, numpy.newaxis] * numpy.array([1 / plastic, 1 / plastic**2])
    pixels: IntArray = ((0.5 + steps) % 1 * numpy.array(shape)).astype(numpy.int64)
    return pixels


def _brightness_ranks(survey: Survey) -> IntArray:
    """From 0 for the darkest pixel, shape (H, W); see `darkest_pixels`."""
    smooth, surroundings = (
        scipy.ndimage.uniform_filter(survey.image, side, mode="nearest")
        for side in (3, max(min(survey.shape) // _SURROUNDINGS, 3))
    )
    # What differs by less is alike: sums of the same numbers differ in their last digits.
    alike = numpy.round(smooth / (_ALIKE * (numpy.ptp(smooth) or 1.0)))
    ranks = numpy.empty(smooth.size, numpy.int64)
    ranks[numpy.lexsort((surroundings.ravel(), alike.ravel()))] = numpy.arange(smooth.size)
    return ranks.reshape(survey.shape)
