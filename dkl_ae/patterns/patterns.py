"""Patterns seen against a reference: what several scalarizers need of them is computed once."""

from __future__ import annotations

import dataclasses
import math

import numpy
import numpy.typing

from dkl_ae.patterns.bragg.discs import summed
from dkl_ae.patterns.bragg.measure import Lattice, measure_lattice
from dkl_ae.patterns.cached import cached
from dkl_ae.patterns.geometry import fit_descan
from dkl_ae.patterns.intensity_fractions import IntensityFractions
from dkl_ae.patterns.memory import BINNED_PIXELS, PatternMemory, ScanPosition
from dkl_ae.patterns.moments import Moments, moments, sums
from dkl_ae.patterns.reference import Reference, filled
from dkl_ae.records import BoolArray, FloatArray, NumberArray, UserError

MIN_BEAM_FRACTION = 0.01
"""With fewer than this fraction of the reference's electrons the beam did not reach the detector."""


def require_shape(counts: NumberArray, reference: Reference) -> None:
    """Raises UserError when patterns, shape (n, ky, kx), do not have the reference's shape."""
    if counts.ndim != 3 or counts.shape[-2:] != reference.shape:
        raise UserError(
            f"The pattern is {' x '.join(map(str, counts.shape[-2:]))} pixels but the reference is "
            f"{reference.shape[0]} x {reference.shape[1]}: keep the camera's binning and readout area, "
            "or acquire a new reference."
        )


