"""Scanned images of a virtual specimen that are linear in it, whole fields at a time.

Annular detectors are incoherent: each atom scatters its elastic cross-section times the probe's intensity there (first
Born approximation). The mean deflection is that of Ehrenfest's theorem: the centre of mass of a phase object's pattern
is the gradient of its phase averaged over the probe's intensity (Mueller et al., Nature Communications 5 (2014) 5653;
Lazic et al., Ultramicroscopy 160 (2016) 265).
"""

from __future__ import annotations

import functools
import math
import typing

import numpy
import numpy.typing
import scipy.fft
import scipy.ndimage

from dkl_ae.records import ComplexArray, FloatArray, relativistic_mass_ratio
from dkl_ae.simulation import scattering_factors as electrons
from dkl_ae.simulation.nufft import structure_factor
from dkl_ae.simulation.optics import Optics
from dkl_ae.simulation.specimen import Specimen

_Spline = numpy.typing.NDArray[numpy.float32]

_STEPS_PER_PERIOD = 5
"""Of the grid, in the finest detail that the probe can show."""
_MAX_ANGLE_MRAD = 200.0
"""What is scattered farther is missed by every detector, and is little."""


class ImageSimulator:
    """Images of one specimen under one illumination; frozen once made, so threads may share it."""

    def __init__(self, specimen: Specimen, optics: Optics | None = None) -> None:
        self.specimen: typing.Final = specimen
        self.optics: typing.Final = optics or Optics()
        self._step = 1 / (2 * self.optics.edge_frequency * _STEPS_PER_PERIOD)
        margin = self.optics.probe_radius_angstrom() + 8 * self._step
        field = specimen.extent_nm * 10
        atoms = specimen.atoms_angstrom[:, 1::-1]
        everything = numpy.concatenate([atoms, [[0, 0], [field, field]]])
        self._origin = everything.min(axis=0) - margin
        size = (everything.max(axis=0) + margin - self._origin) / self._step
        rows, columns = (scipy.fft.next_fast_len(math.ceil(n)) for n in size)
        self._shape = (rows, columns)
        self._positions = (atoms - self._origin) / self._step
        self._annular: dict[tuple[float, float], _Spline] = {}

    def image(self, detector: str, y_nm: numpy.typing.ArrayLike, x_nm: numpy.typing.ArrayLike) -> FloatArray:
        """Fraction of the beam on one of optics.DETECTORS at positions that broadcast, in their common shape.

        What leaves the bright-field disc is missing from BF.
        """
        inner, outer = self.optics.annulus_mrad(detector)
        if inner == 0:
            return 1 - self.annular(outer, _MAX_ANGLE_MRAD, y_nm, x_nm)
        return self.annular(inner, outer, y_nm, x_nm)

    def annular(
        self, inner_mrad: float, outer_mrad: float, y_nm: numpy.typing.ArrayLike, x_nm: numpy.typing.ArrayLike
    ) -> FloatArray:
        """Fraction of the beam that is scattered between two half angles, as `image`."""
        angles = (inner_mrad, outer_mrad)
        if angles not in self._annular:
            self._annular[angles] = self._annular_spline(*angles)
        return numpy.maximum(self._interpolate(self._annular[angles], y_nm, x_nm), 0)

    def deflection(self, y_nm: numpy.typing.ArrayLike, x_nm: numpy.typing.ArrayLike) -> FloatArray:
        """Centre of mass in mrad of all that is scattered, at positions that broadcast; the last axis is (y, x).

        Without the source's blur, as a pattern.
        """
        return numpy.stack([self._interpolate(spline, y_nm, x_nm) for spline in self._deflection_splines], axis=-1)

    def probe_density(self, distance_angstrom: FloatArray) -> FloatArray:
        """Fraction of the beam per square angstrom at (..., 2) displacements (y, x) from the probe; zero outside its
        reach."""
        grid, step = self._probe_image
        places = numpy.moveaxis(distance_angstrom, -1, 0) / step + len(grid) / 2
        return typing.cast(FloatArray, scipy.ndimage.map_coordinates(grid, places, order=1, mode="constant", cval=0.0))

    @functools.cached_property
    def _frequencies(self) -> tuple[FloatArray, FloatArray]:
        """(y, x) of rfft2 on the grid, broadcasting."""
        k_y = scipy.fft.fftfreq(self._shape[0], self._step)[:, None]
        k_x = scipy.fft.rfftfreq(self._shape[1], self._step)[None, :]
        return k_y, k_x

    @functools.cached_property
    def _probe_intensity(self) -> ComplexArray:
        """Fourier transform of the probe's intensity, 1 at zero frequency."""
        k_x = scipy.fft.fftfreq(self._shape[1], self._step)[None, :]
        width = 1 / (max(self._shape) * self._step)
        wave = scipy.fft.ifft2(self.optics.aperture(self._frequencies[0], k_x, width))
        intensity = wave.real**2 + wave.imag**2
        return typing.cast(ComplexArray, scipy.fft.rfft2(intensity / intensity.sum(dtype=numpy.float64)))

    @functools.cached_property
    def _probe_image(self) -> tuple[FloatArray, float]:
        """The probe's intensity per square angstrom, the probe in the middle pixel, and the grid's step."""
        half = math.ceil(self.optics.probe_radius_angstrom() / self._step)
        k = scipy.fft.fftfreq(2 * half, self._step)
        wave = scipy.fft.ifft2(self.optics.aperture(k[:, None], k[None, :], 1 / (2 * half * self._step)))
        intensity = scipy.fft.fftshift(wave.real**2 + wave.imag**2).astype(numpy.float64)
        return intensity / (intensity.sum() * self._step**2), self._step

    def _structure(self) -> typing.Iterator[tuple[int, ComplexArray]]:
        """For each element the Fourier transform of its atoms."""
        numbers = self.specimen.atomic_numbers
        for element in numpy.unique(numbers).tolist():
            yield element, structure_factor(self._positions[numbers == element], self._shape)

    def _annular_spline(self, inner_mrad: float, outer_mrad: float) -> _Spline:
        k_y, k_x = self._frequencies
        total = numpy.zeros(self._probe_intensity.shape, numpy.complex64)
        for element, structure in self._structure():
            variance = self.optics.source_sigma_angstrom**2 + electrons.thermal_displacement_angstrom(element) ** 2
            blur_y, blur_x = (numpy.exp(-2 * math.pi**2 * variance * k**2).astype(numpy.float32) for k in (k_y, k_x))
            strength = numpy.float32(self._cross_section(element, inner_mrad, outer_mrad))
            total += strength * structure * blur_y * blur_x
        return self._spline(total)

    @functools.cached_property
    def _deflection_splines(self) -> tuple[_Spline, _Spline]:
        k_y, k_x = self._frequencies
        k = numpy.hypot(k_y, k_x)
        total = numpy.zeros(self._probe_intensity.shape, numpy.complex64)
        for element, structure in self._structure():
            blur = numpy.exp(-2 * (math.pi * electrons.thermal_displacement_angstrom(element) * k) ** 2)
            total += (electrons.scattering_factor(element, k) * blur).astype(numpy.float32) * structure
        # The phase is wavelength * mass ratio * V; its gradient over 2 pi times the wavelength is an angle.
        wavelength = self.optics.wavelength_angstrom
        strength = wavelength**2 * relativistic_mass_ratio(self.optics.high_tension_v) * 1e3
        down, right = (self._spline((1j * strength * total * along).astype(numpy.complex64)) for along in (k_y, k_x))
        return down, right

    def _spline(self, transform: ComplexArray) -> _Spline:
        """Coefficients of the cubic spline through what the probe averages."""
        # The atoms meet the probe where they are seen from it: a correlation, not a convolution.
        image = scipy.fft.irfft2(transform * self._probe_intensity.conj(), s=self._shape)
        return typing.cast(
            _Spline,
            scipy.ndimage.spline_filter(image.astype(numpy.float32) / self._step**2, output=numpy.float32),
        )

    def _interpolate(self, spline: _Spline, y_nm: numpy.typing.ArrayLike, x_nm: numpy.typing.ArrayLike) -> FloatArray:
        y, x = numpy.broadcast_arrays(numpy.asarray(y_nm, numpy.float64), numpy.asarray(x_nm, numpy.float64))
        places = [(axis.ravel() * 10 - origin) / self._step for axis, origin in zip((y, x), self._origin, strict=True)]
        values = scipy.ndimage.map_coordinates(spline, places, output=numpy.float64, prefilter=False)
        return typing.cast(FloatArray, values.reshape(y.shape))

    def _cross_section(self, atomic_number: int, inner_mrad: float, outer_mrad: float) -> float:
        """Of scattering between two angles, in square angstrom: |mass ratio * f_e|^2 over them."""
        angle = numpy.linspace(inner_mrad, outer_mrad, 500) * 1e-3
        factor = electrons.scattering_factor(atomic_number, angle / self.optics.wavelength_angstrom)
        density = (relativistic_mass_ratio(self.optics.high_tension_v) * factor) ** 2
        return float(numpy.trapezoid(2 * math.pi * angle * density, angle))
