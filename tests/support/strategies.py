"""Hypothesis strategies shared by the tests."""

from __future__ import annotations

import dataclasses
import typing

import numpy
from hypothesis import strategies as st

from dkl_ae.records import FloatArray, IntArray

seeds = st.integers(0, 2**32 - 1)
known_errors = st.floats(1e-3, 0.5)


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """Measurements of some of the candidates."""

    candidates: IntArray
    values: FloatArray
    sigmas: FloatArray

    def first(self, count: int) -> Data:
        return Data(self.candidates[:count], self.values[:count], self.sigmas[:count])


@st.composite
def data_sets(
    draw: st.DrawFn,
    candidates: int,
    *,
    least: int = 1,
    most: int = 12,
    sigmas: st.SearchStrategy[float] = known_errors,
) -> Data:
    """Between `least` and `most` measurements, no candidate twice, values of order one."""
    count = draw(st.integers(least, most))
    random = numpy.random.default_rng(draw(seeds))
    return Data(
        candidates=random.choice(candidates, count, replace=False),
        values=random.normal(size=count),
        sigmas=numpy.full(count, draw(sigmas)),
    )


@dataclasses.dataclass(frozen=True)
class Hyperparameters:
    """Of an exact Gaussian process, in the order of its keyword arguments."""

    length: float
    output_scale: float
    linear: float
    quadratic: float
    mean: float
    noise: float

    def as_arguments(self) -> dict[str, float]:
        return dataclasses.asdict(self)


@st.composite
def hyperparameters(draw: st.DrawFn, *, trend: typing.Literal["any", "none"] = "any") -> Hyperparameters:
    return Hyperparameters(
        length=draw(st.floats(0.2, 3)),
        output_scale=draw(st.floats(0.1, 5)),
        linear=draw(st.floats(0, 2)) if trend == "any" else 0.0,
        quadratic=draw(st.floats(0, 2)) if trend == "any" else 0.0,
        mean=draw(st.floats(-3, 3)),
        noise=draw(st.floats(0, 0.1)),
    )
