"""The sums over a pattern that the scalarizers share, in one matrix product."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy
import numpy.typing

from dkl_ae.patterns.reference import Reference, good_neighbours, in_mask, radii, scan_angles
from dkl_ae.records import FloatArray

Float32Array = numpy.typing.NDArray[numpy.float32]

DETECTORS = {
    "bf": (0.0, 1.0),
    "abf": (0.5, 1.0),
    "adf": (1.1, math.inf),
    "maadf": (1.1, 2.0),
    "haadf": (2.0, math.inf),
}
"""Inner and outer radius of the virtual detectors in radii of the bright-field disc; the inner edge belongs to them."""

_BEFORE_DETECTORS = 9


@dataclasses.dataclass(frozen=True, eq=False)
class Weights:
    """What each pixel counts in each sum."""

    raw: Float32Array
    """Shape (sums, ky * kx): total, disc, its y, x, yy, xx, yx, right less left, below less above, then DETECTORS, and
    rows of zeros that make the product faster."""
    dark: FloatArray
    """Shape (sums,): the sums of the camera's dark counts."""
    geometric: FloatArray
    """Shape (sums,): the sums of a pattern of ones."""


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """Sums over patterns in electrons; each array has the shape (n,) unless it says otherwise.

    The mean angle of N electrons of which each has variance s^2 has the variance s^2 / N: for a uniform disc of
    radius r this is the shot-noise limit r / (2 sqrt(N)) of each axis. The camera's read noise adds its own.
    """

    total: FloatArray
    disc: FloatArray
    """Electrons within the mask of the centre of mass."""
    y: FloatArray
    x: FloatArray
    """Centre of mass from the reference, along the scan's axes, mrad."""
    variance_y: FloatArray
    variance_x: FloatArray
    covariance: FloatArray
    """Of the centre of mass, mrad^2."""
    fractions: FloatArray
    """Shape (n, 2 + len(DETECTORS)): right less left and below less above in the bright-field disc, then the electrons
    of each virtual detector, over the total."""
    fraction_sigmas: FloatArray


