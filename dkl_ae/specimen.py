"""A virtual specimen: atoms to projected potential to electron wave, and from it patterns and the
survey.

One layer of light atoms is a phase object: the exit wave is the probe times a transmission
function. Each pattern is computed when it is asked for, at any position, so a virtual specimen
needs no file and no grid of positions.

| symbol | name here | source |
| --- | --- | --- |
| f_e(k) | `scattering_factor` | Lobato and Van Dyck, Acta Cryst. A 70 (2014) 636 |
| sigma V(r) | phase of `_Transmission` | Kirkland, Advanced Computing in Electron Microscopy |
| exp(-i chi(k)) | `PatternSimulator._aperture` | Krivanek et al., Ultramicroscopy 78 (1999) 1 |

Lengths are in angstrom and spatial frequencies in 1/angstrom inside this module, nm and mrad in its
interface.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from collections.abc import Mapping

import numpy
import numpy.typing
import scipy.fft
import scipy.ndimage
import scipy.spatial

from dkl_ae.survey import FloatArray, IntArray

_Complex = numpy.typing.NDArray[numpy.complex64]

CARBON = 6
SILICON = 14

_LOBATO: typing.Final = {
    CARBON: (
        (
            124.466088621343,
            -220.352857078963,
            195.235352280479,
            -98.1079361269799,
            0.0142023041213623,
        ),
        (
            2.42120849256005,
            2.30537943752425,
            2.04851932106564,
            1.93352552917547,
            0.0768976818478339,
        ),
    ),
    SILICON: (
        (
            2.87189142611612,
            -2.06173501195173,
            2.17114024204478,
            -0.0663073633058801,
            0.00301070709670513,
        ),
        (
            5.08487103642989,
            0.429178185305126,
            0.366485434192162,
            0.119710611296903,
            0.0143994536128397,
        ),
    ),
}
"""Coefficients a (angstrom) and b (angstrom squared) of each element."""

_THERMAL_ANGSTROM: typing.Final = {CARBON: 0.063, SILICON: 0.07}
"""Root-mean-square thermal displacement along one axis."""

_LIGHT_SPEED = 299792458.0
_ELECTRON_MASS = 9.1093837015e-31
_ELECTRON_CHARGE = 1.602176634e-19
_PLANCK = 6.62607015e-34

_LEAST_WINDOW_ANGSTROM = 30.0
"""The probe's wave is computed in a window at least this wide, so that its tails do not meet."""


def wavelength_angstrom(high_tension_v: float) -> float:
    """De Broglie wavelength of relativistic electrons: 0.04484 angstrom at 70 kV."""
    energy = _ELECTRON_CHARGE * high_tension_v
    momentum = math.sqrt(2 * _ELECTRON_MASS * energy + (energy / _LIGHT_SPEED) ** 2)
    return _PLANCK / momentum * 1e10


def relativistic_mass_ratio(high_tension_v: float) -> float:
    """Mass of the moving electron over its rest mass: 1.137 at 70 kV."""
    return 1 + _ELECTRON_CHARGE * high_tension_v / (_ELECTRON_MASS * _LIGHT_SPEED**2)


def scattering_factor(atomic_number: int, k: FloatArray) -> FloatArray:
    """Electron scattering factor in angstrom (rest mass) at spatial frequencies k in 1/angstrom."""
    a, b = numpy.array(_LOBATO[atomic_number])
    bk = numpy.multiply.outer(numpy.square(k), b)
    return typing.cast(FloatArray, (a * (2 + bk) / (1 + bk) ** 2).sum(axis=-1))


