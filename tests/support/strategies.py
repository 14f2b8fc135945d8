"""Hypothesis strategies shared by the tests."""

from __future__ import annotations

import dataclasses
import typing

import numpy
from hypothesis import strategies as st

from dkl_ae.records import FloatArray, IntArray, UserError
from dkl_ae.settings import SETTINGS, Plan, Setting, make_plan

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


def values_for(known: Setting) -> st.SearchStrategy[typing.Any]:
    """Every value that a setting allows."""
    if known.choices is not None:
        return st.sampled_from(sorted(known.choices))
    if known.kind is float:
        least = known.minimum if known.minimum is not None else known.above
        return st.floats(
            least,
            known.maximum,
            allow_nan=False,
            allow_infinity=known.may_be_infinite and known.maximum is None,
            exclude_min=known.above is not None,
        )
    if known.kind is int:
        return st.integers(int(known.minimum or 0), 10**9)
    return st.booleans() if known.kind is bool else st.text(st.characters(codec="utf-8"), max_size=20)


def plan_or_none(values: dict[str, typing.Any]) -> Plan | None:
    try:
        return make_plan(**values)
    except UserError:
        return None


plans = (
    st.fixed_dictionaries({}, optional={key: values_for(known) for key, known in SETTINGS.items()})
    .map(plan_or_none)
    .filter(lambda plan: plan is not None)
)
"""Every plan that the settings allow."""
