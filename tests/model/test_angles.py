"""Laws of how well an angle's cosine and sine are known."""

from __future__ import annotations

import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.model import ReadingModel, Readings
from dkl_ae.model.reading_model import cosine_error
from dkl_ae.records import Patches, Survey, Symmetry
from tests.support.surrogates import NearestNeighbour

angles = st.floats(-math.pi, math.pi)
NORMAL = numpy.random.default_rng(0).normal(size=200_000)


class Remembers(NearestNeighbour):
    """Keeps the errors that it was given."""

    def fit(self, candidates: numpy.ndarray, values: numpy.ndarray, sigmas: numpy.ndarray) -> None:
        super().fit(candidates, values, sigmas)
        self.sigmas = sigmas


@given(angles, st.floats(1e-3, 30))
def test_the_error_of_a_cosine_is_that_of_a_normal_angles(angle, sigma) -> None:
    drawn = numpy.cos(angle + sigma * NORMAL).std()
    assert cosine_error(numpy.array([angle]), numpy.array([sigma]))[0] == pytest.approx(drawn, rel=0.03, abs=1e-7)


@given(st.lists(angles, min_size=1, max_size=8))
def test_an_angle_of_nothing_says_nothing_whatever_it_happens_to_be(read) -> None:
    patches = Patches(Survey(numpy.arange(20.0).reshape(4, 5), 0.1), 1)
    model = ReadingModel(patches, Remembers, symmetry=Symmetry.NONE, circular=True)
    count = len(read)
    at_random = numpy.ones(count, bool)
    model.fit(Readings(numpy.arange(count), numpy.array(read), numpy.full(count, 10.0), at_random), count)
    for surrogate in model.surrogates:
        numpy.testing.assert_allclose(surrogate.sigmas, math.sqrt(0.5), rtol=1e-6)
