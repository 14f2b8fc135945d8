"""What a pattern is beside those seen before: how new it is, and where it lies along their principal component."""

from __future__ import annotations

from collections.abc import Callable

import numpy

from dkl_ae.patterns import COMPONENT_OF, PatternMemory, Patterns
from dkl_ae.records import Symmetry
from dkl_ae.scalarizers.scalarizer import Scalarizer, ScalarizerResult, undefined

NO_EARLIER_PATTERN = "no other pattern was seen before: novelty begins with the second."
"""Why the first has none."""
NO_COMPONENT_YET = f"the principal component is that of the first {COMPONENT_OF} patterns."
"""Why they have none until there are as many."""


def _with_memory(
    evaluate: Callable[[Patterns, PatternMemory], ScalarizerResult],
) -> Callable[[Patterns], ScalarizerResult]:
    def over(patterns: Patterns) -> ScalarizerResult:
        if patterns.memory is None or not len(patterns.memory):
            return undefined(patterns, NO_EARLIER_PATTERN)
        return evaluate(patterns, patterns.memory)

    return over


def _novelty(patterns: Patterns, memory: PatternMemory) -> ScalarizerResult:
    value, sigma = numpy.full((2, len(patterns)), numpy.nan)
    reasons = {}
    for index in range(len(patterns)):
        if index in patterns.reasons:
            continue
        nearest = memory.nearest(patterns.binned.part(index), patterns.position(index))
        if nearest is None:
            reasons[index] = NO_EARLIER_PATTERN
        else:
            value[index], sigma[index] = nearest
    return ScalarizerResult(value, sigma, reasons)


def _principal_component(patterns: Patterns, memory: PatternMemory) -> ScalarizerResult:
    if memory.component is None:
        return undefined(patterns, NO_COMPONENT_YET)
    return ScalarizerResult(*memory.component_scores(patterns.binned))


COMPARED_WITH_MEMORY = (
    Scalarizer(
        "novelty",
        "Novelty",
        "",
        "Squared difference from the most similar pattern seen before, relative to its own squares; zero for a repeat.",
        _with_memory(_novelty),
        Symmetry.SCALAR,
    ),
    Scalarizer(
        "principal_component",
        "Principal component",
        "",
        f"Score along the principal component of the first {COMPONENT_OF} patterns: what differs most among them.",
        _with_memory(_principal_component),
    ),
)
