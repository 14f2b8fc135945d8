"""What a pattern is measured against: the bright-field disc of the undeflected beam, on the detector as it is."""

from __future__ import annotations

import dataclasses
import math

import numpy
import numpy.typing
import scipy.ndimage

from dkl_ae.patterns.camera_level import camera_level
from dkl_ae.patterns.geometry import Descan, DetectorGeometry
from dkl_ae.records import DEFAULT_MASK_OUTER, BoolArray, FloatArray, UserError

_BAD_PIXEL_SIGMAS = 6.0
"""A pixel is bad when it differs by more standard deviations from all its neighbours but one: real discs are wider than
a pixel."""

_CALIBRATION_TOLERANCE = 0.02
"""Relative difference of a pixel's angle that is none."""

_MIN_FLAT_ELECTRONS = 50
"""In a pixel: more scatter by less than a seventh of their number."""


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """The bright-field disc of the undeflected beam on the detector, and what is known of the detector."""

    shape: tuple[int, int]
    """Detector pixels along ky and kx."""
    mrad_per_pixel: tuple[float, float]
    """Angle of a detector pixel along ky and kx."""
    centre: tuple[float, float]
    """Centre of the disc in pixels, along ky and kx."""
    radius_mrad: float
    """Radius of the disc: the convergence angle."""
    zero_mrad: tuple[float, float]
    """Centre of mass of the reference pattern itself, along the scan's y and x, relative to `centre`, through the same
    mask as every reading; it is what a reading of zero means."""
    counts: float
    """Counts in the reference pattern, the camera's own not among them."""
    counts_per_electron: float
    """The camera's gain."""
    exposures: int = 1
    """How many patterns the reference pattern is the mean of."""
    dark: FloatArray | None = None
    """What the camera counts without a beam: shape (ky, kx), or () where it is the same everywhere."""
    read_noise: float = 0.0
    """Of a pixel in one exposure, one standard deviation in counts."""
    bad_pixels: BoolArray | None = None
    """Shape (ky, kx), true for hot and dead pixels, which are read as the mean of their good neighbours."""
    saturation: float | None = None
    """Counts at which a pixel is full; None for the largest whole number that the camera's format holds."""
    threshold: float | None = None
    """Counts below this, the dark subtracted, are read as none; None to read all."""
    mask_inner: float = 0.0
    """Inner radius of the ring in which the centre of mass is taken, in disc radii."""
    mask_radius: float = DEFAULT_MASK_OUTER
    """Outer radius of that ring, in disc radii; infinite for the whole detector."""
    geometry: DetectorGeometry = dataclasses.field(default_factory=DetectorGeometry)
    """How the detector lies over the scan."""
    descan: Descan | None = None
    """How the undeflected beam wanders over the scan; None where it rests."""
    pattern: FloatArray | None = None
    """The reference pattern, shape (ky, kx), in electrons, cleaned of the camera's own; None where it is not known."""
    lattice_mrad: tuple[tuple[float, float], tuple[float, float]] | None = None
    """Two vectors (y, x) of the undeformed lattice, along the scan's axes, that strain is measured against."""
    zero_sigma_mrad: tuple[float, float] = (0.0, 0.0)
    """One standard deviation of `zero_mrad`, which all readings against it have in common; zeros where it is not
    known. Of a single pattern by counting alone; see `dkl_ae.patterns.with_zero_error`."""
    is_vacuum: bool | None = None
    """Whether the exposures show vacuum as far as they can tell; None where nothing tells."""

    @property
    def electrons(self) -> float:
        """Electrons in the reference pattern."""
        return self.counts / self.counts_per_electron

    @property
    def read_noise_electrons(self) -> float:
        """Of a pixel in one exposure, one standard deviation in electrons."""
        return self.read_noise / self.counts_per_electron

    def fits(self, mrad_per_pixel: tuple[float, float]) -> bool:
        """Whether patterns with pixels of these angles were taken at the same camera length."""
        return bool(numpy.allclose(mrad_per_pixel, self.mrad_per_pixel, rtol=_CALIBRATION_TOLERANCE))

    def zero_at(self, positions: FloatArray | None) -> tuple[FloatArray | float, FloatArray | float]:
        """Centre of mass of the undeflected beam along the scan's (y, x), mrad.

        positions: shape (n, 2), the probe's (y, x) as fractions of the scan; None where it is not known.
        """
        if self.descan is None or positions is None:
            return self.zero_mrad
        return self.descan.zero_mrad(positions[:, 0], positions[:, 1])


