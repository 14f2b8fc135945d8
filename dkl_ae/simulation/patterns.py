"""Diffraction patterns of a virtual specimen, at any position.

| symbol | name here | source |
| --- | --- | --- |
| f_e(k) | `electrons.scattering_factor` | Lobato and Van Dyck, Acta Cryst. A 70 (2014) 636 |
| sigma V(r) | phase of `_Transmission.slices` | Kirkland, Advanced Computing in Electron Microscopy |
| exp(-i chi(k)) | `Optics.aperture` | Krivanek et al., Ultramicroscopy 78 (1999) 1 |
| p(k) | `PatternSimulator._propagator` | Cowley and Moodie, Acta Cryst. 10 (1957) 609 |

Thin specimens are phase objects: the exit wave is the probe times one transmission function. Thicker ones are cut into
slices, and the wave propagates freely between them (multislice). Each pattern is computed when it is asked for, so a
virtual specimen needs no file and no grid of positions.

Lengths are in angstrom inside this module, nm and mrad in its interface.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import typing

import numpy
import numpy.typing
import scipy.fft

from dkl_ae.records import ComplexArray, FloatArray, UserError, relativistic_mass_ratio
from dkl_ae.simulation import scattering_factors as electrons
from dkl_ae.simulation.detector import CameraGeometry
from dkl_ae.simulation.nufft import structure_factor
from dkl_ae.simulation.optics import Optics
from dkl_ae.simulation.specimen import Specimen

PHASE_OBJECT_ANGSTROM = 8.0
"""Specimens up to this thickness, which are one or two layers, are phase objects unless told otherwise."""
SLICE_ANGSTROM = 3.0
"""Thickness of a slice of thicker ones."""

_MIN_WINDOW_ANGSTROM = 30.0
"""The probe's wave is computed in a window at least this wide, so that its tails do not meet."""
_PATTERNS_AT_ONCE = 16


@dataclasses.dataclass(frozen=True, eq=False)
class _Transmission:
    """The specimen as one high tension, geometry and sampling see it, on a grid that ends in vacuum."""

    slices: tuple[ComplexArray, ...]
    """For each slice exp(i sigma V), shape (rows, columns)."""
    shape: tuple[int, int]
    origin_angstrom: FloatArray
    """(y, x) of the first grid point."""


