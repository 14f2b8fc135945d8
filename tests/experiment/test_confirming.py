"""Laws of readings that are measured once more before they lead."""

from __future__ import annotations

import functools
import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkl_ae.experiment import ChangeObjective, Experiment, deep_kernel_for
from dkl_ae.records import Measurement, Origin, Patches, Reading, Survey
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.settings import Plan, changed, make_plan
from tests.experiment.test_experiment import SURVEY, Doubtful, measurement, values
from tests.experiment.test_history import assert_alike, carry_out, plans, steps
from tests.support.lattice import PATCHES, TRUTH

NM_PER_PIXEL = 0.1
REACH_PX = 1
"""A quarter of a patch of five pixels."""


class Contradicting(Doubtful):
    """Likewise, and contradicts all readings that it does not believe."""

    def contradicted(self) -> numpy.ndarray:
        return self.unconfirmed()


def doubtful(plan: Plan, surrogate: type = Doubtful) -> Experiment:
    return Experiment(plan, SCALARIZERS, Patches(SURVEY, plan.search.patch_size), surrogate)


def plan_of(**values: object) -> Plan:
    plan = make_plan(scalarizer="com_x", patch_size=5, seed_points=3, model_points=6)
    return changed(plan, **values)  # type: ignore[arg-type]


def distance_px(first: Measurement, second: Measurement) -> float:
    one, other = first.proposal, second.proposal
    return math.hypot(one.row - other.row, one.column - other.column)


def is_confirmation(measured: Measurement) -> bool:
    return measured.proposal.origin is Origin.CONFIRMATION


@settings(max_examples=60)
@given(
    st.lists(values, min_size=9, max_size=9),
    st.integers(1, 4),
    st.sampled_from([Doubtful, Contradicting]),
)
def test_what_would_lead_unconfirmed_is_measured_once_more_right_beside(read, batch, surrogate) -> None:
    subject = doubtful(plan_of(batch_size=batch), surrogate)
    for value in read:
        subject.tell(measurement(subject, subject.ask(), value))
    measurements = subject.measurements
    assert not any(map(is_confirmation, measurements[:3])), "there is no model before the seeds are measured"
    tried = set()
    for index, confirmation in enumerate(measurements):
        if is_confirmation(confirmation):
            of = [
                m
                for m in measurements[:index]
                if not is_confirmation(m) and m.readings["com_x"].value > 1 and distance_px(m, confirmation) <= REACH_PX
            ]
            assert of, "it is beside a reading that is not believed"
            assert not {m.proposal.candidate for m in of} <= tried, "no reading is confirmed twice"
            tried |= {m.proposal.candidate for m in of}
    assert len(measurements) == 9, "confirmations count among the points of the plan"


def test_the_reading_just_told_is_confirmed_next_and_told_to_the_operator() -> None:
    subject = doubtful(plan_of())
    for value in (0.5, 0.2, 2.0):
        subject.tell(measurement(subject, subject.ask(), value))
    surprising, confirmation = subject.measurements[-1], subject.ask()
    assert confirmation.origin is Origin.CONFIRMATION
    assert abs(confirmation.row - surprising.proposal.row) + abs(confirmation.column - surprising.proposal.column) == 1
    assert confirmation.expected is not None
    row, column = surprising.proposal.row, surprising.proposal.column
    assert subject.notices == (
        f"Nothing confirms the CoM x of 2 mrad at pixel ({row}, {column}): it is measured once more beside.",
    )
    assert subject.best.readings["com_x"].value == 0.5
    subject.tell(measurement(subject, confirmation, 0.1))
    assert subject.ask().origin is Origin.MODEL
    assert not subject.notices


@pytest.mark.parametrize(
    "setting",
    [
        {"confirm_surprising": False},
        {"minimum_spacing_nm": 1.5 * NM_PER_PIXEL},
        {"patch_size": 3},
        {"goal": "smallest"},
    ],
)
def test_nothing_is_confirmed_where_that_is_not_wanted_or_has_no_room_or_would_not_lead(setting) -> None:
    subject = doubtful(plan_of(**setting))
    for value in (0.5, 0.2, 2.0, 0.3, 0.1, 0.4):
        subject.tell(measurement(subject, subject.ask(), value))
    assert not any(map(is_confirmation, subject.measurements))


