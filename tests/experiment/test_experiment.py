"""Laws of the ask/tell state."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import math
import re

import numpy
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dkl_ae.experiment import ACQUISITIONS, Experiment, ModelSummary, Plan
from dkl_ae.model import ExactGP, Posterior
from dkl_ae.records import Measurement, Origin, Patches, Proposal, Reading, Survey
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.settings import LARGEST, SMALLEST, VALUE
from dkl_ae.settings.choices import GOALS
from tests.support.surrogates import NearestNeighbour

SURVEY = Survey(numpy.random.default_rng(0).random((9, 10)), 0.1)


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
    goal=st.sampled_from(GOALS),
    goal_value=st.floats(-3, 3),
    batch_size=st.integers(1, 4),
    travel_cost=st.floats(0, 3),
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
    assume(plan.acquisition != "thompson")  # its draws are of one reading, not of the opposite
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


@given(plans, st.lists(st.floats(-3, 3), min_size=18, max_size=18), st.floats(-2, 2))
def test_to_seek_a_value_is_to_seek_it_in_readings_that_are_shifted(plan, readings, shift) -> None:
    assume(plan.acquisition != "thompson")
    paths, distances = [], []
    for value, told in ((plan.goal_value, readings), (plan.goal_value + shift, [r + shift for r in readings])):
        subject = experiment(dataclasses.replace(plan, goal=VALUE, goal_value=value, scalarizer="com_x"))
        path = []
        while not subject.finished:
            path.append(subject.ask())
            subject.tell(measurement(subject, path[-1], told[len(path) - 1]))
        best = subject.best
        paths.append([p.candidate for p in path[: plan.seed_points + 1]])
        distances.append(abs(best.readings["com_x"].value - value))
    assert paths[0] == paths[1]
    assert distances[0] == pytest.approx(distances[1], abs=1e-9)


@settings(max_examples=50)
@given(plans, st.floats(0, 0.35), st.lists(values, min_size=18, max_size=18))
def test_no_two_exposures_are_nearer_than_the_least_spacing(plan, spacing, readings) -> None:
    try:
        subject = experiment(dataclasses.replace(plan, least_spacing_nm=spacing))
    except ValueError:
        return  # no room for the seeds
    try:
        while not subject.finished:
            subject.tell(measurement(subject, subject.ask(), readings[len(subject.measurements)]))
    except ValueError:
        with pytest.raises(ValueError, match=f"^Every candidate left is nearer than {spacing:g} nm"):
            subject.ask()
    places = 0.1 * numpy.array([[m.proposal.row, m.proposal.column] for m in subject.measurements])
    distances = numpy.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    assert (distances[~numpy.eye(len(places), dtype=bool)] >= spacing).all()


def test_a_batch_is_chosen_before_any_of_it_is_told() -> None:
    """The readings of a batch change nothing in it; those of the first of a batch of one do."""
    for batch, same in ((3, True), (1, False)):
        paths = []
        for reading in (-5.0, 5.0):
            subject = experiment(Plan(patch_size=1, seed_points=3, steps=3, batch_size=batch))
            for value in (0.0, 1.0, 2.0):
                subject.tell(measurement(subject, subject.ask(), value))
            path = []
            while not subject.finished:
                path.append(subject.ask().candidate)
                subject.tell(measurement(subject, subject.ask(), reading))
            paths.append(path)
        assert (paths[0] == paths[1]) is same


class Blurred(NearestNeighbour):
    """One reading is known everywhere; neighbours in the patch's value vary together."""

    def predict(self) -> Posterior:
        return Posterior(numpy.zeros(len(self._features)), numpy.ones(len(self._features)))

    def covariance(self, rows: numpy.ndarray, columns: numpy.ndarray) -> numpy.ndarray:
        return numpy.exp(-((self._features[rows] - self._features[columns].T) ** 2) / 0.02)


def test_a_batch_spreads_over_what_is_unknown() -> None:
    """All is equally unknown: each choice of a batch avoids what the ones before will tell."""
    plan = Plan(patch_size=1, seed_points=1, steps=4, batch_size=4, acquisition="maximum_uncertainty")
    subject = Experiment(plan, Patches(SURVEY, 1), Blurred)
    subject.tell(measurement(subject, subject.ask(), 0.0))
    chosen = []
    while not subject.finished:
        chosen.append(subject.patches.features[subject.ask().candidate, 0])
        subject.tell(measurement(subject, subject.ask(), 0.0))
    assert numpy.diff(numpy.sort(chosen)).min() > 0.3


def test_a_batch_is_what_one_by_one_would_be_if_all_were_read_as_predicted() -> None:
    """With an exact Gaussian process whose uncertainty alone decides."""
    patches = Patches(SURVEY, 3)
    points = numpy.random.default_rng(2).normal(size=(1, patches.count, 2))
    paths = []
    for batch in (1, 12):
        plan = Plan(patch_size=3, seed_points=2, steps=12, batch_size=batch, acquisition="maximum_uncertainty")
        subject = Experiment(plan, patches, lambda features, component, symmetry: ExactGP(points, length=3.0))
        path = []
        while not subject.finished:
            path.append(subject.ask().candidate)
            subject.tell(measurement(subject, subject.ask(), 1.0))
        paths.append(path)
    assert paths[0] == paths[1]


