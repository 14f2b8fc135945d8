"""Laws of how intervals are widened."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.model import ExactGP, Posterior, interval_scale, rescaled
from tests.support.strategies import data_sets, hyperparameters

POINTS = numpy.random.default_rng(1).normal(size=(1, 40, 3))


class Predicted:
    """Only what each reading would be predicted to be without it."""

    def __init__(self, values: numpy.ndarray, posterior: Posterior) -> None:
        self._values, self._posterior = values, posterior

    def leave_one_out(self, rows: numpy.ndarray) -> tuple[numpy.ndarray, Posterior]:
        return self._values[rows], Posterior(self._posterior.mean[rows], self._posterior.sigma[rows])


def off_by(z: numpy.ndarray) -> Predicted:
    return Predicted(z, Posterior(numpy.zeros(z.size), numpy.ones(z.size)))


@given(st.lists(st.floats(-30, 30), max_size=30))
def test_intervals_are_never_narrowed_and_at_most_as_wide_as_the_worst_error(z) -> None:
    factor = interval_scale(off_by(numpy.array(z)), numpy.arange(len(z)))
    assert 1 <= factor <= max([1.0, *numpy.abs(z)])


def test_many_readings_that_are_off_by_three_deviations_widen_by_three() -> None:
    z = 3.0 * numpy.random.default_rng(0).normal(size=2000)
    assert interval_scale(off_by(z), numpy.arange(z.size)) == pytest.approx(3, rel=0.05)


def test_one_reading_is_not_proof() -> None:
    assert interval_scale(off_by(numpy.array([3.0])), numpy.array([0])) < 1.6


def test_chosen_readings_do_not_count() -> None:
    z = numpy.array([0.1, 0.2, 50.0])
    assert interval_scale(off_by(z), numpy.array([0, 1])) == 1
    assert interval_scale(off_by(z), numpy.empty(0, int)) == 1


def test_rescaling_leaves_the_mean() -> None:
    wide = rescaled(Posterior(numpy.array([1.0, 2.0]), numpy.array([0.5, 1.0])), 2.0)
    numpy.testing.assert_array_equal(wide.mean, [1, 2])
    numpy.testing.assert_array_equal(wide.sigma, [1, 2])


@given(data_sets(40, least=2), hyperparameters())
def test_what_is_left_out_is_predicted_by_the_rest(data, settings) -> None:
    process = ExactGP(POINTS, **settings.as_arguments())
    process.fit(data.candidates, data.values, data.sigmas)
    rows = numpy.arange(0, len(data.values), 2)
    values, predicted = process.leave_one_out(rows)
    numpy.testing.assert_allclose(values, data.values[rows], atol=1e-6)
    for row, mean, sigma in zip(rows, predicted.mean, predicted.sigma, strict=True):
        others = numpy.arange(len(data.values)) != row
        process.fit(data.candidates[others], data.values[others], data.sigmas[others])
        belief = process.predict()
        candidate = data.candidates[row]
        assert mean == pytest.approx(belief.mean[candidate], abs=1e-5)
        noise = data.sigmas[row] ** 2 + settings.noise
        assert sigma == pytest.approx(numpy.sqrt(belief.sigma[candidate] ** 2 + noise), abs=1e-5)