def test_a_confirmation_is_at_the_head_of_the_next_batch() -> None:
    subject = doubtful(plan_of(batch_size=3))
    for value in (0.5, 0.2, 2.0):
        subject.tell(measurement(subject, subject.ask(), value))
    origins = []
    for _ in range(3):
        origins.append(subject.ask().origin)
        subject.tell(measurement(subject, subject.ask(), 0.1))
    assert origins == [Origin.CONFIRMATION, Origin.MODEL, Origin.MODEL]


@settings(max_examples=60)
@given(plans, steps, st.integers(0, 16), st.sampled_from([Doubtful, Contradicting]))
def test_a_history_with_confirmations_that_is_cut_anywhere_goes_on_as_if_it_had_not_been(
    plan, actions, cut, surrogate
) -> None:
    plan = changed(plan, patch_size=5)
    straight, resumed = doubtful(plan, surrogate), doubtful(plan, surrogate)
    carry_out(straight, actions[:cut])
    resumed.restore(straight.history, straight.checkpoint)
    assert_alike(resumed, straight)
    carry_out(straight, actions[cut:])
    carry_out(resumed, actions[cut:])
    assert_alike(resumed, straight)
    assert repr(resumed.history) == repr(straight.history)
    assert resumed.notices == straight.notices


def test_another_objective_asks_anew_what_is_to_be_confirmed() -> None:
    subject = doubtful(plan_of())
    for value in (0.5, 0.2, 2.0):
        subject.tell(measurement(subject, subject.ask(), value))
    subject.apply(ChangeObjective("com_x", "smallest"))
    assert subject.ask().origin is Origin.MODEL
    assert not subject.notices


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("size", "sign"), [(10.0, 1), (10.0, -1), (1e4, 1)])
def test_a_false_reading_is_belied_beside_its_place_and_never_called_the_best(seed, size, sign) -> None:
    """One of the readings of a lattice is false, whichever, and the run seeks what it seems to be."""
    plan = make_plan(
        scalarizer="com_x",
        goal="largest" if sign > 0 else "smallest",
        patch_size=5,
        seed_points=16,
        model_points=8,
        random_seed=seed,
        compute_device="cpu",
    )
    subject = Experiment(plan, SCALARIZERS, PATCHES, functools.partial(deep_kernel_for, plan))
    false = subject.ask().candidate
    while not subject.finished:
        proposal = subject.ask()
        off = sign * size * TRUTH.std() if proposal.candidate == false else 0.0
        told = measurement(subject, proposal, float(TRUTH[proposal.candidate] + off))
        subject.tell(told)
        if len(subject.measurements) >= plan.search.seed_points:
            assert subject.best.proposal.candidate != false
    assert subject.measurements[16].proposal.origin is Origin.CONFIRMATION
    (surrogate,) = subject.surrogates
    assert numpy.flatnonzero(surrogate.contradicted()).tolist() == [0]


@pytest.mark.parametrize("seed", range(3))
def test_a_true_outlier_is_called_the_best_once_what_is_beside_it_agrees(seed) -> None:
    """One bright atom on a lattice: its reading is news, and leads in the end."""
    row, column = numpy.mgrid[:36, :40]
    sites = (1 + numpy.cos(row * 2 * numpy.pi / 6)) * (1 + numpy.cos(column * 2 * numpy.pi / 6))
    noise = 0.05 * numpy.random.default_rng(3).normal(size=sites.shape)
    image = sites + noise + 12 * numpy.exp(-0.5 * ((row - 18) ** 2 + (column - 18) ** 2) / 2.5**2)
    patches = Patches(Survey(image, 0.02), 9)
    truth = patches.inside(image).ravel()
    plan = make_plan(
        scalarizer="com_x", patch_size=9, seed_points=12, model_points=12, random_seed=seed, compute_device="cpu"
    )
    subject = Experiment(plan, SCALARIZERS, patches, functools.partial(deep_kernel_for, plan))
    while not subject.finished:
        proposal = subject.ask()
        position = subject.position(proposal)
        readings = {name: Reading(float(truth[proposal.candidate]), 0.05, "") for name in SCALARIZERS}
        subject.tell(Measurement(proposal, position, position, readings, 1e6, 0.01, 0.0))
    assert subject.best.readings["com_x"].value > 0.8 * truth.max()
    assert subject.best.readings["com_x"].value == max(m.readings["com_x"].value for m in subject.measurements)
