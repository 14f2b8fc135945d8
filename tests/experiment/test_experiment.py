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

from dkl_ae.experiment import ACQUISITIONS, ChangeObjective, Experiment, require_known
from dkl_ae.model import ExactGP, ModelSummary, Posterior
from dkl_ae.records import Measurement, Origin, Patches, Proposal, Reading, Survey, UserError
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.scalarizers.charge import NO_CROSS
from dkl_ae.settings import LARGEST, SMALLEST, VALUE, Plan, changed, make_plan
from dkl_ae.settings.choices import GOALS
from tests.support.surrogates import NearestNeighbour

SURVEY = Survey(numpy.random.default_rng(0).random((9, 10)), 0.1)


def experiment(plan: Plan) -> Experiment:
    return Experiment(plan, SCALARIZERS, Patches(SURVEY, plan.search.patch_size), NearestNeighbour)


def measurement(subject: Experiment, proposal: Proposal, value: float) -> Measurement:
    position = subject.position(proposal)
    readings = {name: Reading(value, 0.01, s.unit) for name, s in SCALARIZERS.items()}
    return Measurement(proposal, position, position, readings, 1e6, 0.01, 0.0)


values = st.one_of(st.floats(-3, 3), st.just(math.nan))
plans = st.builds(
    make_plan,
    scalarizer=st.sampled_from(list(SCALARIZERS)),
    goal=st.sampled_from(sorted(GOALS)),
    goal_value=st.floats(-3, 3),
    batch_size=st.integers(1, 4),
    travel_cost=st.floats(0, 3),
    patch_size=st.sampled_from([1, 3, 5]),
    seed_points=st.integers(1, 6),
    model_points=st.integers(0, 12),
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
    assert len(seen) == plan.search.points
    with pytest.raises(ValueError, match=f"All {plan.search.points} points are measured"):
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
    assume(not SCALARIZERS[plan.objective.scalarizer].circular)
    assume(plan.search.acquisition != "thompson")  # its draws are of one reading, not of the opposite
    opposite = [-reading for reading in readings]
    paths = []
    for goal, told in ((LARGEST, readings), (SMALLEST, opposite)):
        subject = experiment(changed(plan, goal=goal))
        path = []
        while not subject.finished:
            path.append(subject.ask().candidate)
            subject.tell(measurement(subject, subject.ask(), told[len(path) - 1]))
        paths.append((path, subject.best.proposal.candidate))
    assert paths[0] == paths[1]


@given(plans, st.lists(st.floats(-3, 3), min_size=18, max_size=18), st.floats(-2, 2))
def test_to_seek_a_value_is_to_seek_it_in_readings_that_are_shifted(plan, readings, shift) -> None:
    assume(plan.search.acquisition != "thompson")
    paths, distances = [], []
    for value, told in (
        (plan.objective.goal_value, readings),
        (plan.objective.goal_value + shift, [r + shift for r in readings]),
    ):
        subject = experiment(changed(plan, goal=VALUE, goal_value=value, scalarizer="com_x"))
        path = []
        while not subject.finished:
            path.append(subject.ask())
            subject.tell(measurement(subject, path[-1], told[len(path) - 1]))
        best = subject.best
        paths.append([p.candidate for p in path[: plan.search.seed_points + 1]])
        distances.append(abs(best.readings["com_x"].value - value))
    assert paths[0] == paths[1]
    assert distances[0] == pytest.approx(distances[1], abs=1e-9)


@settings(max_examples=50)
@given(plans, st.floats(0, 0.35), st.lists(values, min_size=18, max_size=18))
def test_no_two_exposures_are_nearer_than_the_least_spacing(plan, spacing, readings) -> None:
    try:
        subject = experiment(changed(plan, minimum_spacing_nm=spacing))
    except ValueError:
        return  # no room for the seeds
    try:
        while not subject.finished:
            subject.tell(measurement(subject, subject.ask(), readings[len(subject.measurements)]))
    except ValueError:
        with pytest.raises(ValueError, match=f"^Every candidate left is nearer than {spacing:g} nm"):
            subject.ask()
    pixels = numpy.array([[m.proposal.row, m.proposal.column] for m in subject.measurements])
    # Pixels are subtracted, which is exact: 0.9 nm - 0.7 nm is a little less than 0.2 nm.
    distances = 0.1 * numpy.hypot(*(pixels[:, None] - pixels[None]).transpose(2, 0, 1))
    assert (distances[~numpy.eye(len(pixels), dtype=bool)] >= spacing).all()


def test_a_batch_is_chosen_before_any_of_it_is_told() -> None:
    """The readings of a batch change nothing in it; those of the first of a batch of one do."""
    for batch, same in ((3, True), (1, False)):
        paths = []
        for reading in (-5.0, 5.0):
            subject = experiment(make_plan(patch_size=1, seed_points=3, model_points=3, batch_size=batch))
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
    plan = make_plan(patch_size=1, seed_points=1, model_points=4, batch_size=4, acquisition="maximum_uncertainty")
    subject = Experiment(plan, SCALARIZERS, Patches(SURVEY, 1), Blurred)
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
        plan = make_plan(
            patch_size=3, seed_points=2, model_points=12, batch_size=batch, acquisition="maximum_uncertainty"
        )
        subject = Experiment(
            plan, SCALARIZERS, patches, lambda patches, component, symmetry: ExactGP(points, length=3.0)
        )
        path = []
        while not subject.finished:
            path.append(subject.ask().candidate)
            subject.tell(measurement(subject, subject.ask(), 1.0))
        paths.append(path)
    assert paths[0] == paths[1]


def specimen_with_a_hole() -> tuple[Patches, numpy.ndarray]:
    """Patches, and a reading of each that is undefined in the hole; a fifth of the survey."""
    y, x = numpy.mgrid[:22, :24]
    hole = numpy.hypot(y - 9, x - 9) < 6
    image = numpy.where(hole, 0.0, 2 + numpy.cos(y / 0.9) * numpy.cos(x / 1.1))
    patches = Patches(Survey(image + 0.05 * numpy.random.default_rng(0).random(image.shape), 0.1), 5)
    return patches, patches.inside(numpy.where(hole, math.nan, y + 0.3 * x)).ravel()


class DrawnToTheHole(NearestNeighbour):
    """Holds the hole for the best place and the most uncertain one, for nothing was read there."""

    def predict(self) -> Posterior:
        inside = numpy.where(numpy.isnan(specimen_with_a_hole()[1]), 1e3, 0.0)
        return Posterior(inside + 1e-3 * numpy.arange(inside.size), inside + 1.0)


@pytest.mark.parametrize("acquisition", sorted(ACQUISITIONS))
def test_a_run_learns_where_there_is_no_reading_and_keeps_away(acquisition) -> None:
    patches, truth = specimen_with_a_hole()
    for seed in range(3):
        plan = make_plan(patch_size=5, seed_points=8, model_points=30, acquisition=acquisition, random_seed=seed)
        subject = Experiment(plan, SCALARIZERS, patches, DrawnToTheHole)
        while not subject.finished:
            proposal = subject.ask()
            told = measurement(subject, proposal, truth[proposal.candidate])
            readable = Reading(1.0, 0.01, "")
            subject.tell(dataclasses.replace(told, readings={**told.readings, "bf": readable}))
        chosen = [truth[m.proposal.candidate] for m in subject.measurements if m.proposal.origin is Origin.MODEL]
        assert numpy.isnan(chosen).sum() <= 3
        probability = patches.inside(subject.maps.reading_probability).ravel()
        assert numpy.median(probability[numpy.isnan(truth)]) < 0.5 < numpy.median(probability[~numpy.isnan(truth)])


def test_what_the_run_lacked_is_not_held_against_a_place() -> None:
    """Points without a cross tell nothing of where a charge density exists."""
    subject = experiment(make_plan(patch_size=3, seed_points=4, model_points=4))
    while len(subject.measurements) < 5:
        told = measurement(subject, subject.ask(), 1.0)
        lacking = Reading(math.nan, math.nan, "", NO_CROSS)
        subject.tell(dataclasses.replace(told, readings={**told.readings, "charge_density": lacking}))
    subject.apply(ChangeObjective("charge_density", LARGEST))
    subject.tell(measurement(subject, subject.ask(), 1.0))
    assert numpy.nanmin(subject.maps.reading_probability) == 1


def test_patterns_that_cannot_be_read_at_all_are_not_held_against_their_places() -> None:
    """The beam was off, or the probe elsewhere."""
    subject = experiment(make_plan(patch_size=3, seed_points=6, model_points=4))
    for value in (1.0, math.nan, 2.0, math.nan, 1.5, math.nan):
        subject.tell(measurement(subject, subject.ask(), value))
    assert numpy.nanmin(subject.maps.reading_probability) == 1


def test_travel_that_costs_shortens_the_way() -> None:
    ways = []
    for cost in (0.0, 30.0):
        plan = make_plan(
            patch_size=1, seed_points=3, model_points=20, travel_cost=cost, acquisition="upper_confidence_bound"
        )
        subject = experiment(plan)
        while not subject.finished:
            subject.tell(measurement(subject, subject.ask(), float(len(subject.measurements) % 3)))
        places = numpy.array([[m.proposal.row, m.proposal.column] for m in subject.measurements[3:]])
        ways.append(numpy.hypot(*numpy.diff(places, axis=0).T).sum())
    assert ways[1] < 0.6 * ways[0]


def test_thompson_sampling_draws_other_maps_from_the_same_belief() -> None:
    paths = set()
    for seed in range(6):
        subject = experiment(
            make_plan(patch_size=1, seed_points=1, model_points=1, acquisition="thompson", random_seed=seed)
        )
        subject.tell(measurement(subject, subject.ask(), 1.0))
        assert subject.ask().origin is Origin.MODEL
        paths.add(subject.ask().candidate)
    assert len(paths) > 2


@pytest.mark.parametrize(("goal", "value", "best"), [(VALUE, 3.0, 3.1), (VALUE, 1.5, 1.5), (SMALLEST, 0.0, 3.1)])
def test_the_angle_sought_is_the_best(goal, value, best) -> None:
    plan = make_plan(scalarizer="com_angle", patch_size=5, seed_points=3, model_points=0, goal=goal, goal_value=value)
    subject = experiment(plan)
    for reading in (3.1, -0.2, 1.5):
        subject.tell(measurement(subject, subject.ask(), reading))
    assert subject.best.readings["com_angle"].value == best


def test_it_says_how_far_intervals_are_widened_once_it_has_learned() -> None:
    subject = experiment(make_plan(patch_size=5, seed_points=2, model_points=1))
    assert subject.explanation is None
    for value in (1.0, 2.0):
        subject.tell(measurement(subject, subject.ask(), value))
    assert subject.explanation == ModelSummary(fractions=None, interval_scale=1.0)


def test_seeds_that_find_no_room_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^There is room for \d of 10 seed points 0.5 nm apart: choose a smaller"):
        experiment(make_plan(patch_size=1, seed_points=10, model_points=0, minimum_spacing_nm=0.5))


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
    distances = numpy.hypot(*(patches.positions_nm[:, None] - patches.positions_nm).transpose(2, 0, 1))
    cheap = [name for name, acquisition in ACQUISITIONS.items() if not acquisition.needs_sample]
    while proposals < count:
        plan = make_plan(
            goal=str(random.choice(list(GOALS))),
            patch_size=1,
            seed_points=int(random.integers(1, 10)),
            model_points=80,
            acquisition=str(random.choice(cheap)),
            batch_size=int(random.integers(1, 20)),
            travel_cost=float(random.choice([0.0, 1.0])),
            minimum_spacing_nm=float(random.choice([0.0, 0.15])),
            random_seed=proposals,
        )
        guess = Guess(patches.features, plan.search.random_seed)
        subject = Experiment(plan, SCALARIZERS, patches, lambda patches, component, symmetry, guess=guess: guess)
        forbidden = numpy.zeros(patches.count, bool)
        while not subject.finished and not forbidden.all():
            proposal = subject.ask()
            assert not forbidden[proposal.candidate]
            forbidden |= distances[proposal.candidate] < plan.search.minimum_spacing_nm
            forbidden[proposal.candidate] = True
            reading = math.nan if random.random() < 0.05 else float(random.normal())
            subject.tell(measurement(subject, proposal, reading))
            proposals += 1


@pytest.mark.exhaustive(ordinary=20_000, full=1_000_000)
@pytest.mark.timeout(1200)
def test_no_step_ever_proposes_a_measured_or_forbidden_candidate(times) -> None:
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        list(pool.map(propose, [times // 4] * 4, range(4)))


def test_the_best_is_the_one_that_is_sought() -> None:
    for goal, expected in ((LARGEST, 2), (SMALLEST, 0), (VALUE, 1)):
        subject = experiment(make_plan(patch_size=5, seed_points=3, model_points=0, goal=goal, goal_value=0.7))
        for value in (-1.0, 0.5, 2.0):
            subject.tell(measurement(subject, subject.ask(), value))
        assert subject.best is subject.measurements[expected]


class Doubtful(NearestNeighbour):
    """Believes no reading above 1."""

    def contradicted(self) -> numpy.ndarray:
        return numpy.zeros(self._values.size, bool)

    def unconfirmed(self) -> numpy.ndarray:
        return self._values > 1


@given(st.lists(values, min_size=1, max_size=8))
def test_the_best_is_not_one_that_nothing_confirms_unless_there_is_no_other(read) -> None:
    plan = make_plan(scalarizer="com_x", patch_size=5, seed_points=len(read), model_points=0)
    subject = Experiment(plan, SCALARIZERS, Patches(SURVEY, 5), Doubtful)
    for value in read:
        subject.tell(measurement(subject, subject.ask(), value))
    known = [value for value in read if math.isfinite(value)]
    confirmed = [value for value in known if value <= 1]
    if known:
        assert subject.best.readings["com_x"].value == max(confirmed or known)
    else:
        assert subject.best is None


def test_every_candidate_can_be_measured() -> None:
    count = Patches(SURVEY, 5).count
    subject = experiment(make_plan(patch_size=5, seed_points=2, model_points=count - 2))
    while not subject.finished:
        subject.tell(measurement(subject, subject.ask(), 1.0))
    assert {m.proposal.candidate for m in subject.measurements} == set(range(count))


def test_a_measured_candidate_is_refused() -> None:
    subject = experiment(make_plan(patch_size=5, seed_points=2, model_points=2))
    told = measurement(subject, subject.ask(), 1.0)
    subject.tell(told)
    with pytest.raises(ValueError, match="is measured already"):
        subject.tell(told)


def test_without_one_number_the_run_goes_on_at_random() -> None:
    subject = experiment(make_plan(patch_size=5, seed_points=2, model_points=3))
    while not subject.finished:
        subject.tell(measurement(subject, subject.ask(), math.nan))
    assert subject.maps is None
    assert subject.best is None
    assert {m.proposal.origin for m in subject.measurements} == {Origin.SEED}


def test_maps_have_the_surveys_shape_and_the_chosen_place_is_worth_most() -> None:
    subject = experiment(make_plan(patch_size=5, seed_points=3, model_points=3))
    for value in (0.0, 1.0, 2.0):
        subject.tell(measurement(subject, subject.ask(), value))
    maps, upcoming = subject.maps, subject.ask()
    assert maps.prediction.shape == maps.uncertainty.shape == maps.acquisition.shape == SURVEY.shape
    assert maps.acquisition[upcoming.row, upcoming.column] == 1
    assert upcoming.origin is Origin.MODEL


def test_an_angle_is_never_averaged_across_its_branch_cut() -> None:
    """Neighbours at +3.1 and -3.1 rad point the same way: so does the prediction, and not along zero."""
    subject = experiment(make_plan(scalarizer="com_angle", patch_size=5, seed_points=4, model_points=0))
    for value in (3.1, -3.1, 3.1, -3.1):
        subject.tell(measurement(subject, subject.ask(), value))
    assert numpy.nanmin(numpy.abs(subject.maps.prediction)) > 3


def test_the_best_angle_points_along_x() -> None:
    subject = experiment(make_plan(scalarizer="com_angle", patch_size=5, seed_points=3, model_points=0))
    for value in (3.1, -0.2, 1.5):
        subject.tell(measurement(subject, subject.ask(), value))
    assert subject.best.readings["com_angle"].value == -0.2


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"scalarizer": "colour"}, "There is no scalarizer 'colour': choose one of com_magnitude, "),
        ({"acquisition": "luck"}, "There is no acquisition function 'luck': choose one of "),
    ],
)
def test_what_a_plan_names_must_be_there(settings_, message) -> None:
    plan = make_plan(**settings_)
    with pytest.raises(UserError, match=f"^{re.escape(message)}"):
        require_known(plan, SCALARIZERS)
    with pytest.raises(UserError, match=f"^{re.escape(message)}"):
        experiment(changed(plan, patch_size=5, model_points=3))


