"""Sessions of the first version of the format are read, and go on as the program that wrote them would have."""

from __future__ import annotations

import json
import pathlib
import shutil

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.analysis import recorded_view, step_record
from dkl_ae.experiment import ChangeObjective
from dkl_ae.model import ModelSummary, VarianceFractions
from dkl_ae.run import Outcome, Runner, model_text
from dkl_ae.session import open_session, take_up
from dkl_ae.session.version_1 import summary_from_words, words_of
from tests.support.recorded_specimen import instrument

DATA = pathlib.Path(__file__).parents[1] / "data"
FINISHED = DATA / "session-1.h5"
"""Kept as version 0.1.0 wrote it: never to be made anew."""
UNFINISHED = DATA / "session-1-unfinished.h5"
"""Likewise. Written by version 0.1.0 (commit d10ed23) on the specimen of tests/support/recorded_specimen.py: patches of
9 px, 8 seed points, 12 steps, random seed 3; from step 12 on it was driven by com_angle, to the value 0.5; killed when
it had told of step 14. The file of the same name ending in .json has candidates and readings of that run when the same
version was let go on to its end."""
EXPECTED = json.loads(UNFINISHED.with_suffix(".json").read_text())


@pytest.fixture
def unfinished(tmp_path) -> pathlib.Path:
    return pathlib.Path(shutil.copy(UNFINISHED, tmp_path / "session.h5"))


def test_a_finished_session_is_read() -> None:
    with open_session(FINISHED) as session:
        assert session.version == 1
        assert session.count == 12
        assert session.outcome is Outcome.FINISHED
        assert session.plan.objective.scalarizer == "com_magnitude"
        assert session.pattern(0).shape == (64, 64)
        assert session.pattern(11).sum() == session.columns["electrons"][11]
        assert session.map_steps.tolist() == list(range(9, 13))
        assert session.checkpoint().measured <= 12


def test_what_the_model_said_of_itself_is_shown_in_the_words_of_now() -> None:
    with open_session(FINISHED) as session:
        assert [step_record(session, number).model for number in range(1, 9)] == [None] * 8
        summary = ModelSummary(VarianceFractions(0.68, 0.29, 0.02, 0.0, 0.01, 0.0), 1.0)
        assert step_record(session, 9).model == recorded_view(session, 9).model == summary
        assert model_text(step_record(session, 12).model) == (
            "Variance: local structure 62 %, brightness trend 35 %, symmetry breaking 3 %, slow variation 0 %, "
            "residual noise 1 %. Network 0 % of distances. Error bars x 1.00"
        )


def test_a_killed_session_is_read_as_it_was_left() -> None:
    with open_session(UNFINISHED) as session:
        assert (session.version, session.count, session.outcome) == (1, 14, None)
        assert session.commands == ((11, ChangeObjective("com_angle", "value", 0.5)),)
        assert session.objective(10).scalarizer.name == "com_magnitude"
        assert session.objective(11).scalarizer.name == "com_angle"
        assert session.plan.exposure.exposure_ms == 10
        assert not session.plan.search.confirm_surprising, "it goes on as it began"
        assert step_record(session, 13).model is not None
        assert step_record(session, 14).model is None


def test_a_killed_session_goes_on_as_the_version_that_wrote_it_would_have(unfinished) -> None:
    interrupted, scalarizers, writer = take_up(unfinished)
    ended = Runner(
        instrument(),
        interrupted.plan,
        lambda event: None,
        scalarizers=scalarizers,
        recorder=writer,
        interrupted=interrupted,
    ).run()
    assert ended.outcome is Outcome.FINISHED
    with open_session(unfinished) as session:
        assert session.columns["candidate"].tolist() == EXPECTED["candidates"]
        assert set(session.readings) == set(EXPECTED["readings"])
        for name, (values, _) in session.readings.items():
            numpy.testing.assert_allclose(values, EXPECTED["readings"][name], rtol=1e-9, atol=1e-9)
        assert (session.version, session.outcome) == (1, Outcome.FINISHED)
        assert all(step_record(session, number).model is not None for number in range(15, 21))


percents = st.integers(0, 100).map(lambda percent: percent / 100)
summaries = st.builds(
    ModelSummary,
    st.none() | st.builds(VarianceFractions, percents, percents, percents, st.just(0.0), percents, percents),
    st.integers(100, 1000).map(lambda hundredths: hundredths / 100),
)


@given(st.none() | summaries)
def test_rounded_numbers_survive_the_words_of_version_1(summary) -> None:
    words = words_of(summary)
    assert summary_from_words(words) == summary
    assert len(words.encode()) <= 200