def find_reference(
    pattern: numpy.typing.ArrayLike,
    mrad_per_pixel: tuple[float, float],
    counts_per_electron: float = 1.0,
    *,
    exposures: int = 1,
    vacuum: bool = True,
    dark: numpy.typing.ArrayLike | None = None,
    bad_pixels: BoolArray | None = None,
    mask: tuple[float, float] = (0.0, DEFAULT_MASK_OUTER),
    geometry: DetectorGeometry | None = None,
) -> Reference:
    """Find the bright-field disc in a pattern of the undeflected beam, such as a mean of vacuum patterns.

    The disc is the largest connected set of pixels above half of its own level; its radius follows from its area. What
    the camera counts where no electron comes is its dark level, unless a dark pattern is given; how that scatters is
    its read noise. Pixels that stand out from all their neighbours are bad.

    Parameters
    ----------
    pattern : array_like, shape (ky, kx)
        Counts.
    mrad_per_pixel : tuple of float
        Along ky and kx.
    counts_per_electron : float
        Gain of the camera.
    exposures : int
        How many patterns this is the mean of.
    vacuum : bool
        Whether nothing scatters the beam; else what is far from the disc may be electrons, and tells nothing of the
        camera.
    dark : array_like, shape (ky, kx) or (), or None
        Counts without a beam.
    bad_pixels : ndarray of bool, shape (ky, kx), or None
        True where they are known to be bad; others are looked for all the same.
    mask : tuple of float
        Inner and outer radius of the ring in which the centre of mass is taken, in disc radii.
    geometry : DetectorGeometry or None
        How the detector lies over the scan; None for along it.

    Returns
    -------
    Reference

    Raises
    ------
    UserError
        When the pattern holds no beam.
    """
    counts = numpy.asarray(pattern, numpy.float64)
    bad = ~numpy.isfinite(counts) | (False if bad_pixels is None else bad_pixels)
    given = None if dark is None else numpy.asarray(dark, numpy.float64)
    counts = filled(counts if given is None else counts - given, bad)
    if vacuum:
        bad |= _isolated_pixels(counts, counts_per_electron, exposures)
    counts = filled(counts, bad)
    centre, area = _disc(counts, counts_per_electron / exposures)
    reference = Reference(
        shape=(counts.shape[0], counts.shape[1]),
        mrad_per_pixel=mrad_per_pixel,
        centre=centre,
        radius_mrad=math.sqrt(area * mrad_per_pixel[0] * mrad_per_pixel[1] / math.pi),
        zero_mrad=(0.0, 0.0),
        counts=0.0,
        counts_per_electron=counts_per_electron,
        bad_pixels=bad if bad.any() else None,
        mask_inner=mask[0],
        mask_radius=mask[1],
        geometry=geometry or DetectorGeometry(),
    )
    electron = counts_per_electron / exposures
    level, scatter = camera_level(counts, radii(reference) / reference.radius_mrad, electron) if vacuum else (0.0, 0.0)
    if given is None and level:
        given, counts = numpy.array(level), counts - level
    reference = dataclasses.replace(
        reference,
        counts=float(counts.sum()),
        exposures=exposures,
        dark=given,
        read_noise=scatter * math.sqrt(exposures),
        pattern=counts / counts_per_electron,
    )
    y, x = scan_angles(reference)
    inside = numpy.where(in_mask(reference), counts, 0.0)
    zero = float((inside * y).sum() / inside.sum()), float((inside * x).sum() / inside.sum())
    return dataclasses.replace(
        reference, zero_mrad=zero, zero_sigma_mrad=_counting_error(reference, inside, (y - zero[0], x - zero[1]))
    )


def angles(reference: Reference) -> tuple[FloatArray, FloatArray]:
    """Angle of each detector pixel from the disc's centre in mrad: shapes (ky, 1) and (1, kx)."""
    y = (numpy.arange(reference.shape[0], dtype=numpy.float64) - reference.centre[0]) * reference.mrad_per_pixel[0]
    x = (numpy.arange(reference.shape[1], dtype=numpy.float64) - reference.centre[1]) * reference.mrad_per_pixel[1]
    return y[:, numpy.newaxis], x[numpy.newaxis, :]


def scan_angles(reference: Reference) -> tuple[FloatArray, FloatArray]:
    """The same along the scan's y and x, whatever the detector's geometry: shapes (ky, kx)."""
    y, x = _applied(reference.geometry.to_scan, *angles(reference))
    return y, x


def radii(reference: Reference) -> FloatArray:
    """Scattering angle of each detector pixel in mrad, ellipticity corrected, shape (ky, kx)."""
    distance: FloatArray = numpy.hypot(*_applied(reference.geometry.to_circle, *angles(reference)))
    return distance