@dataclasses.dataclass(frozen=True, eq=False)
class Specimen:
    """Atoms, and where the interesting ones are.

    The origin is the top left corner of the field; x grows with the column and y, downwards, with
    the row. Atoms may lie outside the field, and should where it is to look endless.

    Raises ValueError for atoms that cannot be simulated.
    """

    name: str
    atoms_angstrom: FloatArray
    """Shape (n, 3): x, y, z."""
    atomic_numbers: IntArray
    """Shape (n,)."""
    extent_nm: float
    """Side of the square field."""
    sites: Mapping[str, tuple[float, float]]
    """Where things are, (y, x) in nm: the truth, for people and tests; nothing is computed from
    it."""

    def __post_init__(self) -> None:
        shape = self.atoms_angstrom.shape
        if len(shape) != 2 or shape[1] != 3 or self.atomic_numbers.shape != shape[:1]:
            raise ValueError(
                f"The atoms have shape {shape} and their atomic numbers "
                f"{self.atomic_numbers.shape}: give x, y and z and one number for each atom."
            )
        if not numpy.isfinite(self.atoms_angstrom).all():
            raise ValueError("An atom's position is not a number: correct the list of atoms.")
        unknown = set(self.atomic_numbers.tolist()) - set(_LOBATO)
        if unknown:
            raise ValueError(
                f"There is no scattering factor for atomic number {min(unknown)}: "
                f"use {' and '.join(str(z) for z in _LOBATO)}."
            )
        if not self.extent_nm > 0:
            raise ValueError(f"The extent is {self.extent_nm:g} nm: choose a positive number.")


@dataclasses.dataclass(frozen=True)
class Optics:
    """The illumination and the survey's detector. Raises ValueError for settings that cannot
    work."""

    high_tension_v: float = 70e3
    convergence_mrad: float = 30.0
    """Half angle of the probe-forming aperture."""
    defocus_nm: float = 0.0
    """C10 in Krivanek's notation, as Nion's control of that name: positive is overfocus."""
    source_sigma_angstrom: float = 0.25
    """Standard deviation of the Gaussian effective source; only the survey is blurred by it."""
    haadf_mrad: tuple[float, float] = (58.0, 200.0)
    """Inner and outer half angle of the annular detector: those of Krivanek et al., Nature 464
    (2010) 571."""

    def __post_init__(self) -> None:
        for label, value, unit in (
            ("high tension", self.high_tension_v, "V"),
            ("convergence angle", self.convergence_mrad, "mrad"),
        ):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"The {label} is {value:g} {unit}: choose a positive number.")
        if not math.isfinite(self.defocus_nm):
            raise ValueError(f"The defocus is {self.defocus_nm:g} nm: choose a number.")
        inner, outer = self.haadf_mrad
        if not self.convergence_mrad <= inner < outer:
            raise ValueError(
                f"The annular detector spans {inner:g} to {outer:g} mrad: its inner angle must "
                f"be at least the convergence angle, {self.convergence_mrad:g} mrad, and less than "
                "the outer one."
            )


@dataclasses.dataclass(frozen=True, eq=False)
class _Transmission:
    """The specimen as one high tension and one sampling see it, on a grid that ends in vacuum."""

    values: _Complex
    """Shape (rows, columns): exp(i sigma V)."""
    structure: Mapping[int, _Complex]
    """For each element the Fourier transform of its atoms, shape (rows, columns // 2 + 1)."""
    origin_angstrom: tuple[float, float]
    """(y, x) of the first grid point."""