class PatternSimulator:
    """Patterns of one specimen under one illumination; frozen once made, so threads may share it.

    A pattern belongs to one sharp position: neither the source size nor the loss of coherence by
    thermal vibration is in it; vibration blurs the potential (Debye-Waller). Beyond the atoms there is vacuum.

    The centre of mass points towards the nuclei, as electrons are attracted, and is positive
    towards larger index.

    slice_angstrom: thickness of a slice for multislice; 0 for a phase object; None to choose by the specimen.

    Raises UserError when the bright disc does not fit on the detector, or a slice is negative.
    """

    def __init__(
        self,
        specimen: Specimen,
        optics: Optics | None = None,
        geometry: CameraGeometry | None = None,
        *,
        slice_angstrom: float | None = None,
    ) -> None:
        self.specimen: typing.Final = specimen
        self.optics: typing.Final = optics or Optics()
        self.geometry: typing.Final = geometry or CameraGeometry()
        self._require_disc_on_detector()
        if slice_angstrom is None:
            slice_angstrom = 0 if specimen.thickness_angstrom <= PHASE_OBJECT_ANGSTROM else SLICE_ANGSTROM
        if not 0 <= slice_angstrom < math.inf:
            raise UserError(f"A slice is {slice_angstrom:g} angstrom thick: choose 0 or a positive number.")
        self.slice_angstrom: typing.Final = slice_angstrom
        detector_window = self.optics.wavelength_angstrom * 1e3 / self.geometry.mrad_per_pixel
        least_window = max(_MIN_WINDOW_ANGSTROM, 2.5 * self.optics.probe_radius_angstrom())
        self._oversampling = math.ceil(least_window / detector_window)
        window = detector_window * self._oversampling
        # The wave holds twice the detector's angles: what wraps around lands outside the detector.
        self._detected = self.geometry.pixels * self._oversampling
        self._size = 2 * self._detected
        self._step = window / self._size
        self._block = self._spectrum_block()
        self._probe = self._normalized_probe()

    def with_optics(self, optics: Optics) -> PatternSimulator:
        """The same specimen and detector under another illumination; quick while the high tension and the window stay
        the same."""
        changed = self._changed(self.specimen, optics)
        if changed._sampling == self._sampling:
            # The cached property keeps its value in the instance's dictionary.
            changed.__dict__["_transmission"] = self._transmission
        return changed

    def with_specimen(self, specimen: Specimen) -> PatternSimulator:
        """Another specimen under the same illumination and detector."""
        return self._changed(specimen, self.optics)

    def pattern(self, y_nm: float, x_nm: float) -> FloatArray:
        """Fraction of the beam in each detector pixel, shape (pixels, pixels).

        The sum is 1 in vacuum and less by what is scattered beyond the detector elsewhere.
        """
        return typing.cast(FloatArray, self.patterns([y_nm], [x_nm])[0])

    def patterns(self, y_nm: numpy.typing.ArrayLike, x_nm: numpy.typing.ArrayLike) -> FloatArray:
        """Patterns at n positions, shape (n, pixels, pixels)."""
        positions = numpy.stack([numpy.asarray(y_nm, float), numpy.asarray(x_nm, float)], axis=1)
        batches = [
            self._few_patterns(positions[start : start + _PATTERNS_AT_ONCE])
            for start in range(0, len(positions), _PATTERNS_AT_ONCE)
        ]
        pixels = self.geometry.pixels
        return numpy.concatenate([numpy.empty((0, pixels, pixels)), *batches])

    def com_map(self, rows_nm: numpy.typing.ArrayLike, columns_nm: numpy.typing.ArrayLike) -> FloatArray:
        """Centre of mass of the noise-free pattern at each (row, column), in mrad.

        Shape (rows, columns, 2); the last axis is (y, x). Zero is where the beam falls in the middle of the scan.
        """
        rows, columns = numpy.asarray(rows_nm, float), numpy.asarray(columns_nm, float)
        geometry = self.geometry
        y, x = ((numpy.arange(geometry.pixels) - centre) * geometry.mrad_per_pixel for centre in geometry.centre_pixels)
        result = numpy.empty((len(rows), len(columns), 2))
        for row, place in enumerate(rows):
            patterns = self.patterns(numpy.full(len(columns), place), columns)
            moments = numpy.stack([patterns.sum(axis=2) @ y, patterns.sum(axis=1) @ x], axis=-1)
            result[row] = moments / patterns.sum(axis=(1, 2))[:, None]
        return result

    @property
    def _sampling(self) -> tuple[float, ...]:
        """What the transmission function depends on beside the specimen and the geometry."""
        return self._size, self._step, self.optics.high_tension_v

    def _changed(self, specimen: Specimen, optics: Optics) -> PatternSimulator:
        return PatternSimulator(specimen, optics, self.geometry, slice_angstrom=self.slice_angstrom)

    def _require_disc_on_detector(self) -> None:
        geometry = self.geometry
        reach = (geometry.pixels / 2 - 1) * geometry.mrad_per_pixel
        if self.optics.convergence_mrad * math.sqrt(geometry.ellipticity) > reach:
            raise UserError(
                f"The convergence angle is {self.optics.convergence_mrad:g} mrad but the detector "
                f"ends at {reach:g} mrad: choose a smaller angle or more mrad per pixel."
            )

    # Indices of the wave's spectrum are shifted by half the detector, and by half a step: so what the detector sees are
    # the first `_detected` of them, and the beam falls on the detector's middle. The ramp that this multiplies the wave
    # by is not seen in the other half of the transform.

    def _frequencies(self, indices: FloatArray) -> FloatArray:
        """On the detector, in steps of its (oversampled) pixels."""
        return indices - self._detected / 2 + 0.5

    def _spectrum_block(self) -> slice:
        """The indices where the aperture, however it is distorted, lets anything through."""
        steps = self.optics.convergence_mrad / self.geometry.mrad_per_pixel * self._oversampling
        half = math.ceil(steps * math.sqrt(self.geometry.ellipticity)) + 1
        middle = self._detected // 2
        return slice(max(middle - half, 0), min(middle + half, self._detected))

    def _scattering(self, detector_y: FloatArray, detector_x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Spatial frequencies (y, x) of the scattering that falls on these places of the detector, in 1/angstrom
        both."""
        inverse = numpy.linalg.inv(self.geometry.distortion)
        return (
            inverse[0, 0] * detector_y + inverse[0, 1] * detector_x,
            inverse[1, 0] * detector_y + inverse[1, 1] * detector_x,
        )

    def _normalized_probe(self) -> ComplexArray:
        """Spectrum in the block, such that its transform over the whole grid has a sum of squares of 1."""
        k_step = 1 / (self._size * self._step)
        block = self._block
        k = self._frequencies(numpy.arange(block.start, block.stop)) * k_step
        aperture = self.optics.aperture(*self._scattering(k[:, None], k[None, :]), k_step)
        return typing.cast(ComplexArray, aperture / numpy.linalg.norm(aperture))

    def _few_patterns(self, positions_nm: FloatArray) -> FloatArray:
        size, detected, block = self._size, self._detected, self._block
        starts, ramps = self._windows(positions_nm)
        spectrum = self._probe * ramps[0][:, :, None] * ramps[1][:, None, :]
        # Transforms of rows and columns that are all zero, or not wanted, are left out.
        rows = numpy.zeros((len(positions_nm), len(self._probe), size), numpy.complex64)
        rows[:, :, block] = spectrum
        wave = numpy.zeros((len(positions_nm), size, size), numpy.complex64)
        wave[:, block, :] = scipy.fft.ifft(rows, axis=-1)
        wave = scipy.fft.ifft(wave, axis=-2)
        slices = self._transmission.slices
        for number, transmission in enumerate(slices):
            for index, (top, left) in enumerate(starts):
                wave[index] *= transmission[top : top + size, left : left + size]
            if number < len(slices) - 1:
                wave = scipy.fft.ifft2(scipy.fft.fft2(wave) * self._propagator)
        if self.geometry.moves_beam:
            wave = wave * self._beam_ramp(positions_nm)
        wave = scipy.fft.fft(wave, axis=-2)[:, :detected, :]
        wave = scipy.fft.fft(wave, axis=-1)[:, :, :detected]
        intensity = wave.real**2 + wave.imag**2
        pixels, bins = self.geometry.pixels, self._oversampling
        binned = intensity.reshape(-1, pixels, bins, pixels, bins).sum((2, 4))
        return typing.cast(FloatArray, binned.astype(numpy.float64))

    def _windows(self, positions_nm: FloatArray) -> tuple[list[tuple[int, int]], list[ComplexArray]]:
        """The window of the transmission function around each position, and for each axis the spectrum's ramps,
        (n, block), that move the probe from the window's corner to the position."""
        transmission = self._transmission
        pixels = (positions_nm * 10 @ self._to_grid.T - transmission.origin_angstrom) / self._step
        # The grid's outermost windows hold nothing but vacuum, so a farther window is replaced by them.
        starts = numpy.clip(
            numpy.round(pixels).astype(int) - self._size // 2, 0, numpy.array(transmission.shape) - self._size
        )
        frequencies = self._frequencies(numpy.arange(self._block.start, self._block.stop))
        phases = -2 * math.pi / self._size * (pixels - starts)[:, :, None] * frequencies
        ramps = [numpy.exp(1j * phases[:, axis]).astype(numpy.complex64) for axis in range(2)]
        return [(int(top), int(left)) for top, left in starts], ramps

    def _beam_ramp(self, positions_nm: FloatArray) -> ComplexArray:
        """Multiplies the wave, so that its pattern moves over the detector."""
        shift = self.geometry.beam_mrad(positions_nm - self.specimen.extent_nm / 2)
        steps = shift / self.geometry.mrad_per_pixel * self._oversampling
        phases = 2 * math.pi / self._size * steps[:, :, None] * numpy.arange(self._size)
        y, x = (numpy.exp(1j * phases[:, axis]).astype(numpy.complex64) for axis in range(2))
        return typing.cast(ComplexArray, y[:, :, None] * x[:, None, :])

    @property
    def _to_grid(self) -> FloatArray:
        """Takes (y, x) of the specimen to the grid on which the detector's pixels are the square frequency steps."""
        return numpy.linalg.inv(self.geometry.distortion).astype(numpy.float64).T

    @functools.cached_property
    def _transmission(self) -> _Transmission:
        specimen, step = self.specimen, self._step
        margin = self._size * step + 6 * step
        field = specimen.extent_nm * 10
        corners = numpy.array([[0, 0], [0, field], [field, 0], [field, field]], float) @ self._to_grid.T
        atoms = specimen.atoms_angstrom[:, 1::-1] @ self._to_grid.T
        everything = numpy.concatenate([atoms, corners])
        low, high = everything.min(axis=0) - margin, everything.max(axis=0) + margin
        rows, columns = (scipy.fft.next_fast_len(math.ceil(n)) for n in (high - low) / step)
        slices = tuple(self._slice((atoms - low) / step, chosen, (rows, columns)) for chosen in self._layers())
        return _Transmission(slices, (rows, columns), low)

    def _layers(self) -> list[numpy.typing.NDArray[numpy.bool_]]:
        """For each slice, from the first that the beam meets, which atoms are in it."""
        heights = self.specimen.atoms_angstrom[:, 2]
        if not self.slice_angstrom or not len(heights):
            return [numpy.ones(len(heights), bool)]
        number = ((heights - heights.min()) / self.slice_angstrom).astype(int)
        return [number == layer for layer in range(number.max() + 1)]

    def _slice(
        self, positions_steps: FloatArray, chosen: numpy.typing.NDArray[numpy.bool_], shape: tuple[int, int]
    ) -> ComplexArray:
        """exp(i sigma V) of the chosen atoms."""
        step = self._step
        detector_y = scipy.fft.fftfreq(shape[0], step)[:, None].astype(numpy.float32)
        detector_x = scipy.fft.rfftfreq(shape[1], step)[None, :].astype(numpy.float32)
        k = numpy.hypot(*self._scattering(detector_y, detector_x))
        transform = numpy.zeros(k.shape, numpy.complex64)
        numbers = self.specimen.atomic_numbers
        for element in numpy.unique(numbers[chosen]).tolist():
            blur = numpy.exp(-2 * (math.pi * electrons.thermal_displacement_angstrom(element) * k) ** 2)
            structure = structure_factor(positions_steps[chosen & (numbers == element)], shape)
            structure *= (electrons.scattering_factor(element, k) * blur).astype(numpy.float32)
            transform += structure
        # A circular band limit keeps the potential of an atom round.
        transform[numpy.hypot(detector_y, detector_x) > 0.5 / step] = 0
        # sigma V = wavelength * mass ratio * the Fourier integral of f_e: h^2 / (2 pi m e) cancels.
        strength = self.optics.wavelength_angstrom * relativistic_mass_ratio(self.optics.high_tension_v)
        phase = scipy.fft.irfft2(transform, s=shape) * numpy.float32(strength / step**2)
        return typing.cast(ComplexArray, numpy.exp(1j * phase).astype(numpy.complex64))

    @functools.cached_property
    def _propagator(self) -> ComplexArray:
        """Free flight through one slice, on the grid of the shifted spectrum."""
        k_step = 1 / (self._size * self._step)
        indices = numpy.arange(float(self._size))
        wrapped = (self._frequencies(indices) + self._size / 2) % self._size - self._size / 2
        k = wrapped * k_step
        scattering = self._scattering(k[:, None], k[None, :])
        k_squared = scattering[0] ** 2 + scattering[1] ** 2
        phase = math.pi * self.optics.wavelength_angstrom * self.slice_angstrom * k_squared
        # The band limit of two thirds keeps products of waves from wrapping around.
        inside = numpy.hypot(k[:, None], k[None, :]) < self._size * k_step / 3
        return typing.cast(ComplexArray, (inside * numpy.exp(-1j * phase)).astype(numpy.complex64))
