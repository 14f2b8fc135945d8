"""The illumination: high tension, aperture, aberrations and source size; and the annular detectors of the scan."""

from __future__ import annotations

import dataclasses
import math
import typing

import numpy
import numpy.typing

from dkl_ae.records import FloatArray, UserError, wavelength_angstrom

Coefficient = tuple[float, float]
"""An aberration's components a and b in Krivanek's notation, along x and y for the first of a kind."""


@dataclasses.dataclass(frozen=True)
class Optics:
    """What shapes the probe, and which angles the scan's detectors span.

    Aberrations are Krivanek's (Ultramicroscopy 78 (1999) 1), named as Nion's controls; positive defocus is overfocus.

    Raises UserError for settings that cannot work.
    """

    high_tension_v: float = 70e3
    convergence_mrad: float = 30.0
    """Half angle of the probe-forming aperture."""
    defocus_nm: float = 0.0
    """C10."""
    astigmatism_nm: Coefficient = (0.0, 0.0)
    """C12, twofold."""
    coma_nm: Coefficient = (0.0, 0.0)
    """C21."""
    threefold_nm: Coefficient = (0.0, 0.0)
    """C23."""
    spherical_um: float = 0.0
    """C30."""
    source_sigma_angstrom: float = 0.25
    """Standard deviation of the Gaussian effective source. It blurs the scan's images; a pattern belongs to one sharp
    position."""
    haadf_mrad: tuple[float, float] = (58.0, 200.0)
    """Inner and outer half angle: those of Krivanek et al., Nature 464 (2010) 571."""

    def __post_init__(self) -> None:
        for label, value, unit in (
            ("high tension", self.high_tension_v, "V"),
            ("convergence angle", self.convergence_mrad, "mrad"),
        ):
            if not (math.isfinite(value) and value > 0):
                raise UserError(f"The {label} is {value:g} {unit}: choose a positive number.")
        for label, values, unit in (
            ("defocus", (self.defocus_nm,), "nm"),
            ("twofold astigmatism", self.astigmatism_nm, "nm"),
            ("coma", self.coma_nm, "nm"),
            ("threefold astigmatism", self.threefold_nm, "nm"),
            ("spherical aberration", (self.spherical_um,), "um"),
        ):
            for value in values:
                if not math.isfinite(value):
                    raise UserError(f"The {label} is {value:g} {unit}: choose a number.")
        if not self.source_sigma_angstrom >= 0:
            raise UserError(
                f"The source size is {self.source_sigma_angstrom:g} angstrom: choose zero or a positive number."
            )
        inner, outer = self.haadf_mrad
        if not self.convergence_mrad <= inner < outer:
            raise UserError(
                f"The annular detector spans {inner:g} to {outer:g} mrad: its inner angle must "
                f"be at least the convergence angle, {self.convergence_mrad:g} mrad, and less than "
                "the outer one."
            )

    @property
    def wavelength_angstrom(self) -> float:
        return wavelength_angstrom(self.high_tension_v)

    @property
    def edge_frequency(self) -> float:
        """Spatial frequency of the aperture's edge."""
        return self.convergence_mrad * 1e-3 / self.wavelength_angstrom

    def probe_radius_angstrom(self) -> float:
        """Radius that holds nearly all of the probe: the aberrated rays' farthest landing place, and the diffraction
        rings around it."""
        angle = self.convergence_mrad * 1e-3
        rays = 10 * (
            abs(self.defocus_nm) * angle
            + math.hypot(*self.astigmatism_nm) * angle
            + (3 * math.hypot(*self.coma_nm) + math.hypot(*self.threefold_nm)) * angle**2
            + 1e3 * abs(self.spherical_um) * angle**3
        )
        return rays + 5 / self.edge_frequency

    def annulus_mrad(self, detector: str) -> tuple[float, float]:
        """Inner and outer half angle of one of DETECTORS."""
        inner, outer = self.haadf_mrad
        return {
            "HAADF": (inner, outer),
            "MAADF": (self.convergence_mrad, inner),
            "BF": (0.0, self.convergence_mrad),
        }[detector]

    def aperture(self, k_y: FloatArray, k_x: FloatArray, edge_width: float) -> numpy.typing.NDArray[numpy.complex64]:
        """The probe's spectrum at spatial frequencies that broadcast: amplitude 1 inside, phase by the aberrations.

        edge_width: over which the aperture's edge falls, usually one frequency step.
        """
        k = numpy.hypot(k_y, k_x)
        # Intensity, not amplitude, falls linearly over the edge: the disc's area is then right.
        amplitude = numpy.sqrt(numpy.clip((self.edge_frequency - k) / edge_width + 0.5, 0, 1))
        return typing.cast(
            numpy.typing.NDArray[numpy.complex64],
            (amplitude * numpy.exp(-1j * self._aberration_phase(k_y, k_x))).astype(numpy.complex64),
        )

    def _aberration_phase(self, k_y: FloatArray, k_x: FloatArray) -> FloatArray:
        """chi, in radians: 2 pi / wavelength times the aberration function of the angle."""
        # Powers of the complex angle x + i y hold the cosines and sines of its azimuth's multiples.
        angle = self.wavelength_angstrom * (numpy.asarray(k_x) + 1j * numpy.asarray(k_y))
        square = angle.real**2 + angle.imag**2
        path = 10 * self.defocus_nm * square / 2 + 1e4 * self.spherical_um * square**2 / 4
        for power, (a, b) in (
            (angle**2 / 2, self.astigmatism_nm),
            (angle * square / 3, self.coma_nm),
            (angle**3 / 3, self.threefold_nm),
        ):
            if a or b:
                path = path + 10 * (a * power.real + b * power.imag)
        return 2 * math.pi / self.wavelength_angstrom * path


DETECTORS: typing.Final = ("HAADF", "MAADF", "BF")
"""The scan's detectors. MAADF spans the angles between the bright-field disc and HAADF; BF is the disc."""
