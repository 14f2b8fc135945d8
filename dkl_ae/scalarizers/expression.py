"""Composite readings: an expression of other readings and of virtual detectors of any form, such as

com_magnitude / abf
abs(com_magnitude - 0.5)
annulus(1.2, 2.5) / bf
segment(0, 1, -45, 45) - segment(0, 1, 135, 225)
ellipse(21, 0, 10, 10)
correlation("picked.npy")
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import math
import operator
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy

from dkl_ae.patterns import IntensityFractions, Patterns, Reference, load_array, radii, scan_angles
from dkl_ae.records import BoolArray, FloatArray, Symmetry, UserError
from dkl_ae.scalarizers.scalarizer import Scalarizer, ScalarizerResult, evaluated, undefined
from dkl_ae.scalarizers.virtual_detectors import region
from dkl_ae.scalarizers.whole_pattern import correlation, distance

COMPOSITE = "composite"
"""Name of the reading that an expression gives."""

_OPERATORS: Mapping[type[ast.operator], Callable[[FloatArray, FloatArray], FloatArray]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: numpy.divide,
    ast.Pow: numpy.power,
}
_FUNCTIONS: Mapping[str, Callable[..., FloatArray]] = {
    "abs": numpy.abs,
    "sqrt": numpy.sqrt,
    "exp": numpy.exp,
    "log": numpy.log,
    "sin": numpy.sin,
    "cos": numpy.cos,
    "minimum": numpy.minimum,
    "maximum": numpy.maximum,
}


def annulus(reference: Reference, inner: float, outer: float) -> BoolArray:
    """Pixels between two radii, in radii of the bright-field disc."""
    radius = radii(reference) / reference.radius_mrad
    inside: BoolArray = (radius >= inner) & (radius <= outer)
    return inside


def segment(reference: Reference, inner: float, outer: float, start_deg: float, end_deg: float) -> BoolArray:
    """The part of an annulus between two directions, from +x towards +y."""
    y, x = scan_angles(reference)
    direction = (numpy.degrees(numpy.arctan2(y, x)) - start_deg) % 360
    inside: BoolArray = annulus(reference, inner, outer) & (direction <= ((end_deg - start_deg) % 360 or 360))
    return inside


def rectangle(reference: Reference, x: float, y: float, width: float, height: float) -> BoolArray:
    """Pixels of a rectangle around (x, y), mrad from the disc's centre."""
    pixel_y, pixel_x = scan_angles(reference)
    inside: BoolArray = (numpy.abs(pixel_x - x) <= width / 2) & (numpy.abs(pixel_y - y) <= height / 2)
    return inside


def ellipse(reference: Reference, x: float, y: float, width: float, height: float) -> BoolArray:
    """Pixels of an ellipse around (x, y), mrad from the disc's centre."""
    pixel_y, pixel_x = scan_angles(reference)
    inside: BoolArray = (2 * (pixel_x - x) / width) ** 2 + (2 * (pixel_y - y) / height) ** 2 <= 1
    return inside


def _is_ring(inner: float, outer: float, *angles: float) -> bool:
    return 0 <= inner < outer


def _has_size(x: float, y: float, width: float, height: float) -> bool:
    return width > 0 and height > 0


@dataclasses.dataclass(frozen=True)
class _Region:
    mask: Callable[..., BoolArray]
    arguments: str
    holds_something: Callable[..., bool]
    advice: str
    """Of one that holds no pixel wherever the detector is."""
    symmetry: Symmetry = Symmetry.NONE


_OF_A_RING = "choose an inner radius of 0 or more, and a larger outer one"
_OF_A_SIZE = "choose a width and a height above 0"


_REGIONS: Mapping[str, _Region] = {
    "annulus": _Region(annulus, "inner, outer", _is_ring, _OF_A_RING, Symmetry.SCALAR),
    "segment": _Region(segment, "inner, outer, start_deg, end_deg", _is_ring, _OF_A_RING),
    "rectangle": _Region(rectangle, "x, y, width, height", _has_size, _OF_A_SIZE),
    "ellipse": _Region(ellipse, "x, y, width, height", _has_size, _OF_A_SIZE),
}
_COMPARISONS: Mapping[str, Callable[[Patterns, IntensityFractions], ScalarizerResult]] = {
    "correlation": correlation,
    "distance": distance,
}

