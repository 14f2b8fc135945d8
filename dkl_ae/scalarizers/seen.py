"""What a pattern is beside those seen before: how new it is, and where it lies along their principal component.

Patterns are compared on a coarse detector: what differs between structures is wider than a pixel, and a pattern that
was seen costs little memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy

from dkl_ae.scalarizers.bragg_discs import summed
from dkl_ae.scalarizers.patterns import Patterns
from dkl_ae.scalarizers.reference import FloatArray
from dkl_ae.scalarizers.scalarizer import Scalarizer, Values, nothing
from dkl_ae.scalarizers.shares import Shares
from dkl_ae.symmetry import Symmetry

COMPONENT_OF = 8
"""The principal component is that of the first so many patterns: it must not change while a model learns along it."""

_COARSE = 32
"""Pixels of the coarse detector along each side, at most."""


class Seen:
    """The patterns that were seen so far."""

    def __init__(self) -> None:
        self._seen: list[Shares] = []
        self._places: list[tuple[float, ...] | None] = []
        self.component: FloatArray | None = None
        """Unit vector over the coarse pixels, shape (K,); None until enough were seen."""
        self.middle: FloatArray | None = None
        """Mean share of each coarse pixel in the patterns that the component is of."""

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, patterns: Patterns) -> None:
        """Remember patterns; those of which nothing can be read are not."""
        shares = coarse(patterns)
        for index in range(len(patterns)):
            if index not in patterns.troubles:
                self._seen.append(shares.part(index))
                self._places.append(None if patterns.positions is None else tuple(patterns.positions[index]))
        if self.component is None and len(self._seen) >= COMPONENT_OF:
            self._find_component()

    def _find_component(self) -> None:
        p = numpy.concatenate([shares.p for shares in self._seen])
        self.middle = p.mean(axis=0)
        component = numpy.linalg.svd(p - self.middle, full_matrices=False)[2][0]
        # Of the two directions, that in which the pixel that differs most gains.
        self.component = component * numpy.sign(component[numpy.abs(component).argmax()])

    def nearest(self, own: Shares, place: tuple[float, ...] | None) -> tuple[float, float] | None:
        """Squared difference of one pattern from the nearest seen one, counting noise removed, relative to its own
        squares, and its standard deviation; None where no other was seen. What was seen at its own place is no other.
        """
        others = [
            other for other, there in zip(self._seen, self._places, strict=True) if place is None or there != place
        ]
        if not others:
            return None
        squared = [own.squares[0] + other.squares[0] - 2 * float(own.p[0] @ other.p[0]) for other in others]
        nearest = others[int(numpy.argmin(squared))]
        scale = float(own.squares[0])
        change = 2 * (own.p - nearest.p) / scale
        return min(squared) / scale, math.hypot(own.sigma(change)[0], nearest.sigma(-change)[0])

    def scores(self) -> list[tuple[float, float]]:
        """Of the patterns that were seen, along the component, in their order; with standard deviations."""
        values = [along(shares, self) for shares in self._seen]
        return [(float(found.value[0]), float(found.sigma[0])) for found in values]


def coarse(patterns: Patterns) -> Shares:
    """The shares of coarse pixels, each the sum of whole pixels; the last rows and columns may be left out."""
    height, width = patterns.reference.shape
    rows, columns = math.ceil(height / _COARSE), math.ceil(width / _COARSE)
    noise = patterns.reference.read_noise_electrons**2
    return Shares.of(summed(patterns.electrons, (rows, columns)), noise * rows * columns)


def along(shares: Shares, seen: Seen) -> Values:
    """Scores along the principal component, in units of the mean pattern's length."""
    assert seen.component is not None
    assert seen.middle is not None
    axis = seen.component / numpy.linalg.norm(seen.middle)
    return Values((shares.p - seen.middle) @ axis, shares.sigma(numpy.broadcast_to(axis, shares.p.shape)))


def _with_seen(evaluate: Callable[[Patterns, Seen], Values]) -> Callable[[Patterns], Values]:
    def over(patterns: Patterns) -> Values:
        if patterns.seen is None or not len(patterns.seen):
            return nothing(patterns, "no other pattern was seen before: novelty begins with the second.")
        return evaluate(patterns, patterns.seen)

    return over


def _novelty(patterns: Patterns, seen: Seen) -> Values:
    shares = coarse(patterns)
    value, sigma = numpy.full((2, len(patterns)), numpy.nan)
    troubles = {}
    for index in range(len(patterns)):
        if index in patterns.troubles:
            continue
        place = None if patterns.positions is None else tuple(patterns.positions[index])
        found = seen.nearest(shares.part(index), place)
        if found is None:
            troubles[index] = "no other pattern was seen before: novelty begins with the second."
        else:
            value[index], sigma[index] = found
    return Values(value, sigma, troubles)


def _principal_component(patterns: Patterns, seen: Seen) -> Values:
    if seen.component is None:
        return nothing(patterns, f"the principal component is that of the first {COMPONENT_OF} patterns.")
    return along(coarse(patterns), seen)


SEEN = (
    Scalarizer(
        "novelty",
        "Novelty",
        "",
        "Squared difference from the most similar pattern seen before, relative to its own squares; zero for a repeat.",
        _with_seen(_novelty),
        Symmetry.SCALAR,
    ),
    Scalarizer(
        "principal_component",
        "Principal component",
        "",
        f"Score along the principal component of the first {COMPONENT_OF} patterns: what differs most among them.",
        _with_seen(_principal_component),
    ),
)
