"""The reference of a recorded set: found in its own patterns, or given by a file."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import typing

import numpy
import numpy.typing

from dkl_ae.patterns import (
    DetectorGeometry,
    Patterns,
    Reference,
    find_reference,
    load_array,
    load_reference,
    with_descan,
    with_zero_error,
)
from dkl_ae.recordings.recording import Recording
from dkl_ae.records import (
    DEFAULT_MASK_OUTER,
    FloatArray,
    IntArray,
    NumberArray,
    Survey,
    UserError,
    darkest_pixels,
    parse_region,
    pixels_in,
    spread_pixels,
)
from dkl_ae.scalarizers import with_undeformed
from dkl_ae.settings import DARKEST, DESCAN_ORDERS, MEAN, NO_DESCAN

AUTOMATIC: typing.Final = "automatic"
VACUUM: typing.Final = "vacuum"

_SOURCES: typing.Final = (AUTOMATIC, VACUUM, DARKEST, MEAN)
"""Those that are no files."""
_MAX_DARK_PIXELS = 64
_MAX_MEAN_PIXELS = 400
_MAX_DESCAN_PIXELS = 225
_NOISE_FREE_EXPOSURES = 10**9
"""So many exposures have no counting noise left."""


@dataclasses.dataclass(frozen=True)
class ReferenceChoice:
    """Where the reference comes from, and what is known of the camera.

    Raises UserError, one sentence, for what no camera has.
    """

    source: str = AUTOMATIC
    """VACUUM, the set's own pattern of vacuum; DARKEST, the darkest pixels of its survey; MEAN, of all patterns; or the
    name of a file. AUTOMATIC takes the first of the three that there is."""
    region: str = ""
    """Top, left, height and width, as fractions, of a part of the scan whose mean pattern is taken; or empty."""
    mask_inner: float = 0.0
    mask_radius: float = DEFAULT_MASK_OUTER
    geometry: DetectorGeometry = dataclasses.field(default_factory=DetectorGeometry)
    descan: str = NO_DESCAN
    dark_file: str = ""
    bad_pixels_file: str = ""
    """NumPy files of the detector's shape; empty for none."""
    saturation: float | None = None
    threshold: float | None = None
    counts_per_electron: float = 1.0

    @property
    def files(self) -> tuple[pathlib.Path, ...]:
        """All that it is read of."""
        source = "" if self.source in _SOURCES else self.source
        return tuple(pathlib.Path(name) for name in (source, self.dark_file, self.bad_pixels_file) if name)

    def __post_init__(self) -> None:
        if not 0 < self.counts_per_electron < math.inf:
            raise UserError(f"An electron makes {self.counts_per_electron:g} counts: give a positive number.")
        if not 0 <= self.mask_inner < self.mask_radius:
            raise UserError(
                f"The mask goes from {self.mask_inner:g} to {self.mask_radius:g} disc radii: give a ring like 0 1.1."
            )


def recorded_reference(recording: Recording, choice: ReferenceChoice, electrons: float) -> Reference:
    """The reference of a recording.

    electrons: of a pattern, for a recording without noise.

    Raises UserError, one sentence, when it cannot be found as chosen.
    """
    reference, pixels = _found(recording, choice, electrons)
    reference = dataclasses.replace(reference, saturation=choice.saturation, threshold=choice.threshold)
    if recording.is_noise_free:
        # Its exact tails would be taken for a camera's level and noise.
        reference = dataclasses.replace(
            reference, read_noise=0.0, dark=None, exposures=_NOISE_FREE_EXPOSURES, zero_sigma_mrad=(0.0, 0.0)
        )
    if DESCAN_ORDERS[choice.descan]:
        pixels = spread_pixels(recording.scan_shape, _MAX_DESCAN_PIXELS)
    if pixels is not None:
        patterns = numpy.concatenate([_pattern(recording, pixel, electrons) for pixel in pixels])
        fractions = (pixels + 0.5) / numpy.array(recording.scan_shape)
        if DESCAN_ORDERS[choice.descan]:
            reference = with_descan(reference, patterns, fractions, DESCAN_ORDERS[choice.descan])
        reference = with_zero_error(reference, Patterns(patterns, reference, positions=fractions))
    if reference.lattice_mrad is None:
        mean = _mean(recording, spread_pixels(recording.scan_shape, _MAX_MEAN_PIXELS), electrons)
        reference = with_undeformed(reference, Patterns(mean[numpy.newaxis], reference))
    return reference


