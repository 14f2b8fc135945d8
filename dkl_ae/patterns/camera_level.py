"""What a camera counts where no electron comes, seen where the beam does not reach."""

from __future__ import annotations

import math

import numpy
import scipy.ndimage

from dkl_ae.records import BoolArray, FloatArray

FAR_RADII = 1.5
"""Beyond so many disc radii the undeflected beam leaves nothing: what is there is the camera's own."""

_SMOOTHING_PX = 9
"""Pixels within which a camera's level does not change."""

_MIN_LEVEL_ELECTRONS = 1e-3
"""Electrons in a pixel."""

_MIN_AREA_FRACTION = 0.1
"""Share of the detector; less is a corner that the beam may miss by chance."""


def camera_level(counts: FloatArray, radius: FloatArray, electron: float) -> tuple[float, float]:
    """What the camera counts where no electron comes, and how that scatters; zero where it may be electrons.

    radius: of each pixel, in disc radii.
    electron: counts that one electron adds to a pixel.
    """
    far = radius > FAR_RADII
    if far.mean() < _MIN_AREA_FRACTION:
        return 0.0, 0.0
    level, scatter = float(numpy.median(counts[far])), _scatter(counts, far)
    if max(abs(level), scatter) < _MIN_LEVEL_ELECTRONS * electron:
        return 0.0, 0.0
    height = counts[radius <= 1].mean() - level
    if scatter > 0.5 * height or _unevenness(counts, far) > 0.1 * height:
        return 0.0, 0.0  # the beam reaches there
    counting = max(level, 0.0) * electron
    if scatter**2 >= 0.5 * counting:
        # It scatters as electrons do.
        return 0.0, math.sqrt(max(scatter**2 - counting, 0.0))
    return level, scatter


def _unevenness(counts: FloatArray, chosen: BoolArray) -> float:
    """Standard deviation of what varies slowly over chosen pixels."""
    share = scipy.ndimage.uniform_filter(chosen.astype(numpy.float64), _SMOOTHING_PX, mode="constant")
    smooth = scipy.ndimage.uniform_filter(numpy.where(chosen, counts, 0.0), _SMOOTHING_PX, mode="constant")
    return float((smooth[chosen] / share[chosen]).std())


def _scatter(counts: FloatArray, chosen: BoolArray) -> float:
    """Standard deviation of chosen pixels from their neighbours': what varies slowly is no noise."""
    pairs = chosen[:, 1:] & chosen[:, :-1]
    steps = numpy.diff(counts, axis=1)[pairs]
    low, high = numpy.percentile(steps, (1, 99)) if steps.size else (0.0, 0.0)
    # Of a normal distribution that is cut off there, the deviation is 0.9346 of the whole one's.
    return float(steps[(steps >= low) & (steps <= high)].std() / 0.9346 / math.sqrt(2)) if steps.size else 0.0
