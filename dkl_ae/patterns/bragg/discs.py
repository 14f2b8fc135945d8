"""Finding the discs of a nano-beam diffraction pattern: where more electrons stand than the background explains."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy
import numpy.typing
import scipy.fft
import scipy.ndimage

from dkl_ae.records import BoolArray, FloatArray, IntArray

SEARCH_SIGNIFICANCE = 4.0
"""Standard deviations a disc must stand above the background to be found: a pattern holds some hundred places
to look, so that chance passes this about once in a hundred patterns, and four times in one practically never."""

MIN_BACKGROUND_ELECTRONS = 0.1
"""Electrons in a disc's area below which no pattern can tell its background: there are only so many empty places
to count in."""

_SEARCH_RADIUS_PX = 5.0
"""Pixels of a disc's radius for the search. Finer pixels are summed: the fit looks at each of them later."""

_MIN_VISIBLE_FRACTION = 0.6
"""Part of a disc's area that must lie on the detector and clear of the central disc."""

MIN_DISTANCE_RADII = 1.8
"""Disc radii from the centre within which no disc is sought: those of a nano-beam do not overlap, but the streaks of a
strain gradient start at the central disc."""

_RING_SAMPLES = 48
"""Places looked at round each ring for its background."""


@dataclasses.dataclass(frozen=True)
class DiscGeometry:
    """How angles lie on the detector."""

    shape: tuple[int, int]
    """Detector pixels along ky and kx."""
    centre: tuple[float, float]
    """Centre of the undeflected central disc in pixels, along ky and kx."""
    mrad_per_pixel: tuple[float, float]
    radius_mrad: float
    """Radius of every disc: the convergence angle."""

    def coarser(self, radius_px: float) -> tuple[DiscGeometry, tuple[int, int]]:
        """With as many pixels summed along each axis as leave a disc this radius in pixels, and how many those are."""
        binning = tuple(max(1, int(self.radius_mrad / pixel / radius_px)) for pixel in self.mrad_per_pixel)
        rows, columns = binning
        summed = DiscGeometry(
            (self.shape[0] // rows, self.shape[1] // columns),
            ((self.centre[0] + 0.5) / rows - 0.5, (self.centre[1] + 0.5) / columns - 0.5),
            (self.mrad_per_pixel[0] * rows, self.mrad_per_pixel[1] * columns),
            self.radius_mrad,
        )
        return summed, (rows, columns)

    @property
    def y(self) -> FloatArray:
        """Angles of the rows from the centre, mrad."""
        return (numpy.arange(self.shape[0], dtype=numpy.float64) - self.centre[0]) * self.mrad_per_pixel[0]

    @property
    def x(self) -> FloatArray:
        """Angles of the columns from the centre, mrad."""
        return (numpy.arange(self.shape[1], dtype=numpy.float64) - self.centre[1]) * self.mrad_per_pixel[1]


def summed(electrons: FloatArray, binning: tuple[int, int]) -> FloatArray:
    """Patterns, shape (..., ky, kx), with this many pixels added along each axis; a rest at its end is left out."""
    if binning == (1, 1):
        return electrons
    rows, columns = electrons.shape[-2] // binning[0], electrons.shape[-1] // binning[1]
    whole = electrons[..., : rows * binning[0], : columns * binning[1]]
    added: FloatArray = whole.reshape(*whole.shape[:-2], rows, binning[0], columns, binning[1]).sum(axis=(-3, -1))
    return added


@dataclasses.dataclass(frozen=True, eq=False)
class _Search:
    """All of a search that depends on the geometry only; arrays have the shape of the pattern."""

    clear: BoolArray
    """Pixels outside the central disc."""
    template: numpy.typing.NDArray[numpy.complex128]
    """Conjugate Fourier transforms of the disc and of a paraboloid over it, shape (2, ...) of `transform_shape`."""
    transform_shape: tuple[int, int]
    area: FloatArray
    """Pixels of a disc centred here that are on the detector and outside the central disc."""
    allowed: BoolArray
    """Places at which enough of a disc can be seen."""
    rings: IntArray
    """Shape (rings, samples): flat indices of allowed places round each ring about the centre."""
    ring: IntArray
    """Ring of each pixel."""
    neighbourhood: tuple[int, int]
    """Pixels in which a disc is the only one."""


def central_radius(geometry: DiscGeometry) -> float:
    """Radius in mrad inside which pixels belong to the central disc and its edge.

    The central disc holds ten thousand times the electrons of a diffracted disc: without this mask its edge
    dominates every correlation.
    """
    return 1.15 * geometry.radius_mrad + max(geometry.mrad_per_pixel)


def disc_profile(distance: FloatArray, radius_mrad: float, edge_mrad: float | FloatArray) -> FloatArray:
    """Part of each pixel that a disc covers, for pixels at this distance (mrad) from the disc's centre.

    A pixel integrates over its width, so that the edge is a ramp as wide as a pixel.
    """
    covered: FloatArray = numpy.clip((radius_mrad - distance) / edge_mrad + 0.5, 0, 1)
    return covered


def significance(counted: FloatArray, background: FloatArray) -> FloatArray:
    """Standard deviations by which Poisson counts exceed their expected background.

    The square root of twice the log likelihood ratio (Li & Ma, Astrophys. J. 272 (1983) 317, for a known
    background): right also for a few electrons over nearly none, where the excess over its root is not.
    """
    more = counted > background
    ratio = numpy.divide(counted, background, out=numpy.ones_like(counted), where=more)
    root: FloatArray = numpy.sqrt(2 * numpy.maximum(counted * numpy.log(ratio) - (counted - background) * more, 0))
    return root


@functools.lru_cache(maxsize=4)
def _search(geometry: DiscGeometry) -> _Search:
    radius, pixel = geometry.radius_mrad, geometry.mrad_per_pixel
    distance = numpy.hypot(geometry.y[:, numpy.newaxis], geometry.x)
    clear = distance > central_radius(geometry)
    half = tuple(math.ceil(radius / p + 0.5) for p in pixel)
    from_middle = numpy.hypot(
        (numpy.arange(-half[0], half[0] + 1) * pixel[0])[:, numpy.newaxis],
        numpy.arange(-half[1], half[1] + 1) * pixel[1],
    )
    disc = disc_profile(from_middle, radius, max(pixel))
    paraboloid = numpy.maximum(1 - (from_middle / (1.1 * radius)) ** 2, 0)
    transform_shape = tuple(
        scipy.fft.next_fast_len(size + 2 * margin, real=True) for size, margin in zip(geometry.shape, half, strict=True)
    )
    padded = numpy.zeros((2, *transform_shape))
    padded[:, : disc.shape[0], : disc.shape[1]] = disc, paraboloid
    padded = numpy.roll(padded, (-half[0], -half[1]), axis=(1, 2))
    template = numpy.conj(scipy.fft.rfft2(padded))
    area, _ = _correlate(clear.astype(numpy.float64), template, (transform_shape[0], transform_shape[1]))
    allowed = clear & (area >= _MIN_VISIBLE_FRACTION * disc.sum()) & (distance >= MIN_DISTANCE_RADII * radius)
    rings, ring = _rings(geometry, distance, allowed)
    return _Search(
        clear=clear,
        template=template,
        transform_shape=(transform_shape[0], transform_shape[1]),
        area=area,
        allowed=allowed,
        rings=rings,
        ring=ring,
        neighbourhood=(2 * round(0.4 * radius / pixel[0]) + 1, 2 * round(0.4 * radius / pixel[1]) + 1),
    )


def _rings(geometry: DiscGeometry, distance: FloatArray, allowed: BoolArray) -> tuple[IntArray, IntArray]:
    """Places spread round each ring on which any are allowed, shape (rings, samples), and the ring of each pixel."""
    angle = numpy.arctan2(geometry.y[:, numpy.newaxis], geometry.x).ravel()
    ring = (distance / max(geometry.mrad_per_pixel)).astype(numpy.intp)
    numbers = numpy.zeros(int(ring.max()) + 1, numpy.intp)
    samples: list[IntArray] = []
    for number in range(len(numbers)):
        places = numpy.flatnonzero((ring == number) & allowed)
        if places.size:
            numbers[number] = len(samples)
            in_turn = places[numpy.argsort(angle[places])]
            samples.append(in_turn[numpy.arange(_RING_SAMPLES) * places.size // _RING_SAMPLES])
    return numpy.array(samples, numpy.intp).reshape(-1, _RING_SAMPLES), numbers[ring]


def _correlate(
    image: FloatArray, template: numpy.typing.NDArray[numpy.complex128], shape: tuple[int, int]
) -> FloatArray:
    """The image's correlation with each template, shape (templates, ky, kx)."""
    full = scipy.fft.irfft2(scipy.fft.rfft2(image, shape) * template, shape)
    result: FloatArray = full[:, : image.shape[0], : image.shape[1]]
    return result


def find_discs(electrons: FloatArray, geometry: DiscGeometry, read_noise_e: float) -> FloatArray:
    """Find the discs of the convergence angle that stand out of the background.

    The sum of electrons in a disc is the matched filter for discs that are uniform over a low background. The
    background is taken from the emptier quarter of the ring at the same angle, and never above that of a ring
    further in, as diffuse scattering falls with the angle: so that a ring full of discs is not its own background.

    electrons: shape (ky, kx). Returns the angles (y, x) from the centre in mrad, shape (discs, 2), the innermost first.
    """
    geometry, binning = geometry.coarser(_SEARCH_RADIUS_PX)
    search = _search(geometry)
    clear = numpy.where(search.clear, numpy.nan_to_num(summed(electrons, binning)), 0)
    counted, centred = _correlate(clear, search.template, search.transform_shape)
    variance = search.area * (read_noise_e**2 * binning[0] * binning[1])
    if not search.rings.size:
        return numpy.zeros((0, 2))
    density = numpy.divide(counted, search.area, out=numpy.zeros_like(counted), where=search.allowed)
    quarter = numpy.partition(density.ravel()[search.rings], _RING_SAMPLES // 4, axis=1)[:, _RING_SAMPLES // 4]
    background = numpy.minimum.accumulate(quarter)[search.ring] * search.area
    # The variance of the read noise is carried as if it were so many more Poisson electrons in both.
    standing = significance(
        numpy.maximum(counted + variance, 0), numpy.maximum(background, MIN_BACKGROUND_ELECTRONS) + variance
    )
    highest = scipy.ndimage.maximum_filter(centred, search.neighbourhood, mode="constant")
    rows, columns = numpy.nonzero((centred == highest) & (standing >= SEARCH_SIGNIFICANCE) & search.allowed)
    # The sum is level wherever a disc is whole: the paraboloid tells where its middle is.
    positions = numpy.stack([geometry.y[rows], geometry.x[columns]], axis=1)
    return _alone(positions, centred[rows, columns], 1.5 * geometry.radius_mrad + max(geometry.mrad_per_pixel))


def _alone(positions: FloatArray, strength: FloatArray, apart_mrad: float) -> FloatArray:
    """Of positions closer to each other than this the strongest, the innermost first."""
    kept: list[int] = []
    for place in numpy.argsort(-strength, kind="stable"):
        offsets = positions[kept] - positions[place]
        if not ((offsets**2).sum(axis=1) < apart_mrad**2).any():
            kept.append(int(place))
    chosen = positions[kept]
    ordered: FloatArray = chosen[numpy.argsort((chosen**2).sum(axis=1), kind="stable")]
    return ordered
