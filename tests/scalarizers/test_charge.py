"""Charge density and curl from a cross of five patterns."""

import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.scalarizers import ENDS, curl, minus_divergence, scalarize
from tests.support.discs import REFERENCE, disc

numbers = st.floats(-5, 5)


@given(st.lists(numbers, min_size=4, max_size=4), numbers, numbers, st.floats(0.01, 0.2))
def test_they_are_exact_for_a_linear_field(gradient, y0, x0, arm_nm) -> None:
    yy, yx, xy, xx = gradient
    com = numpy.array([[y0 + arm_nm * (yy * y + yx * x), x0 + arm_nm * (xy * y + xx * x)] for y, x in ENDS])
    ones = numpy.ones((4, 2))
    # Gradients are per nm, the readings per angstrom.
    charge, sigma = minus_divergence(com, ones, arm_nm)
    assert charge == pytest.approx(-(yy + xx) / 10, abs=1e-9)
    assert sigma == pytest.approx(2 / (20 * arm_nm))
    rotation, _ = curl(com, ones, arm_nm)
    assert rotation == pytest.approx((yx - xy) / 10, abs=1e-9)


def test_a_nucleus_is_positive() -> None:
    """The centre of mass points to it from all sides."""
    ends = [disc((31.0 - 0.4 * y, 32.5 - 0.4 * x)) for y, x in ENDS]
    found = scalarize(disc(), REFERENCE, ends=ends, arm_nm=0.05)
    assert found["charge_density"].value == pytest.approx(2 * 0.4 * 2.5 / 0.5, rel=0.02)
    assert found["charge_density"].unit == "mrad/Å"
    assert found["com_curl"].value == pytest.approx(0, abs=3 * found["com_curl"].sigma)


def test_sigma_is_the_scatter_of_repeated_exposures() -> None:
    random = numpy.random.default_rng(0)
    readings = [
        scalarize(frames[0], REFERENCE, ends=frames[1:], arm_nm=0.06)["charge_density"]
        for frames in random.poisson(disc(counts=1e5), (400, 5, 64, 64))
    ]
    assert numpy.std([r.value for r in readings]) == pytest.approx(numpy.mean([r.sigma for r in readings]), rel=0.1)


def test_without_a_cross_there_is_no_charge() -> None:
    reading = scalarize(disc(), REFERENCE)["charge_density"]
    assert math.isnan(reading.value)
    assert reading.reason.startswith("no cross was exposed here")


def test_a_dark_end_is_an_error_of_the_charge_alone() -> None:
    found = scalarize(disc(), REFERENCE, ends=[disc(), disc(), numpy.zeros((64, 64)), disc()])
    assert found["charge_density"].reason.startswith("an end of the cross: beam is off or blocked: 0 counts")
    assert math.isfinite(found["com_x"].value)