class PatternSimulator:
    """Patterns and survey of one specimen under one illumination; frozen once made, so threads may
    share it.

    A pattern belongs to one sharp position: neither the source size nor the loss of coherence by
    thermal vibration is in it; vibration blurs the potential (Debye-Waller). The survey is
    incoherent: each atom scatters its elastic cross-section (first Born approximation) times the
    probe's intensity there, blurred by the source. Beyond the atoms there is vacuum.

    The centre of mass points towards the nuclei, as electrons are attracted, and is positive
    towards larger index.

    Raises ValueError when the bright disc does not fit on the detector.
    """

    def __init__(
        self,
        specimen: Specimen,
        optics: Optics | None = None,
        detector_pixels: int = 64,
        mrad_per_pixel: float = 2.5,
    ) -> None:
        self.specimen: typing.Final = specimen
        self.optics: typing.Final = optics or Optics()
        self.detector_pixels: typing.Final = detector_pixels
        self.mrad_per_pixel: typing.Final = mrad_per_pixel
        self._require_disc_on_detector()
        self._wavelength = wavelength_angstrom(self.optics.high_tension_v)
        detector_window = self._wavelength * 1e3 / mrad_per_pixel
        self._oversampling = math.ceil(_LEAST_WINDOW_ANGSTROM / detector_window)
        window = detector_window * self._oversampling
        # The wave holds twice the detector's angles: what wraps around lands outside the detector.
        self._size = 2 * detector_pixels * self._oversampling
        self._step = window / self._size
        # Half-integer frequencies are symmetric about zero, so the beam's centre is the detector's.
        # Multiplying the wave by the ramp this amounts to does not change what is seen in the other
        # half of the transform.
        self._frequency_index = scipy.fft.fftfreq(self._size, 1 / self._size) + 0.5
        self._probe = self._normalized_probe()

    @property
    def centre_pixels(self) -> tuple[float, float]:
        """(y, x) of the unscattered beam: the middle of the detector, (detector_pixels - 1) / 2."""
        return (self.detector_pixels - 1) / 2, (self.detector_pixels - 1) / 2

    def with_optics(self, optics: Optics) -> PatternSimulator:
        """The same specimen and detector under another illumination; quick unless the high tension
        changes."""
        changed = PatternSimulator(self.specimen, optics, self.detector_pixels, self.mrad_per_pixel)
        if optics.high_tension_v == self.optics.high_tension_v:
            # The cached property keeps its value in the instance's dictionary.
            changed.__dict__["_transmission"] = self._transmission
        return changed

    def pattern(self, y_nm: float, x_nm: float) -> FloatArray:
        """Fraction of the beam in each detector pixel, shape (detector_pixels, detector_pixels).

        The sum is 1 in vacuum and less by what is scattered beyond the detector elsewhere.
        """
        size = self._size
        transmission = self._transmission
        slices, ramps = [], []
        for position_nm, origin, length in zip(
            (y_nm, x_nm), transmission.origin_angstrom, transmission.values.shape, strict=True
        ):
            pixel = (position_nm * 10 - origin) / self._step
            # The grid's outermost windows hold nothing but vacuum, so a farther window is replaced
            # by them.
            start = min(max(round(pixel) - size // 2, 0), length - size)
            slices.append(slice(start, start + size))
            phase = -2 * math.pi / size * (pixel - start) * self._frequency_index
            ramps.append(numpy.exp(1j * phase).astype(numpy.complex64))
        wave = scipy.fft.ifft2(self._probe * ramps[0][:, None] * ramps[1])
        wave *= transmission.values[slices[0], slices[1]]
        wave = scipy.fft.fft2(wave, overwrite_x=True)
        detected = numpy.arange(-size // 4, size // 4)
        amplitude = wave[numpy.ix_(detected, detected)]
        intensity = amplitude.real.astype(numpy.float64) ** 2 + amplitude.imag.astype(numpy.float64) ** 2
        pixels, bins = self.detector_pixels, self._oversampling
        binned = intensity.reshape(pixels, bins, pixels, bins).sum(axis=(1, 3))
        return typing.cast(FloatArray, binned)

    def haadf(self, y_nm: numpy.typing.ArrayLike, x_nm: numpy.typing.ArrayLike) -> FloatArray:
        """Fraction of the beam on the annular detector at positions that broadcast, in their common
        shape."""
        y, x = numpy.broadcast_arrays(numpy.asarray(y_nm, numpy.float64), numpy.asarray(x_nm, numpy.float64))
        origin_y, origin_x = self._transmission.origin_angstrom
        coordinates = numpy.stack([y.ravel() * 10 - origin_y, x.ravel() * 10 - origin_x])
        values = scipy.ndimage.map_coordinates(
            self._haadf_spline, coordinates / self._step, output=numpy.float64, prefilter=False
        )
        return typing.cast(FloatArray, numpy.maximum(values, 0).reshape(y.shape))

    def com_map(self, rows_nm: numpy.typing.ArrayLike, columns_nm: numpy.typing.ArrayLike) -> FloatArray:
        """Centre of mass of the noise-free pattern at each (row, column), in mrad from the beam's
        centre.

        Shape (rows, columns, 2); the last axis is (y, x).
        """
        rows, columns = numpy.asarray(rows_nm, float), numpy.asarray(columns_nm, float)
        angles = (numpy.arange(self.detector_pixels) - self.centre_pixels[0]) * self.mrad_per_pixel
        result = numpy.empty((len(rows), len(columns), 2))
        for row, y in enumerate(rows):
            for column, x in enumerate(columns):
                pattern = self.pattern(y, x)
                moments = angles @ pattern.sum(axis=1), pattern.sum(axis=0) @ angles
                result[row, column] = numpy.array(moments) / pattern.sum()
        return result

    def _require_disc_on_detector(self) -> None:
        if self.detector_pixels < 2 or self.detector_pixels % 2:
            raise ValueError(f"The detector has {self.detector_pixels} pixels a side: choose an even number.")
        if not (math.isfinite(self.mrad_per_pixel) and self.mrad_per_pixel > 0):
            raise ValueError(f"A detector pixel is {self.mrad_per_pixel:g} mrad: choose a positive number.")
        reach = (self.detector_pixels / 2 - 1) * self.mrad_per_pixel
        if self.optics.convergence_mrad > reach:
            raise ValueError(
                f"The convergence angle is {self.optics.convergence_mrad:g} mrad but the detector "
                f"ends at {reach:g} mrad: choose a smaller angle or more mrad per pixel."
            )

    def _aperture(self, k_y: FloatArray, k_x: FloatArray, k_step: float) -> _Complex:
        """The probe at spatial frequencies (rows, 1) and (1, columns); its edge is one frequency
        step wide."""
        k = numpy.hypot(k_y, k_x)
        edge = self.optics.convergence_mrad * 1e-3 / self._wavelength
        # Intensity, not amplitude, falls linearly over the edge: the disc's area is then right.
        amplitude = numpy.sqrt(numpy.clip((edge - k) / k_step + 0.5, 0, 1))
        chi = math.pi * self._wavelength * self.optics.defocus_nm * 10 * k**2
        return typing.cast(_Complex, (amplitude * numpy.exp(-1j * chi)).astype(numpy.complex64))

    def _normalized_probe(self) -> _Complex:
        """Such that the squared magnitude of fft2 of the wave sums to 1; shape (size, size)."""
        k_step = 1 / (self._size * self._step)
        k = self._frequency_index * k_step
        aperture = self._aperture(k[:, None], k[None, :], k_step)
        return typing.cast(_Complex, aperture / numpy.linalg.norm(aperture))

    @functools.cached_property
    def _transmission(self) -> _Transmission:
        specimen, step = self.specimen, self._step
        window = self._size * step
        corner = numpy.array([specimen.extent_nm, specimen.extent_nm]) * 10
        points = numpy.concatenate([specimen.atoms_angstrom[:, :2], [corner * 0, corner]])
        low, high = points.min(axis=0) - window, points.max(axis=0) + window
        columns, rows = (scipy.fft.next_fast_len(math.ceil(n)) for n in (high - low) / step)
        k_y = scipy.fft.fftfreq(rows, step)
        k_x = scipy.fft.rfftfreq(columns, step)
        k = numpy.hypot(k_y[:, None], k_x[None, :])
        structure = {}
        phase_transform = numpy.zeros((rows, len(k_x)), numpy.complex64)
        for element in numpy.unique(specimen.atomic_numbers).tolist():
            x, y = (specimen.atoms_angstrom[specimen.atomic_numbers == element, :2] - low).T
            along_y = numpy.exp(-2j * math.pi * numpy.outer(k_y, y)).astype(numpy.complex64)
            along_x = numpy.exp(-2j * math.pi * numpy.outer(x, k_x)).astype(numpy.complex64)
            structure[element] = along_y @ along_x
            blur = numpy.exp(-2 * (math.pi * _THERMAL_ANGSTROM[element] * k) ** 2)
            shape = (scattering_factor(element, k) * blur).astype(numpy.float32)
            phase_transform += structure[element] * shape
        # A circular band limit keeps the potential of an atom round.
        phase_transform[k > 0.5 / step] = 0
        # sigma V = wavelength * mass ratio * the Fourier integral of f_e: h^2 / (2 pi m e) cancels.
        strength = self._wavelength * relativistic_mass_ratio(self.optics.high_tension_v)
        phase = scipy.fft.irfft2(phase_transform, s=(rows, columns)) * (strength / step**2)
        values = numpy.exp(1j * phase).astype(numpy.complex64)
        return _Transmission(values, structure, (float(low[1]), float(low[0])))

    @functools.cached_property
    def _haadf_spline(self) -> numpy.typing.NDArray[numpy.float32]:
        """Coefficients of the cubic spline through the survey on the transmission's grid."""
        rows, columns = self._transmission.values.shape
        k_y = scipy.fft.fftfreq(rows, self._step)[:, None]
        k_x = scipy.fft.fftfreq(columns, self._step)[None, :]
        wave = scipy.fft.ifft2(self._aperture(k_y, k_x, 1 / (max(rows, columns) * self._step)))
        intensity = wave.real**2 + wave.imag**2
        spread = scipy.fft.rfft2(intensity / (intensity.sum(dtype=numpy.float64) * self._step**2))
        k_squared = k_y**2 + k_x[:, : columns // 2 + 1] ** 2
        image = numpy.zeros(spread.shape, numpy.complex64)
        for element, structure in self._transmission.structure.items():
            variance = self.optics.source_sigma_angstrom**2 + _THERMAL_ANGSTROM[element] ** 2
            blur = numpy.exp(-2 * math.pi**2 * variance * k_squared).astype(numpy.float32)
            image += self._cross_section(element) * structure * blur
        image *= spread
        return typing.cast(
            numpy.typing.NDArray[numpy.float32],
            scipy.ndimage.spline_filter(scipy.fft.irfft2(image, s=(rows, columns)), output=numpy.float32),
        )

    def _cross_section(self, atomic_number: int) -> float:
        """Of scattering onto the annular detector, in square angstrom: |mass ratio * f_e|^2 over
        its angles."""
        inner, outer = self.optics.haadf_mrad
        angle = numpy.linspace(inner, outer, 500) * 1e-3
        factor = scattering_factor(atomic_number, angle / self._wavelength)
        density = (relativistic_mass_ratio(self.optics.high_tension_v) * factor) ** 2
        return float(numpy.trapezoid(2 * math.pi * angle * density, angle))


_LATTICE_ANGSTROM = 2.46
_BOND_ANGSTROM = _LATTICE_ANGSTROM / math.sqrt(3)
_SHEET_MARGIN_ANGSTROM = 18.0
"""The sheet goes on this far beyond the field."""

_SILICON_BOND_ANGSTROM = 1.76
_SILICON_PUSH_ANGSTROM = 0.18
_SUBSTITUTIONS = 4


def graphene_with_silicon(extent_nm: float = 3.0, seed: int = 0) -> Specimen:
    """Graphene with silicon dopants and a hole: four 3-fold silicons, one 4-fold silicon, one hole.

    The lattice's orientation and the dopants' places are drawn from the seed. A 3-fold silicon
    replaces one carbon and sits above the sheet; the carbons around it give way by 0.18 angstrom,
    less the farther they are, so that its bonds are 1.76 angstrom long. A 4-fold silicon replaces
    two neighbours, in the plane (Zhou et al., Phys. Rev. Lett. 109 (2012) 206803). The hole has a
    radius of a fifth of the extent.

    Raises ValueError when the extent is less than 2.4 nm: the dopants would not fit.
    """
    if not 2.4 <= extent_nm < math.inf:
        raise ValueError(f"The extent is {extent_nm:g} nm: choose 2.4 nm or more.")
    random = numpy.random.default_rng(seed)
    extent = extent_nm * 10
    sheet = _graphene(extent, random)
    hole = numpy.array([0.8, 0.2]) * extent
    sheet = _cut_hole(sheet, hole, extent / 5)

    four_fold = numpy.array([0.3, 0.3]) * extent + random.uniform(-2, 2, 2)
    first, second = _bond_nearest(sheet, four_fold)
    four_fold = (sheet[first] + sheet[second]) / 2
    sheet = numpy.delete(sheet, [first, second], axis=0)

    chosen: list[int] = []
    taken = [four_fold]
    for atom in random.permutation(len(sheet)):
        position = sheet[atom]
        in_field = (position > 3).all() and (position < extent - 3).all()
        apart = min(numpy.linalg.norm(position - other) for other in taken) > 5
        if in_field and apart and numpy.linalg.norm(position - hole) > extent / 5 + 4:
            chosen.append(int(atom))
            taken.append(position)
        if len(chosen) == _SUBSTITUTIONS:
            break
    substituted = sheet[chosen]
    carbon = numpy.delete(sheet, chosen, axis=0)
    carbon += _relaxation(carbon, substituted)

    height = math.sqrt(_SILICON_BOND_ANGSTROM**2 - (_BOND_ANGSTROM + _SILICON_PUSH_ANGSTROM) ** 2)
    atoms = numpy.concatenate(
        [
            numpy.insert(carbon, 2, 0.0, axis=1),
            numpy.insert(substituted, 2, height, axis=1),
            [[*four_fold, 0.0]],
        ]
    )
    numbers = numpy.full(len(atoms), SILICON)
    numbers[: len(carbon)] = CARBON
    places = {f"3-fold silicon {number}": place for number, place in enumerate(substituted, start=1)}
    places |= {"4-fold silicon": four_fold, "hole": hole}
    return Specimen(
        name="graphene with silicon dopants and a hole",
        atoms_angstrom=atoms,
        atomic_numbers=numbers,
        extent_nm=extent_nm,
        sites={name: (float(y) / 10, float(x) / 10) for name, (x, y) in places.items()},
    )


def _graphene(extent: float, random: numpy.random.Generator) -> FloatArray:
    """Atoms (n, 2), x and y in angstrom, of a turned and shifted sheet over the field and its
    margin."""
    cells = math.ceil((extent + 2 * _SHEET_MARGIN_ANGSTROM) / _BOND_ANGSTROM)
    i, j = (index.ravel()[:, None] for index in numpy.mgrid[-cells:cells, -cells:cells])
    cell_corners = i * [_LATTICE_ANGSTROM, 0.0] + j * [_LATTICE_ANGSTROM / 2, 1.5 * _BOND_ANGSTROM]
    atoms = numpy.concatenate([cell_corners, cell_corners + numpy.array([0.0, _BOND_ANGSTROM])])
    angle = random.uniform(0, math.pi / 3)
    cosine, sine = math.cos(angle), math.sin(angle)
    atoms = atoms @ numpy.array([[cosine, sine], [-sine, cosine]])
    atoms += extent / 2 + random.uniform(0, _LATTICE_ANGSTROM, 2)
    inside = numpy.abs(atoms - extent / 2).max(axis=1) < extent / 2 + _SHEET_MARGIN_ANGSTROM
    return typing.cast(FloatArray, atoms[inside])


def _cut_hole(atoms: FloatArray, centre: FloatArray, radius: float) -> FloatArray:
    """Without the atoms in the hole, and without those at its edge that would hang on a single
    bond."""
    atoms = atoms[numpy.linalg.norm(atoms - centre, axis=1) > radius]
    tree = scipy.spatial.cKDTree(atoms)
    bonds = tree.query_ball_point(atoms, 1.2 * _BOND_ANGSTROM, return_length=True) - 1
    near_hole = numpy.linalg.norm(atoms - centre, axis=1) < radius + 2 * _BOND_ANGSTROM
    return typing.cast(FloatArray, atoms[~(near_hole & (bonds < 2))])


def _bond_nearest(atoms: FloatArray, point: FloatArray) -> tuple[int, int]:
    """The two bonded atoms whose bond's middle is nearest to a point."""
    bonds = scipy.spatial.cKDTree(atoms).query_pairs(1.2 * _BOND_ANGSTROM, output_type="ndarray")
    middles = atoms[bonds].mean(axis=1)
    first, second = bonds[numpy.linalg.norm(middles - point, axis=1).argmin()]
    return int(first), int(second)


def _relaxation(carbon: FloatArray, silicon: FloatArray) -> FloatArray:
    """Displacement of each carbon away from the silicons, decaying by e for each bond length."""
    away = carbon[:, None] - silicon[None]
    distance = numpy.linalg.norm(away, axis=2, keepdims=True)
    push = _SILICON_PUSH_ANGSTROM * numpy.exp(1 - distance / _BOND_ANGSTROM)
    return typing.cast(FloatArray, (away / distance * push).sum(axis=1))