def in_mask(reference: Reference) -> BoolArray:
    """Pixels in which the centre of mass is taken, shape (ky, kx)."""
    radius = radii(reference) / reference.radius_mrad
    ring: BoolArray = (radius >= reference.mask_inner) & (radius <= reference.mask_radius)
    return ring


def filled(counts: FloatArray, bad: BoolArray) -> FloatArray:
    """Patterns, shape (..., ky, kx), whose bad pixels are the mean of their good neighbours."""
    if not bad.any():
        return counts
    result = counts.copy()
    for row, column, rows, columns in good_neighbours(bad):
        result[..., row, column] = counts[..., rows, columns].mean(axis=-1)
    return result


def good_neighbours(
    bad: BoolArray,
) -> list[tuple[int, int, numpy.typing.NDArray[numpy.intp], numpy.typing.NDArray[numpy.intp]]]:
    """Row and column of each bad pixel, with the rows and columns of the nearest good ones around it.

    Raises UserError when no pixel is good.
    """
    if bad.all():
        raise UserError("Every pixel of the detector is marked as bad: give another map of bad pixels.")
    found = []
    for row, column in zip(*numpy.nonzero(bad), strict=True):
        reach = 1
        while True:
            top, left = max(row - reach, 0), max(column - reach, 0)
            rows, columns = numpy.nonzero(~bad[top : row + reach + 1, left : column + reach + 1])
            if rows.size:
                break
            reach += 1
        found.append((int(row), int(column), rows + top, columns + left))
    return found


def _applied(matrix: FloatArray, y: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    return matrix[0, 0] * y + matrix[0, 1] * x, matrix[1, 0] * y + matrix[1, 1] * x


def _counting_error(
    reference: Reference, counts: FloatArray, away: tuple[FloatArray, FloatArray]
) -> tuple[float, float]:
    """Of the centre of mass of a mean pattern, by counting and read noise.

    counts: shape (ky, kx), those of the mask alone. away: distance from the centre of mass along y and x, mrad.
    """
    electrons = counts / reference.counts_per_electron
    noise = numpy.where(in_mask(reference), reference.read_noise_electrons**2, 0.0)
    total = float(electrons.sum())
    y, x = (
        math.sqrt(max(float(((electrons + noise) * angle**2).sum()), 0.0) / reference.exposures) / total
        for angle in away
    )
    return y, x


def _isolated_pixels(counts: FloatArray, counts_per_electron: float, exposures: int) -> BoolArray:
    neighbours = numpy.ones((3, 3), numpy.bool_)
    neighbours[1, 1] = False
    # The second, for hot pixels come in pairs too.
    highest = scipy.ndimage.rank_filter(counts, -2, footprint=neighbours, mode="mirror")
    lowest = scipy.ndimage.rank_filter(counts, 1, footprint=neighbours, mode="mirror")
    # Where less than one electron was counted, one more is no sign of trouble.
    electrons = numpy.maximum(highest, counts_per_electron) / counts_per_electron
    deviation = counts_per_electron * numpy.sqrt(electrons / exposures)
    isolated: BoolArray = (counts > highest + _BAD_PIXEL_SIGMAS * deviation) | (
        counts < lowest - _BAD_PIXEL_SIGMAS * deviation
    )
    return isolated


def _disc(counts: FloatArray, counts_per_electron: float) -> tuple[tuple[float, float], float]:
    """Centre of the bright-field disc in pixels, and its area in pixels."""
    smooth = scipy.ndimage.uniform_filter(counts, 3, mode="nearest")
    dark = float(numpy.percentile(smooth, 5))
    level = float(smooth.max()) - dark
    if not level > 0:
        raise UserError(
            f"The reference pattern holds {counts.sum():.0f} counts: the beam is off or blocked; "
            "unblank it, insert the camera, and start again."
        )
    level = float(numpy.median(smooth[smooth - dark > 0.5 * level])) - dark
    # Smoothing makes small discs smaller; but a few electrons a pixel scatter across half of their level.
    height = ((counts if level / counts_per_electron > _MIN_FLAT_ELECTRONS else smooth) - dark) / level
    labels, _ = scipy.ndimage.label(height > 0.5)
    sizes = numpy.bincount(labels.ravel())
    sizes[0] = 0
    around = scipy.ndimage.binary_dilation(labels == sizes.argmax())
    # A pixel on the edge is covered in part: between a quarter and three quarters of the level, not all or nothing.
    covered = numpy.where(around, numpy.clip(2 * height - 0.5, 0, 1), 0.0)
    area = float(covered.sum())
    rows, columns = numpy.indices(counts.shape)
    return (float((covered * rows).sum()) / area, float((covered * columns).sum()) / area), area
