"""Laws of the ask/tell state."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dkl_ae.acquisition import ACQUISITIONS
from dkl_ae.experiment import LARGEST, SMALLEST, Experiment, Plan
from dkl_ae.measurement import Measurement, Origin, Proposal, Reading
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.surrogate import Posterior
from dkl_ae.survey import Patches, Survey
from dkl_ae.symmetry import Symmetry

SURVEY = Survey(numpy.random.default_rng(0).random((9, 10)), 0.1)


class NearestNeighbour:
    """The least surrogate that learns: the value of the nearest measured patch, its distance as sigma."""

    def __init__(self, features: numpy.ndarray, seed: int, symmetry: Symmetry) -> None:
        self._features = features.astype(float)

    def fit(self, candidates: numpy.ndarray, values: numpy.ndarray, sigmas: numpy.ndarray) -> None:
        assert numpy.isfinite(values).all()
        assert numpy.isfinite(sigmas).all()
        self._candidates, self._values = candidates, values

    def predict(self) -> Posterior:
        measured = self._features[self._candidates]
        distance = numpy.linalg.norm(self._features[:, None] - measured[None], axis=2)
        return Posterior(self._values[distance.argmin(axis=1)], distance.min(axis=1) + 1e-3)

    notices: tuple[str, ...] = ()


def experiment(plan: Plan) -> Experiment:
    return Experiment(plan, Patches(SURVEY, plan.patch_size), NearestNeighbour)


def measurement(subject: Experiment, proposal: Proposal, value: float) -> Measurement:
    position = subject.position(proposal)
    readings = {name: Reading(value, 0.01, s.unit) for name, s in SCALARIZERS.items()}
    return Measurement(proposal, position, position, readings, 1e6, 0.01, 0.0)


values = st.one_of(st.floats(-3, 3), st.just(math.nan))
plans = st.builds(
    Plan,
    scalarizer=st.sampled_from(list(SCALARIZERS)),
    goal=st.sampled_from([LARGEST, SMALLEST]),
    patch_size=st.sampled_from([1, 3, 5]),
    seed_points=st.integers(1, 6),
    steps=st.integers(0, 12),
    acquisition=st.sampled_from(list(ACQUISITIONS)),
    random_seed=st.integers(0, 2**32),
)


@settings(max_examples=100)
@given(plans, st.data())
def test_no_candidate_is_proposed_twice_and_every_one_lies_inside(plan, data) -> None:
    subject = experiment(plan)
    seen = set()
    while not subject.finished:
        proposal = subject.ask()
        assert subject.ask() == proposal, "asking changes nothing"
        assert proposal.candidate not in seen
        assert subject.patches.pixel(proposal.candidate) == (proposal.row, proposal.column)
        seen.add(proposal.candidate)
        subject.tell(measurement(subject, proposal, data.draw(values)))
    assert len(seen) == plan.points
    with pytest.raises(ValueError, match=f"All {plan.points} points are measured"):
        subject.ask()


@given(plans, st.lists(values, min_size=18, max_size=18))
def test_the_same_plan_and_readings_take_the_same_path(plan, readings) -> None:
    paths = []
    for _ in range(2):
        subject = experiment(plan)
        path = []
        while not subject.finished:
            path.append(subject.ask())
            subject.tell(measurement(subject, path[-1], readings[len(path) - 1]))
        paths.append(path)
    assert paths[0] == paths[1]


@given(plans, st.lists(st.floats(-3, 3), min_size=18, max_size=18))
def test_to_seek_the_smallest_is_to_seek_the_largest_of_the_opposite(plan, readings) -> None:
    assume(not SCALARIZERS[plan.scalarizer].circular)
    opposite = [-reading for reading in readings]
    paths = []
    for goal, told in ((LARGEST, readings), (SMALLEST, opposite)):
        subject = experiment(dataclasses.replace(plan, goal=goal))
        path = []
        while not subject.finished:
            path.append(subject.ask().candidate)
            subject.tell(measurement(subject, subject.ask(), told[len(path) - 1]))
        paths.append((path, subject.best.proposal.candidate))
    assert paths[0] == paths[1]


def test_the_best_is_the_one_that_is_sought() -> None:
    for goal, expected in ((LARGEST, 2), (SMALLEST, 0)):
        subject = experiment(Plan(patch_size=5, seed_points=3, steps=0, goal=goal))
        for value in (-1.0, 0.5, 2.0):
            subject.tell(measurement(subject, subject.ask(), value))
        assert subject.best is subject.measurements[expected]


@given(plans)
def test_a_plan_survives_its_own_text(plan) -> None:
    assert Plan.from_json(plan.to_json()) == plan


def test_every_candidate_can_be_measured() -> None:
    count = Patches(SURVEY, 5).count
    subject = experiment(Plan(patch_size=5, seed_points=2, steps=count - 2))
    while not subject.finished:
        subject.tell(measurement(subject, subject.ask(), 1.0))
    assert {m.proposal.candidate for m in subject.measurements} == set(range(count))


def test_a_measured_candidate_is_refused() -> None:
    subject = experiment(Plan(patch_size=5, seed_points=2, steps=2))
    told = measurement(subject, subject.ask(), 1.0)
    subject.tell(told)
    with pytest.raises(ValueError, match="is measured already"):
        subject.tell(told)


def test_without_one_number_the_run_goes_on_at_random() -> None:
    subject = experiment(Plan(patch_size=5, seed_points=2, steps=3))
    while not subject.finished:
        subject.tell(measurement(subject, subject.ask(), math.nan))
    assert subject.maps is None
    assert subject.best is None
    assert {m.proposal.origin for m in subject.measurements} == {Origin.SEED}


def test_maps_have_the_surveys_shape_and_the_chosen_place_is_worth_most() -> None:
    subject = experiment(Plan(patch_size=5, seed_points=3, steps=3))
    for value in (0.0, 1.0, 2.0):
        subject.tell(measurement(subject, subject.ask(), value))
    maps, upcoming = subject.maps, subject.ask()
    assert maps.prediction.shape == maps.uncertainty.shape == maps.acquisition.shape == SURVEY.shape
    assert maps.acquisition[upcoming.row, upcoming.column] == 1
    assert upcoming.origin is Origin.MODEL


def test_an_angle_is_never_averaged_across_its_branch_cut() -> None:
    """Neighbours at +3.1 and -3.1 rad point the same way: so does the prediction, and not along zero."""
    subject = experiment(Plan(scalarizer="com_angle", patch_size=5, seed_points=4, steps=0))
    for value in (3.1, -3.1, 3.1, -3.1):
        subject.tell(measurement(subject, subject.ask(), value))
    assert numpy.nanmin(numpy.abs(subject.maps.prediction)) > 3


def test_the_best_angle_points_along_x() -> None:
    subject = experiment(Plan(scalarizer="com_angle", patch_size=5, seed_points=3, steps=0))
    for value in (3.1, -0.2, 1.5):
        subject.tell(measurement(subject, subject.ask(), value))
    assert subject.best.readings["com_angle"].value == -0.2


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"patch_size": 12}, "The patch size is 12 px, which has no central pixel: choose 13."),
        ({"patch_size": 0}, "The patch size is 0: choose 1 or more."),
        ({"seed_points": 0}, "The number of seed points is 0: choose 1 or more."),
        ({"steps": -1}, "The number of steps is -1: choose 0 or more."),
        ({"scalarizer": "colour"}, "There is no scalarizer 'colour': choose one of com_magnitude, "),
        ({"goal": "middle"}, "There is no goal 'middle': choose one of largest, smallest."),
        ({"acquisition": "luck"}, "There is no acquisition function 'luck': choose one of "),
        ({"device": "abacus"}, "There is no device 'abacus': choose one of auto, gpu, cpu."),
        ({"acquisition_parameter": -1.0}, "The acquisition parameter is -1.0: choose a number"),
    ],
)
def test_a_plan_that_cannot_work_is_refused_in_one_sentence(settings_, message) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        Plan(**settings_)


@pytest.mark.parametrize("text", ["", "{}x", '{"colour": 1}', "[1]"])
def test_a_text_that_is_no_plan_is_refused(text) -> None:
    with pytest.raises(ValueError, match="This is not a plan"):
        Plan.from_json(text)


def test_more_points_than_candidates_are_refused() -> None:
    with pytest.raises(ValueError, match="10 seed points and 60 steps but the survey has 30 candidates"):
        experiment(Plan(patch_size=5))