def test_more_points_than_candidates_are_refused() -> None:
    with pytest.raises(ValueError, match="10 seed points and 60 model points but the survey has 30 candidates"):
        experiment(make_plan(patch_size=5))


def test_the_model_is_not_told_what_counting_noise_adds_to_a_magnitude() -> None:
    """A Rice-distributed magnitude of about its error is mostly excess."""
    subject = experiment(make_plan(patch_size=5, seed_points=2, model_points=0))
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
    plan = make_plan(scalarizer="com_x", patch_size=5, seed_points=3, model_points=4, goal=LARGEST)
    switched, straight = experiment(plan), experiment(changed(plan, scalarizer="bf", goal=SMALLEST))
    for number in range(3):
        for subject in (switched, straight):
            proposal = subject.ask()
            told = {**readings_of(0.1 * number, 0.01), "bf": Reading(math.sin(number), 0.01, "")}
            subject.tell(dataclasses.replace(measurement(subject, proposal, 0.0), readings=told))
    assert not numpy.array_equal(switched.maps.prediction, straight.maps.prediction, equal_nan=True)
    switched.apply(ChangeObjective("bf", SMALLEST))
    numpy.testing.assert_array_equal(switched.maps.prediction, straight.maps.prediction)
    assert switched.ask() == straight.ask()
    assert switched.best == straight.best