class Patterns:
    """Patterns as scalarizers see them. Nothing is changed in the array that is given.

    counts: shape (n, ky, kx), as the camera gave them.
    positions: shape (n, 2), the probe's (y, x) as fractions of the scan, for the descan's correction; or None.
    zeros: where the undeflected beam was; None for where the reference has it.
    arms: the patterns around each, or None.
    memory: the patterns that were seen before, or None.

    Raises UserError when the patterns do not have the reference's shape.
    """

    def __init__(
        self,
        counts: numpy.typing.ArrayLike,
        reference: Reference,
        *,
        positions: FloatArray | None = None,
        zeros: Zeros | None = None,
        arms: Arms | None = None,
        memory: PatternMemory | None = None,
    ) -> None:
        self._counts: NumberArray = numpy.asarray(counts)
        self.reference = reference
        self.positions = positions
        self.zeros = zeros
        self.arms = arms
        self.memory = memory
        self._has_pixels = True
        require_shape(self._counts, reference)

    @classmethod
    def of_sums(
        cls, sums: FloatArray, reference: Reference, *, positions: FloatArray | None, zeros: Zeros | None
    ) -> Patterns:
        """Patterns whose pixels were let go, of which something can be read: what needs more than sums is undefined.

        sums: as `Patterns.sums` gave them, shape (n, sums).
        """
        patterns = cls(
            numpy.broadcast_to(numpy.nan, (len(sums), *reference.shape)), reference, positions=positions, zeros=zeros
        )
        patterns._has_pixels = False
        patterns.__dict__.update(sums=sums, reasons={})
        return patterns

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def counts(self) -> NumberArray:
        """Shape (n, ky, kx), as the camera gave them.

        Raises UserError for patterns whose pixels were let go.
        """
        if not self._has_pixels:
            raise UserError("Of this pattern nothing but sums is kept in memory: read it from its session.")
        return self._counts

    @cached
    def sums(self) -> FloatArray:
        """See `dkl_ae.patterns.moments.sums`, shape (n, sums)."""
        reference = self.reference
        counts = self._over_threshold if reference.threshold is not None else self.counts
        added = sums(counts, reference)
        if reference.bad_pixels is not None and self.counts.dtype.kind == "f":
            # A bad pixel may hold anything, and zero times NaN is NaN.
            for index in numpy.flatnonzero(~numpy.isfinite(added[:, 0])):
                added[index] = sums(numpy.where(reference.bad_pixels, 0, counts[index])[numpy.newaxis], reference)[0]
        return added

    @cached
    def _over_threshold(self) -> FloatArray:
        counts = self._over_dark
        return numpy.where(counts < (self.reference.threshold or 0.0), 0.0, counts)

    @property
    def _over_dark(self) -> FloatArray:
        dark = self.reference.dark
        return self.counts.astype(numpy.float64) - (0.0 if dark is None else dark)

    @cached
    def moments(self) -> Moments:
        shifts = None if self.zeros is None else self.zeros.shifts_mrad
        return moments(self.sums, self.reference, self.positions, shifts)

    @property
    def zero_sigmas_mrad(self) -> FloatArray:
        """One standard deviation of what a shift of zero means, along (y, x): shape (2,), or (n, 2) where it drifts."""
        return numpy.array(self.reference.zero_sigma_mrad) if self.zeros is None else self.zeros.sigmas_mrad

    @property
    def centre_sigmas_mrad(self) -> FloatArray:
        """Likewise of the disc's centre: the disc's centre of mass is so far from it."""
        return numpy.hypot(self.zero_sigmas_mrad, self.reference.zero_mrad)

    @cached
    def electrons(self) -> FloatArray:
        """Electrons in each pixel, shape (n, ky, kx): cleaned of the camera's dark counts and of bad pixels."""
        reference = self.reference
        counts = self._over_dark if reference.threshold is None else self._over_threshold
        if reference.bad_pixels is not None:
            counts = filled(counts, reference.bad_pixels)
        return counts / reference.counts_per_electron

    @cached
    def fractions(self) -> IntensityFractions:
        return IntensityFractions.of(self.electrons, self.reference.read_noise_electrons**2)

    @cached
    def binned(self) -> IntensityFractions:
        """The fractions of coarse pixels, each the sum of whole pixels; the last rows and columns may be left out."""
        rows, columns = (math.ceil(side / BINNED_PIXELS) for side in self.reference.shape)
        noise = self.reference.read_noise_electrons**2
        return IntensityFractions.of(summed(self.electrons, (rows, columns)), noise * rows * columns)

    def position(self, index: int) -> ScanPosition:
        """Where a pattern was measured, as the memory of patterns tells positions apart."""
        return None if self.positions is None else tuple(self.positions[index])

    def remember_in(self, memory: PatternMemory) -> None:
        """Let later patterns be compared with these; those of which nothing can be read are left out."""
        for index in range(len(self)):
            if index not in self.reasons:
                memory.add(self.binned.part(index), self.position(index))
        memory.find_component()

    @cached
    def lattices(self) -> tuple[Lattice, ...]:
        """The lattice of each pattern's Bragg discs, in the scan's axes."""
        reference = self.reference
        return tuple(
            measure_lattice(
                pattern,
                reference.centre,
                reference.mrad_per_pixel,
                reference.radius_mrad,
                read_noise_e=reference.read_noise_electrons,
            ).seen_through(reference.geometry.to_scan)
            for pattern in self.electrons
        )

    @cached
    def reasons(self) -> dict[int, str]:
        """Of the patterns of which nothing can be read: one sentence each, by their place in the stack."""
        found = {}
        total, disc = self.sums[:, 0], self.sums[:, 1]
        least = MIN_BEAM_FRACTION * self.reference.electrons
        for index in numpy.flatnonzero(~((total > least) & (disc > least))):
            found[int(index)] = self._why_dark(int(index))
        for index in numpy.flatnonzero(self._maybe_saturated):
            full = self._full_pixels(int(index))
            if full:
                found[int(index)] = f"saturated: {full} pixels at {self._saturation:,g} counts; shorten the exposure."
        return found

    def _why_dark(self, index: int) -> str:
        total = self.sums[index, 0]
        if not numpy.isfinite(total):
            bad = self.reference.bad_pixels
            wrong = ~numpy.isfinite(self.counts[index]) & (True if bad is None else ~bad)
            return f"{numpy.count_nonzero(wrong)} pixels are not numbers: check the camera's correction."
        counts = total * self.reference.counts_per_electron
        if total > MIN_BEAM_FRACTION * self.reference.electrons:
            inside = self.sums[index, 1] * self.reference.counts_per_electron
            return (
                f"beam is off its place: {inside:,.0f} of {counts:,.0f} counts are in the mask of the centre of mass; "
                "centre the pattern."
            )
        return f"beam is off or blocked: {counts:,.0f} counts, {self.reference.counts:,.0f} expected."

    @cached
    def _saturation(self) -> float | None:
        if self.reference.saturation is not None:
            return self.reference.saturation
        return float(numpy.iinfo(self.counts.dtype.str).max) if self.counts.dtype.kind in "ui" else None

    @cached
    def _maybe_saturated(self) -> BoolArray:
        if self._saturation is None:
            return numpy.zeros(len(self), numpy.bool_)
        fullest: BoolArray = self.counts.max(axis=(1, 2)) >= self._saturation
        return fullest

    def _full_pixels(self, index: int) -> int:
        full = self.counts[index] >= self._saturation
        if self.reference.bad_pixels is not None:
            full &= ~self.reference.bad_pixels
        return int(numpy.count_nonzero(full))


@dataclasses.dataclass(frozen=True, eq=False)
class Zeros:
    """Where the undeflected beam was when n patterns were exposed."""

    shifts_mrad: FloatArray
    """How far it was from the reference's zero along the scan's (y, x), shape (n, 2)."""
    sigmas_mrad: FloatArray
    """One standard deviation of that, the reference's own error included, shape (n, 2)."""


@dataclasses.dataclass(frozen=True, eq=False)
class Arms:
    """What was measured at the ends of a cross around each of n places."""

    patterns: Patterns
    """Those 4 n: first the right ends of all crosses, then the left ones, those below, and those above."""
    length_nm: float


def with_descan(reference: Reference, counts: numpy.typing.ArrayLike, positions: FloatArray, order: int) -> Reference:
    """The reference, and how its zero wanders over the scan, fitted to patterns in which nothing deflects the beam.

    counts, positions: see `Patterns`. Patterns without the beam are left out.

    Raises UserError when the places are too few or too much in line for a fit of this order.
    """
    patterns = Patterns(counts, dataclasses.replace(reference, descan=None))
    m = patterns.moments
    there = numpy.ones(len(patterns), numpy.bool_)
    there[list(patterns.reasons)] = False
    y, x = positions[there].T
    zero_y, zero_x = reference.zero_mrad
    return dataclasses.replace(reference, descan=fit_descan(y, x, m.y[there] + zero_y, m.x[there] + zero_x, order))