def _found(recording: Recording, choice: ReferenceChoice, electrons: float) -> tuple[Reference, IntArray | None]:
    """The reference, and the pixels whose mean pattern it was found in; None where it was given."""
    if choice.region:
        pixels = pixels_in(recording.scan_shape, parse_region(choice.region))
        return _find(recording, choice, pixels[:: max(1, len(pixels) // _MAX_MEAN_PIXELS)], electrons)
    if choice.source == VACUUM or (choice.source == AUTOMATIC and recording.vacuum is not None):
        if recording.vacuum is None:
            raise UserError(f"{recording.name} has no pattern of vacuum: choose {DARKEST}, {MEAN} or a file.")
        vacuum = recording.vacuum * (electrons if recording.is_noise_free else 1.0)
        return dataclasses.replace(_reference_of(vacuum, 1, recording, choice), is_vacuum=True), None
    if choice.source == DARKEST or (choice.source == AUTOMATIC and recording.survey is not None):
        if recording.survey is None:
            raise UserError(f"{recording.name} has no survey whose darkest places could be taken: give a survey file.")
        survey = Survey(recording.survey, recording.nm_per_pixel)
        count = min(_MAX_DARK_PIXELS, max(4, survey.image.size // 100))
        return _find(recording, choice, darkest_pixels(survey, count), electrons)
    if choice.source in (AUTOMATIC, MEAN):
        return _find(recording, choice, spread_pixels(recording.scan_shape, _MAX_MEAN_PIXELS), electrons, vacuum=False)
    if choice.source.endswith(".npy"):
        given = _of_detector(choice.source, recording) * (electrons if recording.is_noise_free else 1.0)
        reference = _reference_of(given.astype(numpy.float64), 1, recording, choice)
        return dataclasses.replace(reference, is_vacuum=True), None
    reference = load_reference(pathlib.Path(choice.source), recording.mrad_per_pixel, choice.counts_per_electron)
    if not reference.fits(recording.mrad_per_pixel):
        raise UserError(
            f"The reference has pixels of {reference.mrad_per_pixel[0]:.3g} mrad but the recording of "
            f"{recording.mrad_per_pixel[0]:.3g}: choose another."
        )
    return reference, None


def _find(
    recording: Recording, choice: ReferenceChoice, pixels: IntArray, electrons: float, *, vacuum: bool = True
) -> tuple[Reference, IntArray]:
    return _reference_of(_mean(recording, pixels, electrons), len(pixels), recording, choice, vacuum=vacuum), pixels


def _reference_of(
    pattern: FloatArray, exposures: int, recording: Recording, choice: ReferenceChoice, *, vacuum: bool = True
) -> Reference:
    return find_reference(
        pattern,
        recording.mrad_per_pixel,
        choice.counts_per_electron,
        exposures=exposures,
        vacuum=vacuum,
        dark=_of_detector(choice.dark_file, recording) if choice.dark_file else None,
        bad_pixels=_of_detector(choice.bad_pixels_file, recording) > 0 if choice.bad_pixels_file else None,
        mask=(choice.mask_inner, choice.mask_radius),
        geometry=choice.geometry,
    )


def _mean(recording: Recording, pixels: IntArray, electrons: float) -> FloatArray:
    total = numpy.zeros(recording.detector_shape)
    for pixel in pixels:
        total += _pattern(recording, pixel, electrons)[0]
    return total / len(pixels)


def _pattern(recording: Recording, pixel: IntArray, electrons: float) -> NumberArray:
    row, column = (int(index) for index in pixel)
    return recording.counts(slice(row, row + 1), slice(column, column + 1), electrons)


def _of_detector(file: str, recording: Recording) -> numpy.typing.NDArray[numpy.number]:
    image = load_array(pathlib.Path(file))
    if image.shape not in ((), recording.detector_shape):
        raise UserError(
            f"{file} has the shape {image.shape} but the detector {recording.detector_shape}: choose another."
        )
    found: numpy.typing.NDArray[numpy.number] = image
    return found
