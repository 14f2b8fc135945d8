"""The error that all readings of a run have in common: what a wrong zero of the reference does to them."""

from __future__ import annotations

import dataclasses
import math

import numpy
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dkl_ae.patterns import Patterns
from dkl_ae.scalarizers import ENDS, SCALARIZERS, catalogue, read, scalarize
from dkl_ae.scalarizers.centre_of_mass import UNKNOWN_ANGLE
from tests.support.discs import REFERENCE, disc

SIGMAS = (0.002, 0.003)
REFERRED = dataclasses.replace(REFERENCE, zero_sigma_mrad=SIGMAS)
EXPRESSIONS = ("com_magnitude / abf", "abs(com_x) + com_y", "com_x * com_magnitude", "com_angle + 2 * com_y", "bf")


def value_with(zero: tuple[float, float], name: str, expression: str, pattern: numpy.ndarray) -> float:
    scalarizer = catalogue(expression=expression)[name]
    moved = dataclasses.replace(REFERRED, zero_mrad=tuple(numpy.add(REFERRED.zero_mrad, zero)))
    ends = numpy.stack([pattern] * len(ENDS))
    return scalarize(pattern, moved, [scalarizer], ends=ends)[name].value


@pytest.mark.parametrize(
    ("name", "expression"), [*((name, "") for name in SCALARIZERS), *(("composite", text) for text in EXPRESSIONS)]
)
@settings(max_examples=5)
@given(y=st.floats(-0.2, 0.2), x=st.floats(-0.2, 0.2))
def test_it_is_what_a_wrong_zero_does_to_the_reading(name, expression, y, x) -> None:
    """Each axis by one standard deviation to either side, as if nothing were known of how the reading comes about."""
    # Not near the zero itself, where a magnitude has a kink and an angle turns.
    assume(min(abs(y), abs(x)) > 0.02)
    pattern = disc((31 + y, 32.5 + x), counts=1e7)
    scalarizer = catalogue(expression=expression)[name]
    changes = []
    for zero in ((SIGMAS[0], 0.0), (0.0, SIGMAS[1])):
        up, down = (value_with(tuple(sign * z for z in zero), name, expression, pattern) for sign in (1, -1))
        change = up - down
        changes.append((math.remainder(change, 2 * math.pi) if scalarizer.circular else change) / 2)
    ends = numpy.stack([pattern] * len(ENDS))
    reading = scalarize(pattern, REFERRED, [scalarizer], ends=ends)[name]
    if math.isnan(reading.value):
        return
    assert reading.common_sigma == pytest.approx(math.hypot(*changes), rel=0.05, abs=1e-9)


@settings(max_examples=3)
@given(st.floats(0.02, 0.2), st.floats(0.02, 0.2))
def test_one_pattern_has_the_errors_of_a_stack(y, x) -> None:
    patterns = numpy.stack([disc((31 + y, 32.5 + x)), disc((31.1, 32.3))])
    for name, scalarizer in catalogue(expression="com_x / bf").items():
        stack = read(scalarizer, Patterns(patterns, REFERRED)).common_sigma(REFERRED)
        alone = [scalarize(pattern, REFERRED, [scalarizer])[name] for pattern in patterns]
        for common, reading in zip(stack, alone, strict=True):
            assert math.isnan(reading.value) == math.isnan(common)
            assert math.isnan(common) or reading.common_sigma == pytest.approx(common, rel=1e-4)


def test_of_no_shift_nobody_knows_the_direction() -> None:
    resting = dataclasses.replace(REFERRED, zero_sigma_mrad=(0.5, 0.5))
    readings = scalarize(disc(), resting)
    assert readings["com_angle"].common_sigma == pytest.approx(UNKNOWN_ANGLE)
    assert readings["com_magnitude"].common_sigma == pytest.approx(0.5)


def test_without_an_error_of_the_zero_readings_share_none() -> None:
    readings = scalarize(disc((31.1, 32.4)), dataclasses.replace(REFERENCE, zero_sigma_mrad=(0.0, 0.0)))
    assert not any(reading.common_sigma for reading in readings.values())
