"""What is in the microscope and what it gives: a virtual specimen under the beam, or a recording in its place.

Positions are (y, x) in nm from the field's top left corner. Everything that is drawn at random comes from one seed.
"""

from __future__ import annotations

import collections
import math
import threading
import time
import typing
from collections.abc import Callable, Sequence

import numpy
import numpy.typing

from dkl_ae.recordings import Recording
from dkl_ae.records import FloatArray, UserError
from dkl_ae.simulation.detector import Camera, CameraGeometry
from dkl_ae.simulation.images import ImageSimulator
from dkl_ae.simulation.optics import DETECTORS, Optics
from dkl_ae.simulation.patterns import PatternSimulator
from dkl_ae.simulation.specimen import Specimen

Counts = numpy.typing.NDArray[numpy.float32]

_SURVEY_PIXELS = 128
_ANGSTROM_SQUARED_PER_BARN = 1e-8
_POSITION_TOLERANCE_NM = 1e-6


class Column(typing.Protocol):
    """What the simulated microscope's devices need. All methods may be called from any thread."""

    name: str
    extent_nm: tuple[float, float]
    """Height and width of the field."""
    scan_shape: tuple[int, int]
    """A usual sampling of the field."""
    detector_shape: tuple[int, int]
    mrad_per_pixel: tuple[float, float]
    counts_per_electron: float
    channels: Sequence[str]
    """The scan's detectors."""
    frame_rate_hz: float

    @property
    def optics(self) -> Optics | None:
        """The illumination; None where it is recorded and cannot be changed."""

    def set_optics(self, optics: Optics) -> None:
        """Raises UserError where that is impossible."""

    def expose(self, y_nm: float, x_nm: float, electrons: float, exposure_s: float) -> Counts:
        """One frame of the camera with the probe at a place, of `detector_shape`.

        Raises UserError where nothing is known, which is outside a recording.
        """

    def scan(
        self, channel: str, y_nm: FloatArray, x_nm: FloatArray, electrons: float, pixel_time_s: float
    ) -> FloatArray:
        """One frame of the scan at positions (rows, columns); electrons on each of them."""

    def irradiate(self, y_nm: FloatArray, x_nm: FloatArray, electrons: float) -> None:
        """What such a frame does to the specimen, once for all channels."""

    def close(self) -> None:
        """Let go of files."""