_Term = Callable[[Sequence[FloatArray]], FloatArray]
"""Values of the leaves -> value."""


def composite(expression: str, known: Mapping[str, Scalarizer]) -> Scalarizer:
    """The reading that an expression of known ones gives.

    The error is propagated from those of its parts, as if these were independent: it is exact for parts that do not
    share electrons, such as the components of the centre of mass of a round disc.

    Raises UserError, one sentence, for an expression that cannot be understood.
    """
    try:
        # Backslashes of a file's name are no escapes.
        tree = ast.parse(expression.strip().replace("\\", "/"), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise UserError(
            f"The expression '{expression}' cannot be understood: write one such as com_magnitude / abf."
        ) from error
    reader = _Reader(expression, known)
    term = reader.term(tree)
    parts = tuple(reader.parts.values())
    if not parts:
        raise UserError(f"The expression '{expression}' reads nothing of a pattern: name a scalarizer, such as com_x.")
    alone = (
        isinstance(tree, ast.Name | ast.Call) and len(parts) == 1 and reader.parts.get(ast.unparse(tree)) is parts[0]
    )
    if alone:
        return dataclasses.replace(parts[0], name=COMPOSITE, label="Composite", description=expression.strip())
    return Scalarizer(
        COMPOSITE,
        "Composite",
        "",
        expression.strip(),
        functools.partial(_evaluate, term, parts),
        Symmetry.SCALAR if all(part.symmetry is Symmetry.SCALAR for part in parts) else Symmetry.NONE,
        needs_cross=any(part.needs_cross for part in parts),
    )


def _evaluate(term: _Term, parts: Sequence[Scalarizer], patterns: Patterns) -> ScalarizerResult:
    read = [evaluated(part, patterns) for part in parts]
    values = [values.value for values in read]
    with numpy.errstate(all="ignore"):
        value = numpy.broadcast_to(term(values), len(patterns)).astype(numpy.float64)
        variance = numpy.zeros(len(patterns))
        for index, part in enumerate(read):
            variance += _change(term, value, values, {index: part.sigma}) ** 2
    reasons = {index: reason for part in reversed(read) for index, reason in part.reasons.items()}
    for place in map(int, numpy.flatnonzero(~numpy.isfinite(value))):
        reasons.setdefault(place, f"the expression gives {value[place]} here: write one that has a value everywhere.")
        value[place] = variance[place] = numpy.nan
    return ScalarizerResult(value, numpy.sqrt(variance), reasons, _shared(term, value, read))


def _change(
    term: _Term, value: FloatArray, values: Sequence[FloatArray], steps: Mapping[int, FloatArray]
) -> FloatArray:
    """By how much the value changes when some parts do, by their index; not to which side.

    One step to either side rather than a derivative: an absolute value has none where it is zero.
    """
    up, down = (
        term([part + sign * steps[index] if index in steps else part for index, part in enumerate(values)])
        for sign in (1, -1)
    )
    change: FloatArray = (numpy.abs(up - value) + numpy.abs(value - down)) / 2
    return change


def _shared(term: _Term, value: FloatArray, read: Sequence[ScalarizerResult]) -> FloatArray | None:
    """An error of the reference changes all parts at once."""
    shared = {index: part.shared for index, part in enumerate(read) if part.shared is not None}
    if not shared:
        return None
    values = [part.value for part in read]
    with numpy.errstate(all="ignore"):
        changes = [
            _change(term, value, values, {index: errors[source] for index, errors in shared.items()})
            for source in range(len(next(iter(shared.values()))))
        ]
    return numpy.stack(changes)


class _Reader:
    """Turns an expression's tree into a function of its parts' values."""

    def __init__(self, expression: str, known: Mapping[str, Scalarizer]) -> None:
        self._expression = expression
        self._known = known
        self.parts: dict[str, Scalarizer] = {}
        """Readings that the expression is made of, by how they are written."""

    def term(self, node: ast.expr) -> _Term:
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                constant = numpy.asarray(self._number(node))
                return lambda values: constant
            case ast.Name(id=name) if name in self._known:
                return self._part(name, lambda: self._known[name])
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                apply, one, other = _OPERATORS[type(op)], self.term(left), self.term(right)
                return lambda values: apply(one(values), other(values))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.term(operand)
                return lambda values: -inner(values)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(node, name, arguments)
        raise self._not_understood(node)

    def _call(self, node: ast.expr, name: str, arguments: Sequence[ast.expr]) -> _Term:
        if name in _FUNCTIONS:
            return self._function(name, arguments)
        if name in _REGIONS:
            return self._part(ast.unparse(node), lambda: self._region(name, arguments))
        match arguments:
            case [ast.Constant(value=str() as file)] if name in _COMPARISONS:
                return self._part(ast.unparse(node), lambda: self._comparison(name, file))
        raise self._not_understood(node)

    def _not_understood(self, node: ast.expr) -> UserError:
        return UserError(
            f"The expression has '{ast.unparse(node)}': use scalarizers' names such as com_x and abf, numbers, "
            f"+ - * / ** and {', '.join([*_FUNCTIONS, *_REGIONS, *_COMPARISONS])}."
        )

    def _part(self, written: str, make: Callable[[], Scalarizer]) -> _Term:
        if written not in self.parts:
            self.parts[written] = make()
        place = list(self.parts).index(written)
        return lambda values: values[place]

    def _function(self, name: str, arguments: Sequence[ast.expr]) -> _Term:
        function, terms = _FUNCTIONS[name], [self.term(argument) for argument in arguments]
        count = 2 if name in ("minimum", "maximum") else 1
        if len(terms) != count:
            raise UserError(f"The expression gives {name} {len(terms)} arguments: it takes {count}.")
        return lambda values: function(*(term(values) for term in terms))

    def _region(self, name: str, arguments: Sequence[ast.expr]) -> Scalarizer:
        kind = _REGIONS[name]
        numbers = [self._number(argument) for argument in arguments]
        if len(numbers) != kind.arguments.count(",") + 1:
            raise UserError(f"The expression gives {name} {len(numbers)} numbers: write {name}({kind.arguments}).")
        if not kind.holds_something(*numbers):
            written = ", ".join(f"{number:g}" for number in numbers)
            raise UserError(f"The region {name}({written}) holds no pixel: {kind.advice}.")
        return region(name, lambda reference: kind.mask(reference, *numbers), kind.symmetry)

    def _number(self, node: ast.expr) -> float:
        try:
            number = float(ast.literal_eval(node))
        except (ValueError, TypeError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise UserError(f"The expression has '{ast.unparse(node)}' where a number belongs: write one such as 1.5.")
        return number

    @staticmethod
    def _comparison(name: str, file: str) -> Scalarizer:
        compare, picked = _COMPARISONS[name], _picked(pathlib.Path(file))
        fractions = IntensityFractions.of(picked[numpy.newaxis], 0.0)

        def evaluate(patterns: Patterns) -> ScalarizerResult:
            if picked.shape != patterns.reference.shape:
                return undefined(
                    patterns,
                    f"the pattern in {file} is {' x '.join(map(str, picked.shape))} pixels, the camera's "
                    f"{' x '.join(map(str, patterns.reference.shape))}: pick another.",
                )
            return compare(patterns, fractions)

        return Scalarizer(name, f"{name.capitalize()} with {file}", "", file, evaluate, Symmetry.NONE)


def _picked(file: pathlib.Path) -> FloatArray:
    """A pattern in electrons that was saved as a NumPy file."""
    pattern = load_array(file).astype(numpy.float64)
    if pattern.ndim != 2 or not pattern.sum() > 0:
        raise UserError(
            f"{file} is not a pattern, it has {pattern.ndim} axes and {pattern.sum():g} counts in all: choose another."
        )
    return pattern