@functools.lru_cache(maxsize=4)
def weights(reference: Reference) -> Weights:
    """The sums' weights, in which the detector's geometry and its bad pixels are taken into account."""
    y, x = scan_angles(reference)
    radius = radii(reference) / reference.radius_mrad
    ring = in_mask(reference)
    disc = radius <= 1
    columns = (
        numpy.ones(reference.shape), ring, ring * y, ring * x, ring * y * y, ring * x * x, ring * y * x,
        disc * _side(x, reference), disc * _side(y, reference),
        *((radius >= inner) & (radius <= outer) for inner, outer in DETECTORS.values()),
    )  # fmt: skip
    raw = numpy.stack([numpy.asarray(column, numpy.float64).ravel() for column in columns])
    geometric = raw.sum(axis=1)
    if reference.bad_pixels is not None:
        _share_among_neighbours(raw, reference)
    dark = numpy.zeros(len(columns))
    if reference.dark is not None and reference.threshold is None:
        dark = raw @ numpy.broadcast_to(reference.dark, reference.shape).ravel()
    # Products of this precision are twice as fast, and the rounding is far below the counting noise; and they are
    # fastest where the number of sums is a multiple of eight.
    padded = numpy.zeros((-(-len(raw) // 8) * 8, raw.shape[1]), numpy.float32)
    padded[: len(raw)] = raw
    return Weights(padded, dark, geometric)


def _side(angle: FloatArray, reference: Reference) -> FloatArray:
    """1 and -1 on either side; pixels that the line between crosses are shared."""
    half = min(reference.mrad_per_pixel) / 2
    side: FloatArray = numpy.clip(angle / half, -1, 1)
    return side


def _share_among_neighbours(raw: FloatArray, reference: Reference) -> None:
    """A bad pixel counts as the mean of its good neighbours: they take over its weight."""
    assert reference.bad_pixels is not None
    width = reference.shape[1]
    for row, column, rows, columns in good_neighbours(reference.bad_pixels):
        bad = row * width + column
        raw[:, rows * width + columns] += raw[:, [bad]] / rows.size
        raw[:, bad] = 0


@functools.lru_cache(maxsize=4)
def difference_slopes(reference: Reference) -> tuple[float, float] | None:
    """By how much the two differences grow when the undeflected beam moves by 1 mrad along the scan's y and x, over the
    electrons in the bright-field disc; None where the reference's pattern is not known.

    One half of a sharp disc stays full then, and the other loses its edge: how sharp it is the pattern tells.
    """
    if reference.pattern is None:
        return None
    along_ky, along_kx = numpy.gradient(reference.pattern)
    by_angle = numpy.stack([along_ky / reference.mrad_per_pixel[0], along_kx / reference.mrad_per_pixel[1]])
    to_detector = numpy.linalg.inv(reference.geometry.to_scan)
    moved = -numpy.tensordot(to_detector.T, by_angle, 1).reshape(2, -1)
    right, below, bright = weights(reference).raw[_BEFORE_DETECTORS - 2 : _BEFORE_DETECTORS + 1].astype(numpy.float64)
    in_disc = float(bright @ reference.pattern.ravel())
    return float(below @ moved[0]) / in_disc, float(right @ moved[1]) / in_disc


def sums(counts: numpy.typing.NDArray[numpy.number], reference: Reference) -> FloatArray:
    """Weighted sums of patterns, shape (n, ky, kx), in electrons: shape (n, sums)."""
    plan = weights(reference)
    flat = counts.reshape(len(counts), -1).astype(numpy.float32, copy=False)
    with numpy.errstate(invalid="ignore"):  # pixels that are not numbers are dealt with by who asks
        added = flat @ plan.raw.T
    return (added[:, : plan.dark.size].astype(numpy.float64) - plan.dark) / reference.counts_per_electron


def moments(
    added: FloatArray,
    reference: Reference,
    positions: FloatArray | None = None,
    shifts_mrad: FloatArray | None = None,
) -> Moments:
    """What the sums of `sums` mean.

    positions: shape (n, 2), see `Reference.zero_at`.
    shifts_mrad: of the zero, (y, x) for each pattern, shape (n, 2).
    """
    zero_y, zero_x = reference.zero_at(positions)
    if shifts_mrad is not None:
        zero_y, zero_x = zero_y + shifts_mrad[:, 0], zero_x + shifts_mrad[:, 1]
    total, disc = added[:, :2].T
    ones = weights(reference).geometric
    noise = reference.read_noise_electrons**2
    with numpy.errstate(divide="ignore", invalid="ignore"):
        y, x, yy, xx, yx = added[:, 2:7].T / disc
        spread = numpy.stack([yy - y * y, xx - x * x, yx - y * x]) / disc
        if noise:
            spread += noise * _read_noise_spread(y, x, ones) / disc**2
        fractions = added[:, _BEFORE_DETECTORS - 2 :] / total[:, numpy.newaxis]
        # Every electron of the disc counts in the two differences, with one sign or the other.
        within = fractions.copy()
        within[:, :2] = fractions[:, 2:3]
        electron = 1 / total[:, numpy.newaxis]
        # Where no electron came, one might have.
        variance = numpy.maximum(within - fractions**2, electron) * electron
        if noise:
            pixels = numpy.concatenate([ones[[_BEFORE_DETECTORS] * 2], ones[_BEFORE_DETECTORS:]])
            shared = numpy.where(numpy.arange(pixels.size) < 2, 0.0, pixels)
            read = pixels - 2 * fractions * shared + fractions**2 * ones[0]
            variance += noise * read * electron**2
        variance_y, variance_x, covariance = spread
        return Moments(
            total=total,
            disc=disc,
            y=y - zero_y,
            x=x - zero_x,
            variance_y=numpy.maximum(variance_y, 0),
            variance_x=numpy.maximum(variance_x, 0),
            covariance=covariance,
            fractions=fractions,
            fraction_sigmas=numpy.sqrt(variance),
        )


def _read_noise_spread(y: FloatArray, x: FloatArray, ones: FloatArray) -> FloatArray:
    """Sums over the mask's pixels of the squared and mixed distances from the centre of mass, shape (3, n)."""
    count, sum_y, sum_x, sum_yy, sum_xx, sum_yx = ones[1:7]
    return numpy.stack(
        [
            sum_yy - 2 * y * sum_y + count * y * y,
            sum_xx - 2 * x * sum_x + count * x * x,
            sum_yx - y * sum_x - x * sum_y + count * y * x,
        ]
    )
