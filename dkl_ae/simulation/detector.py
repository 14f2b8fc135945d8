"""The camera: how the diffraction plane falls on it, and how it counts."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy
import numpy.typing

from dkl_ae.records import FloatArray, UserError

Matrix = tuple[tuple[float, float], tuple[float, float]]
_NO_SHIFT: Matrix = ((0.0, 0.0), (0.0, 0.0))


@dataclasses.dataclass(frozen=True)
class CameraGeometry:
    """How scattering angles become pixels. Raises UserError for what cannot work."""

    pixels: int = 64
    """Along each side."""
    mrad_per_pixel: float = 2.5
    rotation_deg: float = 0.0
    """By which the pattern is turned against the scan's axes, from x towards y."""
    ellipticity: float = 1.0
    """Long over short axis of what should be a circle; areas are kept."""
    ellipse_axis_deg: float = 0.0
    """Direction of the long axis, from the scan's x towards its y."""
    offset_mrad: tuple[float, float] = (0.0, 0.0)
    """(y, x) of the unscattered beam from the detector's middle."""
    descan_mrad_per_nm: Matrix = _NO_SHIFT
    """By how much the pattern moves over the detector with the probe: rows (y, x) of the shift, columns (y, x) of the
    displacement from the middle of the scan."""

    def __post_init__(self) -> None:
        if self.pixels < 2 or self.pixels % 2:
            raise UserError(f"The detector has {self.pixels} pixels a side: choose an even number.")
        if not (math.isfinite(self.mrad_per_pixel) and self.mrad_per_pixel > 0):
            raise UserError(f"A detector pixel is {self.mrad_per_pixel:g} mrad: choose a positive number.")
        if not 0.5 <= self.ellipticity <= 2:
            raise UserError(f"The ellipticity is {self.ellipticity:g}: choose a ratio of axes from 0.5 to 2.")
        for label, value, unit in (
            ("detector's rotation", self.rotation_deg, "degrees"),
            ("ellipse's axis", self.ellipse_axis_deg, "degrees"),
            *(("beam's offset", value, "mrad") for value in self.offset_mrad),
            *(("descan", value, "mrad/nm") for row in self.descan_mrad_per_nm for value in row),
        ):
            if not math.isfinite(value):
                raise UserError(f"The {label} is {value:g} {unit}: choose a number.")

    @property
    def centre_pixels(self) -> tuple[float, float]:
        """(y, x) of the unscattered beam in the middle of the scan."""
        y, x = ((self.pixels - 1) / 2 + offset / self.mrad_per_pixel for offset in self.offset_mrad)
        return y, x

    @functools.cached_property
    def distortion(self) -> FloatArray:
        """Shape (2, 2), determinant 1: takes (y, x) of a scattering angle to (y, x) on the detector."""
        stretch = numpy.diag([self.ellipticity**-0.5, self.ellipticity**0.5])
        axis = _turn(self.ellipse_axis_deg)
        return _turn(self.rotation_deg) @ axis @ stretch @ axis.T

    @property
    def moves_beam(self) -> bool:
        """Whether the beam is ever anywhere but in the detector's middle."""
        return any(self.offset_mrad) or bool(numpy.any(self.descan_mrad_per_nm))

    def beam_mrad(self, displacement_nm: FloatArray) -> FloatArray:
        """The beam's place on the detector, from its middle, for displacements of the probe from the middle of the
        scan; both of shape (n, 2), (y, x)."""
        place: FloatArray = displacement_nm @ numpy.array(self.descan_mrad_per_nm).T + numpy.array(self.offset_mrad)
        return place


@dataclasses.dataclass(frozen=True)
class Camera:
    """How electrons become counts. The default counts each electron once and nothing else.

    Raises UserError for what cannot be.
    """

    gain: float = 1.0
    """Counts per electron."""
    dark_counts_per_s: float = 0.0
    """Mean dark current of a pixel."""
    readout_noise_counts: float = 0.0
    """Standard deviation of a pixel."""
    dead_fraction: float = 0.0
    """Of the pixels, which read zero."""
    hot_fraction: float = 0.0
    """Of the pixels, which also count a dark current of `hot_counts_per_s`."""
    hot_counts_per_s: float = 1e6
    saturation_counts: float = math.inf
    """The most that a pixel reads."""
    frame_rate_hz: float = math.inf
    """The most frames that it delivers; a shorter exposure waits for the next."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not value >= 0:
                label = field.name.replace("_", " ")
                raise UserError(f"The camera's {label} is {value:g}: choose zero or a positive number.")
        for label, value in (("gain", self.gain), ("frame rate", self.frame_rate_hz)):
            if value == 0:
                raise UserError(f"The camera's {label} is 0: choose a positive number.")
        if self.dead_fraction + self.hot_fraction > 1:
            raise UserError(
                f"Of the camera's pixels {self.dead_fraction:g} are dead and {self.hot_fraction:g} are hot: "
                "choose fractions whose sum is at most 1."
            )

    def read(
        self,
        expected_electrons: FloatArray,
        exposure_s: float,
        random: numpy.random.Generator,
        broken_seed: int = 0,
    ) -> numpy.typing.NDArray[numpy.float32]:
        """One frame of counts, of the shape of the electrons that are expected in each pixel.

        broken_seed: of which pixels are dead and which are hot, the same for each frame.
        """
        counts = random.poisson(expected_electrons) * self.gain
        if self.dark_counts_per_s:
            counts = counts + random.poisson(self.dark_counts_per_s * exposure_s, counts.shape)
        if self.readout_noise_counts:
            counts = counts + random.normal(0, self.readout_noise_counts, counts.shape)
        if self.dead_fraction or self.hot_fraction:
            dead, hot = self.broken_pixels(counts.shape, broken_seed)
            counts[hot] += random.poisson(self.hot_counts_per_s * exposure_s, numpy.count_nonzero(hot))
            counts[dead] = 0
        read: numpy.typing.NDArray[numpy.float32] = numpy.minimum(counts, self.saturation_counts).astype(numpy.float32)
        return read

    def broken_pixels(
        self, shape: tuple[int, ...], seed: int
    ) -> tuple[numpy.typing.NDArray[numpy.bool_], numpy.typing.NDArray[numpy.bool_]]:
        """Which pixels are dead, and which hot."""
        chance = numpy.random.default_rng(seed).random(shape)
        return chance < self.dead_fraction, chance > 1 - self.hot_fraction


def _turn(degrees: float) -> FloatArray:
    """The matrix that turns (y, x) from x towards y."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return numpy.array([[cosine, sine], [-sine, cosine]])
