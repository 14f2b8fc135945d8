"""The patterns that were seen so far, to compare the next ones with.

Patterns are compared on a coarse detector: what differs between structures is wider than a pixel, and a pattern that
was seen costs little memory.
"""

from __future__ import annotations

import math

import numpy

from dkl_ae.patterns.intensity_fractions import IntensityFractions
from dkl_ae.records import FloatArray

COMPONENT_OF = 8
"""The principal component is that of the first so many patterns: it must not change while a model learns along it."""

BINNED_PIXELS = 32
"""Pixels of the coarse detector along each side, at most."""

ScanPosition = tuple[float, ...] | None
"""(y, x) where a pattern was measured, as fractions of the scan; None where that is not known."""


class PatternMemory:
    """Patterns, and the principal component of the first of them."""

    def __init__(self) -> None:
        self._seen: list[IntensityFractions] = []
        self._positions: list[ScanPosition] = []
        self.component: FloatArray | None = None
        """Unit vector over the coarse pixels, shape (K,); None until enough were seen."""
        self.mean: FloatArray | None = None
        """Mean fraction of each coarse pixel in the patterns that the component is of."""

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, binned: IntensityFractions, position: ScanPosition) -> None:
        """Remember one pattern: its fractions in the coarse pixels, still one of a stack."""
        self._seen.append(binned)
        self._positions.append(position)

    def find_component(self) -> None:
        """Find the principal component, where it is not known and enough patterns were seen."""
        if self.component is not None or len(self._seen) < COMPONENT_OF:
            return
        p = numpy.concatenate([fractions.p for fractions in self._seen])
        self.mean = p.mean(axis=0)
        component = numpy.linalg.svd(p - self.mean, full_matrices=False)[2][0]
        # Of the two directions, that in which the pixel that differs most gains.
        self.component = component * numpy.sign(component[numpy.abs(component).argmax()])

    def nearest(self, own: IntensityFractions, position: ScanPosition) -> tuple[float, float] | None:
        """Squared difference of one pattern from the nearest seen one, counting noise removed, relative to its own
        squares, and its standard deviation; None where no other was seen, at another position.
        """
        others = [
            other
            for other, elsewhere in zip(self._seen, self._positions, strict=True)
            if position is None or elsewhere != position
        ]
        if not others:
            return None
        squared = [own.squares[0] + other.squares[0] - 2 * float(own.p[0] @ other.p[0]) for other in others]
        nearest = others[int(numpy.argmin(squared))]
        scale = float(own.squares[0])
        change = 2 * (own.p - nearest.p) / scale
        return min(squared) / scale, math.hypot(own.sigma(change)[0], nearest.sigma(-change)[0])

    def component_scores(self, binned: IntensityFractions) -> tuple[FloatArray, FloatArray]:
        """Scores of patterns along the principal component, in units of the mean pattern's length, and their standard
        deviations, each of shape (n,)."""
        assert self.component is not None
        assert self.mean is not None
        axis = self.component / numpy.linalg.norm(self.mean)
        return (binned.p - self.mean) @ axis, binned.sigma(numpy.broadcast_to(axis, binned.p.shape))

    def scores(self) -> list[tuple[float, float]]:
        """Of the patterns that were seen, along the component, in their order; with standard deviations."""
        scores = [self.component_scores(fractions) for fractions in self._seen]
        return [(float(value[0]), float(sigma[0])) for value, sigma in scores]
