"""How the electrons of a pattern are shared among its pixels, and what that tells of errors.

Squares of counts are raised by the counting noise; n (n - 1) in the place of n^2 is free of that, for Poisson numbers.
What one more electron in a pixel would change in a reading is its influence function; the variance of a reading of N
electrons is that of the influence over them, divided by N, and the read noise adds its own.
"""

from __future__ import annotations

import dataclasses

import numpy

from dkl_ae.records import FloatArray


@dataclasses.dataclass(frozen=True, eq=False)
class IntensityFractions:
    """How the electrons of n patterns are shared among K pixels."""

    p: FloatArray
    """Fraction of the electrons in each pixel, shape (n, K)."""
    squares: FloatArray
    """Sum of the squared fractions, counting noise removed, shape (n,)."""
    electrons: FloatArray
    """Shape (n, 1)."""
    read_noise_variance: float
    """Of a pixel, electrons squared."""

    @classmethod
    def of(cls, electrons: FloatArray, read_noise_variance: float) -> IntensityFractions:
        """electrons: shape (n, ky, kx). read_noise_variance: of a pixel, electrons squared."""
        n = electrons.reshape(len(electrons), -1)
        total = n.sum(axis=1, keepdims=True)
        with numpy.errstate(divide="ignore", invalid="ignore"):
            without_counting_noise = numpy.einsum("ij,ij->i", n, n) - total[:, 0]
            squares = (without_counting_noise - read_noise_variance * n.shape[1]) / total[:, 0] ** 2
            return cls(n / total, squares, total, read_noise_variance)

    def part(self, index: int) -> IntensityFractions:
        """Of one pattern, which stays one of a stack."""
        one = slice(index, index + 1)
        return IntensityFractions(self.p[one], self.squares[one], self.electrons[one], self.read_noise_variance)

    def sigma(self, influence: FloatArray) -> FloatArray:
        """Standard deviation of a reading whose influence function has the shape (n, K) or (K,); of one pattern also
        of n readings that have it in common."""
        with numpy.errstate(divide="ignore", invalid="ignore"):
            p, influence = numpy.broadcast_arrays(self.p, influence)
            centred = influence - numpy.einsum("ij,ij->i", p, influence)[:, numpy.newaxis]
            squared = numpy.einsum("ij,ij,ij->i", p, centred, centred) / self.electrons[:, 0]
            if self.read_noise_variance:
                read = self.read_noise_variance * numpy.einsum("ij,ij->i", centred, centred)
                squared += read / self.electrons[:, 0] ** 2
            deviation: FloatArray = numpy.sqrt(numpy.maximum(squared, 0))
        return deviation
