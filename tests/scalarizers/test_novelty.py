"""Novelty, and the score along the principal component."""

import math

import numpy
import pytest

from dkl_ae.patterns import COMPONENT_OF, PatternMemory, Patterns, find_reference
from dkl_ae.records import Position
from dkl_ae.scalarizers import scalarize
from tests.support.discs import REFERENCE, disc


def shifted(shifts, counts=1e6, seed=0) -> numpy.ndarray:
    random = numpy.random.default_rng(seed)
    return random.poisson(numpy.stack([disc((31.0, 32.5 + shift), counts=counts) for shift in shifts]))


def seen(frames, reference=REFERENCE) -> PatternMemory:
    memory = PatternMemory()
    Patterns(frames, reference).remember_in(memory)
    return memory


def test_a_repeat_is_not_new_within_its_error() -> None:
    memory = seen(shifted([0.0, 2.0]))
    values, sigmas = zip(
        *(
            (reading.value, reading.sigma)
            for seed in range(1, 60)
            for reading in [scalarize(shifted([2.0], seed=seed)[0], REFERENCE, memory=memory)["novelty"]]
        ),
        strict=True,
    )
    assert abs(numpy.mean(values)) < numpy.mean(sigmas)
    assert numpy.std(values) < 1.5 * numpy.mean(sigmas)


def test_the_farther_from_all_that_was_seen_the_newer() -> None:
    memory = seen(shifted([-2.0, 0.0]))
    values = [
        scalarize(frame, REFERENCE, memory=memory)["novelty"].value for frame in shifted([0.0, 1.0, 2.0, 4.0], seed=1)
    ]
    assert values == sorted(values)
    assert values[-1] > 0.02


def test_what_was_seen_at_the_same_place_is_no_other() -> None:
    """A recorded set is compared with patterns that are its own."""
    frames = shifted([0.0, 4.0])
    places = numpy.array([[0.1, 0.1], [0.9, 0.9]])
    memory = PatternMemory()
    Patterns(frames, REFERENCE, positions=places).remember_in(memory)
    there, elsewhere = (
        scalarize(frames[0], REFERENCE, memory=memory, position=Position(*place))["novelty"].value
        for place in ((0.1, 0.1), (0.5, 0.5))
    )
    assert there > 0.02
    assert elsewhere == pytest.approx(0, abs=1e-3)


def test_the_component_follows_what_differs_most() -> None:
    shifts = numpy.linspace(-2, 2, 12)
    memory = seen(shifted(shifts))
    scores = numpy.array([score for score, _ in memory.scores()])
    assert abs(numpy.corrcoef(scores, shifts)[0, 1]) > 0.99
    again = [scalarize(frame, REFERENCE, memory=memory)["principal_component"] for frame in shifted(shifts, seed=1)]
    difference = numpy.array([reading.value for reading in again]) - scores
    assert numpy.std(difference) == pytest.approx(
        math.sqrt(2) * numpy.mean([reading.sigma for reading in again]), rel=0.5
    )


def test_the_component_does_not_change_once_it_is_known() -> None:
    memory = seen(shifted(range(COMPONENT_OF)))
    before = memory.component.copy()
    Patterns(shifted([-9.0], seed=3), REFERENCE).remember_in(memory)
    numpy.testing.assert_array_equal(memory.component, before)


def test_dark_patterns_are_not_remembered() -> None:
    assert len(seen(numpy.stack([disc(), numpy.zeros((64, 64))]))) == 1


@pytest.mark.parametrize("side", [20, 64, 65, 100])
def test_the_coarse_detector_keeps_the_electrons(side) -> None:
    frame = disc((side / 2, side / 2), side / 5, side)
    fractions = Patterns(frame[numpy.newaxis], find_reference(frame, (1.0, 1.0))).binned
    assert fractions.electrons[0, 0] == pytest.approx(1e6)
    assert fractions.p.shape[1] <= 32 * 32
