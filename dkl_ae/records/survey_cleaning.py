"""What is in a survey beside the specimen: wild pixels, and a slow background."""

from __future__ import annotations

import dataclasses
import math
import typing

import numpy
import scipy.ndimage

from dkl_ae.records.arrays import FloatArray

_WINDOW: typing.Final = 5
"""Side of a pixel's neighbourhood, in pixels."""
_WILD_NEIGHBOURS: typing.Final = 5
"""So many pixels of a neighbourhood may be wild at once: a row of it, for instance."""
_LIMIT: typing.Final = 10.0
"""How far a pixel may be beyond its neighbours, in deviations of pixels from the median of their neighbourhoods."""
_TRIMMED: typing.Final = 0.05
"""Share of the pixels, those farthest off, that do not count for that deviation."""
_SAMPLED: typing.Final = 40_000
"""From about as many pixels it is found."""
_EXTREMES: typing.Final = (scipy.ndimage.minimum_filter, scipy.ndimage.maximum_filter)
_SIGNIFICANT: typing.Final = 4.0
"""A background is there when the usual slope is this many of its standard errors."""
_DEVIATION_OF_MEDIAN: typing.Final = 1.4826
"""One standard deviation of a normal distribution, in median absolute deviations."""
_ROUNDING: typing.Final = 1e-9


@dataclasses.dataclass(frozen=True, eq=False)
class CleanedSurvey:
    """A survey without what is no specimen."""

    image: FloatArray
    """Shape (H, W); the survey's own where there was nothing else in it."""
    wild_pixels: int
    """So many were brought back to their neighbours."""
    background: float
    """How far the background that was taken off rises over the survey, in standard deviations of what is left; 0 where
    there was none."""


def cleaned(image: FloatArray, size: int) -> CleanedSurvey:
    """A survey with wild pixels brought back to their neighbours, and a slow background taken off.

    size: side of a patch, in pixels.
    """
    tamed = without_wild_pixels(image)
    wild_pixels = int(numpy.count_nonzero(tamed != image))
    background = slow_background(tamed, size)
    # A survey that is nothing but a slope is all that there is to see.
    if background is None or not numpy.ptp(tamed - background) > _ROUNDING * numpy.ptp(tamed):
        return CleanedSurvey(tamed, wild_pixels, 0.0)
    left = tamed - background
    return CleanedSurvey(left, wild_pixels, float(numpy.ptp(background) / left.std()))


def without_wild_pixels(image: FloatArray) -> FloatArray:
    """The image with every pixel that is far beyond its neighbours brought back to as far as may be.

    A pixel may exceed the sixth highest of its 5 x 5 neighbourhood by ten deviations, or by the whole image's if that
    is more, and be as far below the sixth lowest. The image of an atom spreads over pixels, and stays as it is; a
    single bright pixel stays the brightest, but does not rule the scale of all others. An image without wild pixels
    comes back unchanged.
    """
    # In the largest value, so that squares of wild ones do not overflow.
    unit = float(numpy.abs(image).max()) or 1.0
    scaled = image / unit
    window = (min(_WINDOW, image.shape[0]), min(_WINDOW, image.shape[1]))
    # Neighbourhoods stay inside the image: were it mirrored at its edge, a wild row would count twice.
    neighbourhoods = numpy.lib.stride_tricks.sliding_window_view(scaled, window)
    reach = max(_LIMIT * _usual_distance(scaled, neighbourhoods), _trimmed_deviation(scaled - numpy.median(scaled)))
    if reach == 0 or math.prod(window) <= 2 * _WILD_NEIGHBOURS:  # there is no telling what is usual
        return image
    lowest, highest = (extreme(scaled, size=2 * _WINDOW - 1) for extreme in _EXTREMES)
    suspects = numpy.nonzero((scaled - lowest > reach) | (highest - scaled > reach))
    corners = tuple(
        numpy.clip(index - _WINDOW // 2, 0, side - 1)
        for index, side in zip(suspects, neighbourhoods.shape[:2], strict=True)
    )
    ordered = numpy.sort(neighbourhoods[corners].reshape(-1, math.prod(window)), axis=1)
    low, high = ordered[:, _WILD_NEIGHBOURS] - reach, ordered[:, -_WILD_NEIGHBOURS - 1] + reach
    found = scaled[suspects]
    is_wild = (found < low) | (found > high)
    if not is_wild.any():
        return image
    tamed = image.astype(numpy.float64)
    tamed[suspects] = numpy.where(is_wild, numpy.clip(found, low, high) * unit, image[suspects])
    return tamed


def _usual_distance(scaled: FloatArray, neighbourhoods: FloatArray) -> float:
    """Of pixels from the median of their neighbourhoods: a root mean square over a part of them."""
    stride = max(math.isqrt(scaled.size // _SAMPLED), 1)
    part = neighbourhoods[::stride, ::stride]
    middle = numpy.median(part.reshape(*part.shape[:2], -1), axis=2)
    down, right = (side // 2 for side in neighbourhoods.shape[2:])
    own = scaled[down:, right:][: neighbourhoods.shape[0] : stride, : neighbourhoods.shape[1] : stride]
    return _trimmed_deviation(own - middle)


def _trimmed_deviation(differences: FloatArray) -> float:
    distances = numpy.sort(numpy.abs(differences), axis=None)
    usual = distances[: max(round((1 - _TRIMMED) * distances.size), 1)]
    return float(numpy.sqrt(numpy.mean(usual**2)))


def slow_background(image: FloatArray, size: int) -> FloatArray | None:
    """The plane, of zero mean, whose slope the image has at most places; None where it has none.

    A step, a hole or a dopant slopes in some places, a background everywhere: the slope is the median of the slopes
    over half a patch, and counts when it is far from zero in its standard errors.

    size: side of a patch, in pixels.
    """
    # Wider slopes are steadier, but a hole reaches farther into them.
    width = size // 4 * 2 + 1
    if min(image.shape) < 3 * width:
        return None
    margin = width // 2
    smooth = scipy.ndimage.uniform_filter(image, width, mode="nearest")
    smooth = smooth[margin : image.shape[0] - margin, margin : image.shape[1] - margin]
    slopes = [(smooth[width:] - smooth[:-width]) / width, (smooth[:, width:] - smooth[:, :-width]) / width]
    usual = [float(numpy.median(slope)) for slope in slopes]
    deviations = [
        _DEVIATION_OF_MEDIAN * float(numpy.median(numpy.abs(slope - middle)))
        for slope, middle in zip(slopes, usual, strict=True)
    ]
    independent = image.size / width**2
    error = math.hypot(*deviations) * math.sqrt(math.pi / 4 / independent)
    if not math.hypot(*usual) > _SIGNIFICANT * error:
        return None
    down, right = (
        slope * (numpy.arange(side) - (side - 1) / 2) for slope, side in zip(usual, image.shape, strict=True)
    )
    background: FloatArray = down[:, numpy.newaxis] + right
    return background