def test_travel_that_costs_shortens_the_way() -> None:
    ways = []
    for cost in (0.0, 30.0):
        plan = Plan(patch_size=1, seed_points=3, steps=20, travel_cost=cost, acquisition="upper_confidence_bound")
        subject = experiment(plan)
        while not subject.finished:
            subject.tell(measurement(subject, subject.ask(), float(len(subject.measurements) % 3)))
        places = numpy.array([[m.proposal.row, m.proposal.column] for m in subject.measurements[3:]])
        ways.append(numpy.hypot(*numpy.diff(places, axis=0).T).sum())
    assert ways[1] < 0.6 * ways[0]


def test_thompson_sampling_draws_other_maps_from_the_same_belief() -> None:
    paths = set()
    for seed in range(6):
        subject = experiment(Plan(patch_size=1, seed_points=1, steps=1, acquisition="thompson", random_seed=seed))
        subject.tell(measurement(subject, subject.ask(), 1.0))
        assert subject.ask().origin is Origin.MODEL
        paths.add(subject.ask().candidate)
    assert len(paths) > 2


@pytest.mark.parametrize(("goal", "value", "best"), [(VALUE, 3.0, 3.1), (VALUE, 1.5, 1.5), (SMALLEST, 0.0, 3.1)])
def test_the_angle_sought_is_the_best(goal, value, best) -> None:
    plan = Plan(scalarizer="com_angle", patch_size=5, seed_points=3, steps=0, goal=goal, goal_value=value)
    subject = experiment(plan)
    for reading in (3.1, -0.2, 1.5):
        subject.tell(measurement(subject, subject.ask(), reading))
    assert subject.best.readings["com_angle"].value == best


def test_it_says_how_far_intervals_are_widened_once_it_has_learned() -> None:
    subject = experiment(Plan(patch_size=5, seed_points=2, steps=1))
    assert subject.explanation is None
    for value in (1.0, 2.0):
        subject.tell(measurement(subject, subject.ask(), value))
    assert subject.explanation == ModelSummary(fractions=None, interval_scale=1.0)


def test_seeds_that_find_no_room_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^There is room for \d of 10 seed points 0.5 nm apart: choose a smaller"):
        experiment(Plan(patch_size=1, seed_points=10, steps=0, least_spacing_nm=0.5))


class Guess(NearestNeighbour):
    """Believes anything."""

    def __init__(self, features: numpy.ndarray, seed: int) -> None:
        self._count, self._random = len(features), numpy.random.default_rng(seed)

    def fit(self, candidates: numpy.ndarray, values: numpy.ndarray, sigmas: numpy.ndarray) -> None:
        self._values = values

    def predict(self) -> Posterior:
        return Posterior(self._random.normal(size=self._count), self._random.random(self._count) + 1e-3)

    def covariance(self, rows: numpy.ndarray, columns: numpy.ndarray) -> numpy.ndarray:
        return numpy.zeros((rows.size, columns.size))


def propose(count: int, seed: int) -> None:
    """Random plans on a small survey until as many proposals are made."""
    random = numpy.random.default_rng(seed)
    patches, proposals = Patches(SURVEY, 1), 0
    distances = numpy.hypot(*(patches.places_nm[:, None] - patches.places_nm).transpose(2, 0, 1))
    cheap = [name for name, acquisition in ACQUISITIONS.items() if not acquisition.draws]
    while proposals < count:
        plan = Plan(
            goal=str(random.choice(GOALS)),
            patch_size=1,
            seed_points=int(random.integers(1, 10)),
            steps=80,
            acquisition=str(random.choice(cheap)),
            batch_size=int(random.integers(1, 20)),
            travel_cost=float(random.choice([0.0, 1.0])),
            least_spacing_nm=float(random.choice([0.0, 0.15])),
            random_seed=proposals,
        )
        guess = Guess(patches.features, plan.random_seed)
        subject = Experiment(plan, patches, lambda features, component, symmetry, guess=guess: guess)
        forbidden = numpy.zeros(patches.count, bool)
        while not subject.finished and not forbidden.all():
            proposal = subject.ask()
            assert not forbidden[proposal.candidate]
            forbidden |= distances[proposal.candidate] < plan.least_spacing_nm
            forbidden[proposal.candidate] = True
            reading = math.nan if random.random() < 0.05 else float(random.normal())
            subject.tell(measurement(subject, proposal, reading))
            proposals += 1