def test_readings_that_are_known_later_replace_the_earlier_ones() -> None:
    subject = experiment(make_plan(scalarizer="bf", patch_size=5, seed_points=2, model_points=0))
    first = subject.ask()
    subject.tell(measurement(subject, first, math.nan))
    second = subject.ask()
    subject.tell(measurement(subject, second, 1.0), {first.candidate: {"bf": Reading(5.0, 0.01, "")}})
    assert subject.best.proposal == first
    assert subject.maps.prediction[first.row, first.column] == 5.0


@given(plans, st.floats(0, 3), st.data())
def test_an_error_that_all_readings_share_changes_what_is_shown_and_not_what_is_measured(plan, shared, data) -> None:
    """The model is not told it: what shifts all readings alike is no noise."""
    alone, sharing = experiment(plan), experiment(plan)
    while not alone.finished:
        proposal = alone.ask()
        assert sharing.ask() == proposal
        told = measurement(alone, proposal, data.draw(values))
        alone.tell(told)
        readings = {name: dataclasses.replace(r, common_sigma=shared) for name, r in told.readings.items()}
        sharing.tell(dataclasses.replace(told, readings=readings))
        if alone.maps is not None and sharing.maps is not None:
            numpy.testing.assert_array_equal(sharing.maps.prediction, alone.maps.prediction)
            numpy.testing.assert_array_equal(sharing.maps.acquisition, alone.maps.acquisition)
            if any(math.isfinite(m.readings[plan.objective.scalarizer].value) for m in sharing.measurements):
                numpy.testing.assert_allclose(sharing.maps.uncertainty, numpy.hypot(alone.maps.uncertainty, shared))
