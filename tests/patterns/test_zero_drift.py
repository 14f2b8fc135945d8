"""What repeated exposures tell of a zero that drifts: against least squares, what is drawn, and symmetries."""

from __future__ import annotations

import dataclasses

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkl_ae.patterns import ZeroDrift
from dkl_ae.records import FloatArray

SIGMA = 0.01
FOUND_IN = 4
DISC_MRAD = 20.0


def exposed(
    zero: FloatArray, exposures: list[int], random: numpy.random.Generator, deflections: FloatArray | None = None
) -> tuple[ZeroDrift, FloatArray]:
    """What those exposures tell, and the truth at every second.

    zero: at every second, shape (seconds, 2). deflections: of each place, shape (FOUND_IN, 2); None for vacuum.
    """
    places = numpy.arange(len(exposures)) % FOUND_IN
    shifts = zero[exposures] + random.normal(0, SIGMA, (len(exposures), 2))
    truth = zero
    if deflections is not None:
        shifts += deflections[places]
        truth = zero + deflections.mean(axis=0)
    reference = shifts[:FOUND_IN].mean(axis=0)
    drift = ZeroDrift(
        times=1e9 + numpy.array(exposures, float),
        places=numpy.zeros_like(places) if deflections is None else places,
        shifts_mrad=shifts - reference,
        variance=numpy.full(len(exposures), SIGMA**2),
        found_in=numpy.ones(FOUND_IN),
        largest_mrad=DISC_MRAD,
    )
    return drift, truth - reference


def every(step: int, until: int) -> list[int]:
    return [*range(FOUND_IN), *range(FOUND_IN + step, until, step)]


def walks(random: numpy.random.Generator, seconds: int, mrad: float) -> FloatArray:
    steps = random.normal(0, mrad, (seconds, 2))
    steps[0] = 0
    return steps.cumsum(axis=0)


@given(
    st.integers(0, 1000),
    st.sampled_from([0.0, 3e-4, 1e-3, 1e-2, 0.1]),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_a_steady_drift_leaves_less_error_than_a_single_exposure_has(number, mrad_per_s, is_vacuum) -> None:
    random = numpy.random.default_rng(number)
    seconds = numpy.arange(120)
    zero = mrad_per_s * seconds[:, numpy.newaxis] * numpy.array([0.6, 0.8])
    deflections = None if is_vacuum else random.normal(0, 0.1, (FOUND_IN, 2))
    drift, truth = exposed(zero, every(11, 118), random, deflections)
    shifts, _ = drift.at(1e9 + seconds)
    assert numpy.sqrt(((shifts - truth) ** 2).mean()) < SIGMA


@pytest.mark.parametrize("mrad", [0.0, 0.001, 0.01])
@pytest.mark.parametrize("is_vacuum", [True, False])
def test_the_zero_is_within_two_standard_deviations_as_often_as_they_say(mrad, is_vacuum) -> None:
    """Of random walks. Where nothing walks the intervals may be too wide, for nobody knows that nothing will; and where
    all that is walked is as much as one exposure's error, some runs take it for none."""
    within = []
    for number in range(60):
        random = numpy.random.default_rng(number)
        deflections = None if is_vacuum else random.normal(0, 0.1, (FOUND_IN, 2))
        drift, truth = exposed(walks(random, 120, mrad), every(11, 118), random, deflections)
        shifts, sigmas = drift.at(1e9 + numpy.arange(120))
        within.append((numpy.abs(shifts - truth) < 2 * sigmas).mean())
    assert numpy.mean(within) > (0.88 if mrad == 0.001 else 0.93)
    assert numpy.mean(within) < (0.98 if mrad == 0.01 else 1.001)


def test_a_fast_steady_drift_is_followed_as_a_line_through_the_exposures() -> None:
    """Least squares of a line are what remains where the steady part is far beyond counting and nothing walks."""
    random = numpy.random.default_rng(5)
    seconds = numpy.arange(2000)
    zero = 3e-4 * seconds[:, numpy.newaxis] * numpy.array([1.0, -2.0])
    drift, _ = exposed(zero, every(40, 2000), random)
    shifts, sigmas = drift.at(1e9 + seconds)
    times = drift.times - 1e9
    for axis in range(2):
        slope, level = numpy.polyfit(times, drift.shifts_mrad[:, axis], 1)
        line = level + slope * seconds
        assert numpy.abs(shifts[:, axis] - line).max() < 2 * sigmas.max()
        assert sigmas.max() < SIGMA


@given(st.integers(0, 1000), st.floats(1e-3, 1e3), st.floats(-1e6, 1e6), st.floats(1e-2, 1e2))
@settings(max_examples=25, deadline=None)
def test_it_matters_in_no_unit_and_from_when_time_is_counted(number, seconds_per_tick, start, mrad_per_unit) -> None:
    random = numpy.random.default_rng(number)
    drift, _ = exposed(walks(random, 80, 0.01), every(9, 78), random)
    asked = 1e9 + numpy.arange(0, 80, 7.0)
    shifts, sigmas = drift.at(asked)
    first = drift.times[0]
    other = dataclasses.replace(
        drift,
        times=start + (drift.times - first) * seconds_per_tick,
        shifts_mrad=drift.shifts_mrad * mrad_per_unit,
        variance=drift.variance * mrad_per_unit**2,
        largest_mrad=drift.largest_mrad * mrad_per_unit,
    )
    again, again_sigmas = other.at(start + (asked - first) * seconds_per_tick)
    numpy.testing.assert_allclose(again, shifts * mrad_per_unit, rtol=1e-4, atol=1e-5 * mrad_per_unit)
    numpy.testing.assert_allclose(again_sigmas, sigmas * mrad_per_unit, rtol=1e-3)


def test_a_turned_scan_sees_the_same_drift_turned() -> None:
    random = numpy.random.default_rng(3)
    drift, _ = exposed(walks(random, 80, 0.02), every(9, 78), random)
    turn = numpy.array([[0.6, -0.8], [0.8, 0.6]])
    turned = dataclasses.replace(drift, shifts_mrad=drift.shifts_mrad @ turn.T)
    asked = 1e9 + numpy.arange(80.0)
    numpy.testing.assert_allclose(turned.at(asked)[0], drift.at(asked)[0] @ turn.T, atol=1e-9)


@pytest.mark.parametrize(
    "times",
    [
        numpy.full(6, 7.0),
        numpy.array([7.0, 6.0, 5.0, 4.0, 3.0, 2.0]),
        numpy.full(6, numpy.nan),
        numpy.full(6, -numpy.inf),
        numpy.array([7.0, numpy.nan, numpy.inf, 7.0, -numpy.inf, numpy.nan]),
    ],
)
def test_a_clock_that_stands_still_or_tells_nonsense_tells_of_no_drift(times) -> None:
    random = numpy.random.default_rng(1)
    shifts = random.normal(0, SIGMA, (6, 2))
    drift = ZeroDrift(times, numpy.zeros(6, int), shifts, numpy.full(6, SIGMA**2), numpy.ones(FOUND_IN), DISC_MRAD)
    found, sigmas = drift.at(numpy.array([0.0, 7.0, numpy.nan]))
    numpy.testing.assert_allclose(found, numpy.broadcast_to(shifts.mean(axis=0), (3, 2)), atol=1e-6)
    numpy.testing.assert_allclose(sigmas, SIGMA / numpy.sqrt(6), rtol=1e-3)
