"""Laws of where a reading exists."""

from __future__ import annotations

import math

import numpy
import pytest
import scipy.optimize
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.model import ReadingProbability
from dkl_ae.model.reading_probability import _laplace
from dkl_ae.records import Patches, Survey

SIZE = 5
ROWS, COLUMNS = numpy.mgrid[:24, :30]
LATTICE = 1 + 0.5 * numpy.cos(ROWS / 0.8) * numpy.cos(COLUMNS / 0.9)
MATTER = numpy.hypot(ROWS - 7, COLUMNS - 9) > 6
"""A hole in a lattice."""
SURVEY = Survey(numpy.where(MATTER, LATTICE, 0.0) + 0.05 * numpy.random.default_rng(0).random(MATTER.shape), 0.1)
PATCHES = Patches(SURVEY, SIZE)
IS_NUMBER = PATCHES.inside(MATTER).ravel()
"""Whether there is matter in the middle of each patch."""

outcomes = st.lists(
    st.tuples(st.integers(0, PATCHES.count - 1), st.booleans()), min_size=1, max_size=40, unique_by=lambda o: o[0]
)


def probability(candidates: numpy.ndarray, is_number: numpy.ndarray, patches: Patches = PATCHES) -> numpy.ndarray:
    return ReadingProbability(patches).at_every_candidate(candidates, is_number)


@given(st.lists(st.integers(0, PATCHES.count - 1), max_size=20, unique=True))
def test_it_is_one_everywhere_as_long_as_every_point_gave_a_number(candidates) -> None:
    assert (probability(numpy.array(candidates, int), numpy.ones(len(candidates), bool)) == 1).all()


@given(outcomes, st.randoms())
def test_it_is_a_probability_and_knows_no_order(told, random) -> None:
    candidates, is_number = (numpy.array(column) for column in zip(*told, strict=True))
    expected = probability(candidates, is_number)
    assert ((expected >= 0) & (expected <= 1)).all()
    shuffled = list(range(len(told)))
    random.shuffle(shuffled)
    # The covariances are in single precision.
    numpy.testing.assert_allclose(probability(candidates[shuffled], is_number[shuffled]), expected, atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_a_hole_is_learned_from_a_few_points(seed) -> None:
    random = numpy.random.default_rng(seed)
    holes, matter = numpy.flatnonzero(~IS_NUMBER), numpy.flatnonzero(IS_NUMBER)
    candidates = numpy.concatenate([random.choice(holes, 4, replace=False), random.choice(matter, 16, replace=False)])
    learned = probability(candidates, IS_NUMBER[candidates])
    assert numpy.mean((learned > 0.5) == IS_NUMBER) > 0.9
    assert numpy.median(learned[IS_NUMBER]) > 0.9
    assert numpy.median(learned[~IS_NUMBER]) < 0.15


def test_each_point_more_without_a_number_makes_its_like_less_likely() -> None:
    holes, matter = numpy.flatnonzero(~IS_NUMBER), numpy.flatnonzero(IS_NUMBER)
    model = ReadingProbability(PATCHES)
    unseen = holes[len(holes) // 2]
    likely = []
    for count in (1, 2, 4, 8):
        candidates = numpy.concatenate([matter[::40], holes[:count]])
        likely.append(model.at_every_candidate(candidates, IS_NUMBER[candidates])[unseen])
    assert likely == sorted(likely, reverse=True)
    assert likely[-1] < 0.25


@pytest.mark.parametrize("turned", [numpy.flipud, numpy.fliplr, numpy.rot90])
def test_a_turned_specimen_has_its_readings_where_it_is_turned_to(turned) -> None:
    other = Patches(Survey(numpy.ascontiguousarray(turned(SURVEY.image)), 0.1), SIZE)
    candidates = numpy.arange(0, PATCHES.count, 17)
    moved = turned(numpy.arange(PATCHES.count).reshape(PATCHES.grid)).ravel()
    there = numpy.argsort(moved)
    expected = probability(candidates, IS_NUMBER[candidates])
    numpy.testing.assert_allclose(
        probability(there[candidates], IS_NUMBER[candidates], other), expected[moved], atol=1e-4
    )


def test_failures_that_no_patch_tells_close_no_place_for_good() -> None:
    """One pattern in five fails at random: most places stay more likely to give a number."""
    random = numpy.random.default_rng(3)
    candidates = random.choice(numpy.flatnonzero(IS_NUMBER), 60, replace=False)
    learned = probability(candidates, random.random(60) > 0.2)
    assert numpy.mean(learned[IS_NUMBER] > 0.5) > 0.7


def test_however_many_points_there_are_all_without_a_number_count() -> None:
    candidates = numpy.arange(PATCHES.count)
    learned = probability(candidates, IS_NUMBER)
    assert numpy.mean((learned > 0.5) == IS_NUMBER) > 0.97


@given(st.integers(1, 8), st.integers(0, 2**16))
def test_the_most_probable_latent_function_is_that_of_a_general_optimizer(count, seed) -> None:
    """Rasmussen & Williams, equations 3.12 and 3.16."""
    random = numpy.random.default_rng(seed)
    points = random.normal(size=(count, 3))
    covariance = 4 * numpy.exp(-0.5 * numpy.sum((points[:, None] - points) ** 2, axis=2)) + 1e-3 * numpy.eye(count)
    signs = numpy.where(random.random(count) > 0.3, 1.0, -1.0)

    def minus_log_posterior(latent: numpy.ndarray) -> float:
        return 0.5 * latent @ numpy.linalg.solve(covariance, latent) - scipy.special.log_ndtr(signs * latent).sum()

    best = scipy.optimize.minimize(minus_log_posterior, numpy.zeros(count), tol=1e-12).x
    gradient, root, factor = _laplace(covariance, signs)
    numpy.testing.assert_allclose(covariance @ gradient, best, atol=2e-3)
    density = numpy.exp(-0.5 * best**2) / math.sqrt(2 * math.pi)
    ratio = density / scipy.special.ndtr(signs * best)
    numpy.testing.assert_allclose(root**2, ratio**2 + signs * best * ratio, atol=2e-3)
    numpy.testing.assert_allclose(factor @ factor.T, numpy.eye(count) + root[:, None] * covariance * root, atol=1e-9)