@pytest.mark.exhaustive(ordinary=40_000, full=1_000_000)
@pytest.mark.timeout(1200)
def test_no_step_ever_proposes_a_measured_or_forbidden_candidate(times) -> None:
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        list(pool.map(propose, [times // 4] * 4, range(4)))


def test_the_best_is_the_one_that_is_sought() -> None:
    for goal, expected in ((LARGEST, 2), (SMALLEST, 0), (VALUE, 1)):
        subject = experiment(Plan(patch_size=5, seed_points=3, steps=0, goal=goal, goal_value=0.7))
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
        ({"seed_points": 0}, "The number of seed points is 0: choose 1 or more, or a saved model to start from."),
        (
            {"seed_points": 0, "steps": 0, "pretrained": "some"},
            "The run has no seed points and no steps: ask for some.",
        ),
        ({"seed_points": -1}, "The number of seed points is -1: choose 0 or more."),
        ({"steps": -1}, "The number of steps is -1: choose 0 or more."),
        ({"scalarizer": "colour"}, "There is no scalarizer 'colour': choose one of com_magnitude, "),
        ({"goal": "middle"}, "There is no goal 'middle': choose one of largest, smallest, value."),
        ({"goal_value": math.nan}, "The value sought is nan: choose a number."),
        ({"embedding": "magic"}, "There is no model 'magic': choose one of combined, patches, network."),
        ({"batch_size": 0}, "The batch is 0: choose 1 or more."),
        ({"travel_cost": -0.5}, "The travel cost is -0.5: choose a number that is not negative."),
        ({"least_spacing_nm": math.inf}, "The least spacing is inf: choose a number that is not negative."),
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


def test_the_model_is_not_told_what_counting_noise_adds_to_a_magnitude() -> None:
    """A Rice-distributed magnitude of about its error is mostly excess."""
    subject = experiment(Plan(patch_size=5, seed_points=2, steps=0))
    first, second = subject.ask(), None
    told = dataclasses.replace(measurement(subject, first, 0.1), readings=readings_of(0.1, 0.1))
    subject.tell(told)
    second = subject.ask()
    subject.tell(dataclasses.replace(measurement(subject, second, 3.0), readings=readings_of(3.0, 0.1)))
    seen = [subject.maps.prediction[proposal.row, proposal.column] for proposal in (first, second)]
    assert seen[0] == pytest.approx(0.1 - 0.05 * (1 - math.exp(-1)))
    assert seen[1] == pytest.approx(3.0 - 0.01 / 6)


def readings_of(value: float, sigma: float) -> dict[str, Reading]:
    return {name: Reading(value, sigma, s.unit) for name, s in SCALARIZERS.items()}


def test_following_another_reading_is_as_if_it_had_been_followed_from_the_start() -> None:
    plan = Plan(scalarizer="com_x", patch_size=5, seed_points=3, steps=4, goal=LARGEST)
    switched, straight = experiment(plan), experiment(dataclasses.replace(plan, scalarizer="bf", goal=SMALLEST))
    for number in range(3):
        for subject in (switched, straight):
            proposal = subject.ask()
            told = {**readings_of(0.1 * number, 0.01), "bf": Reading(math.sin(number), 0.01, "")}
            subject.tell(dataclasses.replace(measurement(subject, proposal, 0.0), readings=told))
    assert not numpy.array_equal(switched.maps.prediction, straight.maps.prediction, equal_nan=True)
    switched.drive_by(dataclasses.replace(plan, scalarizer="bf", goal=SMALLEST))
    numpy.testing.assert_array_equal(switched.maps.prediction, straight.maps.prediction)
    assert switched.ask() == straight.ask()
    assert switched.best == straight.best


def test_readings_that_are_known_later_replace_the_earlier_ones() -> None:
    subject = experiment(Plan(scalarizer="bf", patch_size=5, seed_points=2, steps=0))
    first = subject.ask()
    subject.tell(measurement(subject, first, math.nan))
    second = subject.ask()
    subject.tell(measurement(subject, second, 1.0), {first.candidate: {"bf": Reading(5.0, 0.01, "")}})
    assert subject.best.proposal == first
    assert subject.maps.prediction[first.row, first.column] == 5.0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"expression": "com_x +"}, "The expression 'com_x +' cannot be understood"),
        ({"scalarizer": "composite"}, "There is no scalarizer 'composite'"),
        ({"scalarizer_file": "nowhere.py"}, "There is no file nowhere.py of scalarizers"),
        ({"reference": "moon"}, "There is no reference 'moon': choose one of darkest, region, mean, file"),
        ({"reference": "region", "reference_region": "0, 0, 2, 1"}, "The region is '0, 0, 2, 1'"),
        ({"reference": "file"}, "The reference comes from a file but none is named"),
        ({"reference": "file", "reference_file": "a.npz", "descan": "plane"}, "A reference from a file brings its own"),
        ({"descan": "cubic"}, "There is no descan 'cubic'"),
        ({"mask_inner": 1.2}, "The mask of the centre of mass goes from 1.2 to 1.1 disc radii: choose a ring"),
        ({"cross_arm_nm": 0.0}, "The cross's arm is 0.0 nm: choose a positive length"),
        ({"detector_rotation_deg": math.inf}, "The detector's rotation is inf degrees"),
    ],
)
def test_a_plan_of_patterns_that_cannot_work_is_refused(changes, sentence) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the sentence is compared as it is
        Plan(**changes)
    assert str(raised.value).startswith(sentence)
