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
REFERRED = dataclasses.replace(REFERENCE, zero_sigma_mrad=SIGMAS, zero_mrad=(0.004, -0.001), radius_mrad=31.4)
"""Its disc holds the edge of the beam whole: no pixel of it is in or out by a hair."""
EXPRESSIONS = (
    "com_magnitude / 2",
    "abs(com_x) + com_y",
    "com_x * com_magnitude",
    "com_angle + 2 * com_y",
    "bf",
    "com_x + 30 * dpc_x",
)


def values_with(error: int, name: str, expression: str, pattern: numpy.ndarray) -> list[float]:
    """Read with one of the reference's errors to either side: of the zero along y and x, of the centre likewise."""
    found = []
    for sign in (1, -1):
        zero, centre = numpy.array(REFERRED.zero_mrad), numpy.array(REFERRED.centre)
        if error < 2:
            zero[error] += sign * SIGMAS[error]
        else:
            step = sign * math.hypot(REFERRED.zero_sigma_mrad[error - 2], REFERRED.zero_mrad[error - 2])
            # The same beam is at rest, whatever its disc's centre is taken for.
            centre[error - 2] += step / REFERRED.mrad_per_pixel[error - 2]
            zero[error - 2] -= step
        wrong = dataclasses.replace(REFERRED, zero_mrad=tuple(zero), centre=tuple(centre))
        scalarizer = catalogue(expression=expression)[name]
        found.append(scalarize(pattern, wrong, [scalarizer], ends=[pattern] * len(ENDS))[name].value)
    return found


@pytest.mark.parametrize(
    ("name", "expression"), [*((name, "") for name in SCALARIZERS), *(("composite", text) for text in EXPRESSIONS)]
)
@settings(max_examples=5)
@given(y=st.floats(-0.2, 0.2), x=st.floats(-0.2, 0.2))
def test_it_is_what_a_wrong_reference_does_to_the_reading(name, expression, y, x) -> None:
    """One standard deviation to either side, as if nothing were known of how the reading comes about."""
    # Not near the zero itself, where a magnitude has a kink and an angle turns.
    assume(min(abs(y), abs(x)) > 0.02)
    pattern = disc((31 + y, 32.5 + x), counts=1e7)
    scalarizer = catalogue(expression=expression)[name]
    reading = scalarize(pattern, REFERRED, [scalarizer], ends=[pattern] * len(ENDS))[name]
    if math.isnan(reading.value):
        return
    changes = []
    # Whether a detector's edge leaves out a pixel is a matter of what it is, and no error.
    has_pixels = name in SCALARIZERS and not name.startswith(("com", "dpc", "charge"))
    for error in range(2 if has_pixels or expression == "bf" else 4):
        up, down = values_with(error, name, expression, pattern)
        changes.append((math.remainder(up - down, 2 * math.pi) if scalarizer.circular else up - down) / 2)
    # By how much a difference grows is taken from the reference's pattern, whose edge is one pixel wide.
    tolerance = 0.2 if "dpc" in name + expression else 0.07
    assert reading.common_sigma == pytest.approx(math.hypot(*changes), rel=tolerance, abs=1e-9)


@settings(max_examples=3)
@given(st.floats(0.02, 0.2), st.floats(0.02, 0.2))
def test_one_pattern_has_the_errors_of_a_stack(y, x) -> None:
    patterns = numpy.stack([disc((31 + y, 32.5 + x)), disc((31.1, 32.3))])
    for name, scalarizer in catalogue(expression="com_x / bf").items():
        stack = read(scalarizer, Patterns(patterns, REFERRED)).common_sigma
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
    readings = scalarize(
        disc((31.1, 32.4)), dataclasses.replace(REFERENCE, zero_sigma_mrad=(0.0, 0.0), zero_mrad=(0.0, 0.0))
    )
    assert not any(reading.common_sigma for reading in readings.values())
