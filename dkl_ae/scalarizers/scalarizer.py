"""What a scalarizer is: a way of reducing a pattern to a physical number with its counting error."""

from __future__ import annotations

import dataclasses
import logging
import math
import pathlib
from collections.abc import Callable, Mapping

import numpy

from dkl_ae.patterns import Patterns
from dkl_ae.records import FloatArray, Reading, Symmetry, UserError, described, sentence_of

logger = logging.getLogger(__name__)

_TOO_FEW = "too few electrons for this reading and its error: expose for longer."


@dataclasses.dataclass(frozen=True, eq=False)
class ScalarizerResult:
    """What was read of n patterns."""

    value: FloatArray
    """Shape (n,)."""
    sigma: FloatArray
    """One standard deviation, shape (n,)."""
    reasons: Mapping[int, str] = dataclasses.field(default_factory=dict)
    """Why the reading of a pattern is undefined, one sentence, by its index in the stack."""
    shared: FloatArray | None = None
    """What the value gains by one standard deviation of each error of the reference, shape (4, n): of its zero along y
    and x, and of its disc's centre likewise; None where it does not change."""

    @property
    def common_sigma(self) -> FloatArray:
        """One standard deviation of the error that all readings against one reference have in common, shape (n,)."""
        common = numpy.zeros(len(self.value)) if self.shared is None else numpy.sqrt((self.shared**2).sum(axis=0))
        return numpy.where(numpy.isfinite(self.value), common, numpy.nan)


@dataclasses.dataclass(frozen=True)
class Scalarizer:
    """One way of reducing a pattern to a number.

    Attributes
    ----------
    name : str
        Public name, used in files, in expressions and on the command line.
    label : str
        Name for people.
    unit : str
        Of the readings; empty for numbers without one.
    description : str
        One sentence.
    evaluate : callable
        `Patterns` -> `ScalarizerResult`.
    symmetry : Symmetry
        What it does when the specimen is turned or mirrored; of an angle, what its cosine does.
    circular : bool
        True for an angle in radian, whose values -pi and pi are the same.
    excess : callable or None
        Value and sigma -> by how much counting noise raises the value on average; None where it does not.
    needs_cross : bool
        True where four more exposures are needed, at the ends of a cross around the position.
    source_file : str
        The user's own file or package that it comes from; empty for one of this package.
    """

    name: str
    label: str
    unit: str
    description: str
    evaluate: Callable[[Patterns], ScalarizerResult]
    symmetry: Symmetry = Symmetry.NONE
    circular: bool = False
    excess: Callable[[FloatArray, FloatArray], FloatArray] | None = None
    needs_cross: bool = False
    source_file: str = ""

    @property
    def title(self) -> str:
        """Label and unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def without_excess(self, value: FloatArray, sigma: FloatArray) -> FloatArray:
        """Readings without what counting noise adds to them on average: what a model is told."""
        return value if self.excess is None else value - self.excess(value, sigma)


def undefined(patterns: Patterns, sentence: str) -> ScalarizerResult:
    """Undefined for all of the patterns, for one reason."""
    nan = numpy.full(len(patterns), numpy.nan)
    return ScalarizerResult(nan, nan, dict.fromkeys(range(len(patterns)), sentence))


def read(scalarizer: Scalarizer, patterns: Patterns) -> ScalarizerResult:
    """What is read of each pattern; NaN, and the reason, where it is undefined."""
    values = evaluated(scalarizer, patterns)
    finite = numpy.isfinite(values.value) & numpy.isfinite(values.sigma)
    if finite.all() and not patterns.reasons:
        return values
    reasons = {**values.reasons, **patterns.reasons}
    for place in numpy.flatnonzero(~finite):
        reasons.setdefault(int(place), _TOO_FEW)
    value, sigma = values.value.copy(), values.sigma.copy()
    none = list(reasons)
    value[none] = sigma[none] = numpy.nan
    return ScalarizerResult(value, sigma, reasons, values.shared)


def reading(scalarizer: Scalarizer, patterns: Patterns) -> Reading:
    """The same of a single pattern; without arrays, which would take longer than the reading."""
    values = evaluated(scalarizer, patterns)
    value, sigma = float(values.value[0]), float(values.sigma[0])
    reason = patterns.reasons.get(0) or values.reasons.get(0, "")
    if not reason and not (math.isfinite(value) and math.isfinite(sigma)):
        reason = _TOO_FEW
    if reason:
        return Reading(math.nan, math.nan, scalarizer.unit, reason)
    if values.shared is None:
        return Reading(value, sigma, scalarizer.unit)
    return Reading(value, sigma, scalarizer.unit, common_sigma=math.hypot(*values.shared[:, 0].tolist()))


def evaluated(scalarizer: Scalarizer, patterns: Patterns) -> ScalarizerResult:
    """What a scalarizer makes of patterns; undefined where it raises anything."""
    try:
        return scalarizer.evaluate(patterns)
    except Exception as error:
        # It may be anyone's code; and what one reading cannot do must not cost the others.
        return undefined(patterns, reason_of(error, scalarizer.name, scalarizer.source_file))


_logged: set[tuple[str, str]] = set()
"""Names and reasons: what fails for one pattern fails for thousands."""


def reason_of(error: Exception, name: str, source_file: str) -> str:
    """Why a scalarizer that raised gives nothing. The log has the traceback, once for each scalarizer and reason."""
    if isinstance(error, UserError):
        return sentence_of(error)
    file = pathlib.PurePath(source_file).name
    advice = f"fix it in {file}" if file else "this is a fault of the program, see the log"
    reason = f"{name} failed ({described(error)}): {advice}."
    if (name, reason) not in _logged:
        _logged.add((name, reason))
        logger.error(reason, exc_info=error)
    return reason