class VirtualColumn:
    """A virtual specimen that drifts and is damaged, if asked to. See Column.

    drift_nm_per_s: (y, x) velocity of the specimen.
    damage_barn: cross-section of losing an atom; an atom that receives a dose leaves with the probability
        1 - exp(-cross-section * dose). 0 for no damage.
    clock: seconds, from which the drift follows.

    Raises UserError for what cannot be simulated.
    """

    def __init__(
        self,
        specimen: Specimen,
        optics: Optics | None = None,
        geometry: CameraGeometry | None = None,
        *,
        camera: Camera | None = None,
        drift_nm_per_s: tuple[float, float] = (0.0, 0.0),
        damage_barn: float = 0.0,
        seed: int = 0,
        slice_angstrom: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not all(math.isfinite(speed) for speed in drift_nm_per_s):
            raise UserError(f"The drift is {drift_nm_per_s} nm/s: choose two numbers.")
        if not 0 <= damage_barn < math.inf:
            raise UserError(f"The damage cross-section is {damage_barn:g} barn: choose zero or a positive number.")
        if seed < 0:
            raise UserError(f"The seed is {seed}: choose zero or a positive whole number.")
        self._patterns = PatternSimulator(specimen, optics, geometry, slice_angstrom=slice_angstrom)
        self._images = ImageSimulator(specimen, optics)
        self._camera = camera or Camera()
        self._drift = drift_nm_per_s
        self._damage_barn = damage_barn
        self._seed = seed
        self._clock = clock
        self._start = clock()
        self._lock = threading.RLock()
        streams = numpy.random.SeedSequence(seed).spawn(2)
        self._scan_noise, self._fate = (numpy.random.default_rng(stream) for stream in streams)
        self._exposures: collections.Counter[tuple[int, int]] = collections.Counter()
        self.name = specimen.name
        self.extent_nm = (specimen.extent_nm, specimen.extent_nm)
        self.scan_shape = (_SURVEY_PIXELS, _SURVEY_PIXELS)
        pixels, mrad = self._patterns.geometry.pixels, self._patterns.geometry.mrad_per_pixel
        self.detector_shape = (pixels, pixels)
        self.mrad_per_pixel = (mrad, mrad)
        self.counts_per_electron = self._camera.gain
        self.channels: Sequence[str] = DETECTORS
        self.frame_rate_hz = self._camera.frame_rate_hz

    @property
    def specimen(self) -> Specimen:
        """As it is now: damage takes atoms away."""
        return self._patterns.specimen

    @property
    def patterns(self) -> PatternSimulator:
        """The noise-free truth at this moment, without drift."""
        return self._patterns

    @property
    def images(self) -> ImageSimulator:
        """The noise-free truth at this moment, without drift."""
        return self._images

    @property
    def optics(self) -> Optics:
        return self._patterns.optics

    def set_optics(self, optics: Optics) -> None:
        with self._lock:
            self._patterns = self._patterns.with_optics(optics)
            self._images = ImageSimulator(self.specimen, optics)

    def expose(self, y_nm: float, x_nm: float, electrons: float, exposure_s: float) -> Counts:
        with self._lock:
            y, x = self._on_specimen(y_nm, x_nm)
            expected = electrons * self._patterns.pattern(float(y), float(x))
            counts = self._camera.read(expected, exposure_s, self._camera_noise(y_nm, x_nm), self._seed)
            if self._damage_barn:
                away = self.specimen.atoms_angstrom[:, 1::-1] - 10 * numpy.array([y, x], float)
                self._damage(electrons * self._images.probe_density(away))
        return counts

    def scan(
        self, channel: str, y_nm: FloatArray, x_nm: FloatArray, electrons: float, pixel_time_s: float
    ) -> FloatArray:
        with self._lock:
            seconds = pixel_time_s * numpy.arange(y_nm.size).reshape(y_nm.shape)
            y, x = self._on_specimen(y_nm, x_nm, seconds)
            expected = electrons * self._images.image(channel, y, x)
            return self._scan_noise.poisson(expected).astype(float)

    def irradiate(self, y_nm: FloatArray, x_nm: FloatArray, electrons: float) -> None:
        if not self._damage_barn or min(y_nm.shape) < 2:
            return
        with self._lock:
            y, x = self._on_specimen(y_nm, x_nm)
            grid = 10 * numpy.stack([y, x], axis=-1)
            # Rows and columns of the scan as coordinates of the atoms; the dose is even where pixels are this close.
            axes = numpy.stack([grid[1, 0] - grid[0, 0], grid[0, 1] - grid[0, 0]])
            pixels = (self.specimen.atoms_angstrom[:, 1::-1] - grid[0, 0]) @ numpy.linalg.inv(axes)
            scanned = ((pixels >= -0.5) & (pixels < numpy.array(y.shape) - 0.5)).all(axis=1)
            self._damage(scanned * electrons / abs(numpy.linalg.det(axes)))

    def close(self) -> None:
        """Nothing to let go of."""

    def _camera_noise(self, y_nm: float, x_nm: float) -> numpy.random.Generator:
        """Of the next exposure of a place: the same whatever was exposed elsewhere before, so that a run that goes on
        in a microscope that was started again reads what it would have read."""
        place = (round(y_nm / _POSITION_TOLERANCE_NM), round(x_nm / _POSITION_TOLERANCE_NM))
        self._exposures[place] += 1
        return numpy.random.default_rng([self._seed, self._exposures[place], *(index % 2**32 for index in place)])

    def _on_specimen(
        self, y_nm: numpy.typing.ArrayLike, x_nm: numpy.typing.ArrayLike, later_s: numpy.typing.ArrayLike = 0.0
    ) -> tuple[FloatArray, FloatArray]:
        """Where the beam meets the specimen, which has drifted since the start."""
        seconds = self._clock() - self._start + numpy.asarray(later_s)
        return numpy.asarray(y_nm) - self._drift[0] * seconds, numpy.asarray(x_nm) - self._drift[1] * seconds

    def _damage(self, dose: FloatArray) -> None:
        """dose: electrons per square angstrom that each atom has received."""
        probability = -numpy.expm1(-self._damage_barn * _ANGSTROM_SQUARED_PER_BARN * dose)
        lost = numpy.flatnonzero(self._fate.random(len(dose)) < probability)
        if len(lost):
            specimen = self.specimen.without(lost)
            self._patterns = self._patterns.with_specimen(specimen)
            self._images = ImageSimulator(specimen, self.optics)


class ReplayColumn:
    """A recording in place of a specimen. See Column.

    The pattern at a place is that of the recorded pixel there. Counts are served as they were recorded, whatever the
    current and the exposure, while there is a beam at all. A recording without noise is counted as if it were a
    specimen; its noise belongs to the seed and the pixel, so that a place gives the same counts each time, as a
    recording does.

    counts_per_electron: of the camera that recorded, or is to count.
    """

    def __init__(self, recording: Recording, *, seed: int = 0, counts_per_electron: float = 1.0) -> None:
        if seed < 0:
            raise UserError(f"The seed is {seed}: choose zero or a positive whole number.")
        if recording.survey is None:
            raise UserError(f"{recording.name} has no survey of its scan: give a survey file too.")
        self._recording = recording
        self._survey = recording.survey
        self._seed = seed
        height, width = recording.scan_shape
        self.name = recording.name
        self.extent_nm = (height * recording.nm_per_pixel, width * recording.nm_per_pixel)
        self.scan_shape = recording.scan_shape
        self.detector_shape = recording.detector_shape
        self.mrad_per_pixel = recording.mrad_per_pixel
        self.counts_per_electron = counts_per_electron
        # The survey, whatever detector it was recorded with.
        self.channels: Sequence[str] = DETECTORS[:1]
        self.frame_rate_hz = math.inf

    @property
    def optics(self) -> None:
        return None

    def set_optics(self, optics: Optics) -> None:
        raise UserError(f"The optics of {self.name} are recorded: choose a virtual specimen to change them.")

    def expose(self, y_nm: float, x_nm: float, electrons: float, exposure_s: float) -> Counts:
        row, column = (math.floor(place / self._recording.nm_per_pixel) for place in (y_nm, x_nm))
        height, width = self.scan_shape
        if not (0 <= row < height and 0 <= column < width):
            raise UserError(
                f"The probe is at y {y_nm:.3f}, x {x_nm:.3f} nm, outside the recorded {self.extent_nm[0]:.3f} x "
                f"{self.extent_nm[1]:.3f} nm: move it back into the field."
            )
        if electrons == 0:
            return numpy.zeros(self.detector_shape, numpy.float32)
        pattern = self._recording.pattern(row, column)
        if not self._recording.is_noise_free:
            return pattern.astype(numpy.float32)
        random = numpy.random.default_rng([self._seed, row, column])
        return (self.counts_per_electron * random.poisson(electrons * pattern)).astype(numpy.float32)

    def scan(
        self, channel: str, y_nm: FloatArray, x_nm: FloatArray, electrons: float, pixel_time_s: float
    ) -> FloatArray:
        rows, columns = (numpy.floor(places / self._recording.nm_per_pixel).astype(int) for places in (y_nm, x_nm))
        height, width = self.scan_shape
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        values = self._survey[numpy.clip(rows, 0, height - 1), numpy.clip(columns, 0, width - 1)]
        return numpy.where(inside, values, 0.0)

    def irradiate(self, y_nm: FloatArray, x_nm: FloatArray, electrons: float) -> None:
        """A recording cannot be damaged."""

    def close(self) -> None:
        self._recording.close()
