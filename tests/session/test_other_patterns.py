"""What was measured is in the session as it was measured, whatever the camera gave before it."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import tempfile
from typing import Any

import h5py
import numpy
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dkl_ae.instruments import Frame
from dkl_ae.run import Outcome, PointMeasured, Runner
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.session import Session, SessionWriter, open_session, take_up
from dkl_ae.settings import make_plan
from tests.support.kept_runs import kept_run
from tests.support.recorded_specimen import instrument, instrument_that_tells
from tests.support.surrogates import NearestNeighbour

PLAN = make_plan(patch_size=5, seed_points=2, model_points=4, compute_device="cpu")
TYPES = ("?", "u1", "i1", "u2", "i2", ">u2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">f4")
SIDES = st.sampled_from([(4, 5), (4, 5), (4, 5), (4, 5), (3, 7)])
patterns = st.tuples(st.sampled_from(TYPES), SIDES).flatmap(lambda kind: arrays.arrays(*kind))
points = st.lists(st.tuples(patterns, st.lists(patterns, max_size=2)), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def told() -> list[Any]:
    """The events of a run, for others to be made of."""
    with tempfile.TemporaryDirectory() as folder:
        return kept_run(pathlib.Path(folder, "run.h5"), PLAN, NearestNeighbour)


@given(points=points, waiting=st.booleans())
@example(
    points=[(numpy.full((4, 5), 200, "u1"), []), (numpy.linspace(-20, 23995, 20, dtype="f4").reshape(4, 5), [])],
    waiting=False,
)
@example(
    points=[(numpy.full((4, 5), 2**63 - 1), []), (numpy.full((4, 5), 0.5), []), (numpy.ones((4, 5), "u1"), [])],
    waiting=True,
)
def test_every_pattern_is_kept_as_it_was(told, points, waiting) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "run.h5")
        writer = SessionWriter(file, PLAN, {"com_x": SCALARIZERS["com_x"]})
        for event in told[:2]:
            writer.keep(event)
        measured = next(event for event in told if isinstance(event, PointMeasured))
        for number, (pattern, ends) in enumerate(points, start=1):
            frame = dataclasses.replace(measured.frame, pattern=pattern)
            others = tuple(dataclasses.replace(frame, pattern=end) for end in ends)
            event = dataclasses.replace(measured, number=number, frame=frame, ends=others)
            if waiting and number < len(points):
                writer._waiting.append(event)
            else:
                writer.keep(event)
        writer.close()
        with open_session(file) as session:
            assert session.count == len(points)
            for index, (pattern, ends) in enumerate(points):
                kept = session.pattern(index)
                assert kept.shape == pattern.shape
                assert exactly(kept) == exactly(pattern)
                for number, end in enumerate(ends):
                    assert exactly(kept_end(session, index, number)) == exactly(end)
        assert not list(pathlib.Path(folder).glob("*.new"))


def kept_end(session: Session, index: int, end: int) -> numpy.ndarray:
    """As docs/session-format.md tells where it is."""
    beside = f"other_patterns/{index} end {end}"
    return session.opened[beside][()] if beside in session.opened else session.ends(index)[end]


def exactly(pattern: numpy.ndarray) -> list[Any]:
    """Its numbers, which Python compares as they are, whatever their types."""
    return [None if math.isnan(number) else number for number in pattern.ravel().tolist()]


def run_with(file: pathlib.Path, change: Any) -> list[Any]:
    """A run whose camera gives something else from its sixth point on; the others are bytes."""

    def as_told(number: int, frame: Frame) -> Frame:
        counts = numpy.minimum(frame.pattern / 8, 200).astype("u1")
        return dataclasses.replace(frame, pattern=change(counts) if number > 7 else counts)

    events: list[Any] = []
    writer = SessionWriter(file, PLAN, SCALARIZERS)
    Runner(instrument_that_tells(as_told), PLAN, events.append, NearestNeighbour, recorder=writer).run()
    return events


def test_a_camera_that_gives_another_type_goes_on(tmp_path) -> None:
    file = tmp_path / "run.h5"
    events = run_with(file, lambda pattern: pattern.astype("f4") * 100 - 20.5)
    assert events[-1].outcome is Outcome.FINISHED
    with open_session(file) as session, h5py.File(file) as opened:
        assert opened["patterns"].dtype == numpy.float32
        assert opened["patterns"].attrs["units"] == "counts"
        for event in (event for event in events if isinstance(event, PointMeasured)):
            numpy.testing.assert_array_equal(session.pattern(event.number - 1), event.frame.pattern)
        assert len(session.steps["model_s"]) == session.count


def test_a_camera_that_gives_another_size_ends_the_run_and_loses_nothing(tmp_path) -> None:
    file = tmp_path / "run.h5"
    events = run_with(file, lambda pattern: pattern[:30])
    assert events[-1].outcome is Outcome.FAILED
    assert events[-1].message.startswith("The pattern is 30 x 64 pixels but the reference is 64 x 64")
    last = [event for event in events if isinstance(event, PointMeasured)][-1]
    with open_session(file) as session:
        assert session.count == last.number == 4
        numpy.testing.assert_array_equal(session.pattern(3), last.frame.pattern)
    # Once the camera is as it was, the run goes on.
    interrupted, scalarizers, writer = take_up(file)
    ended = Runner(
        instrument(), interrupted.plan, lambda event: None, NearestNeighbour, scalarizers=scalarizers, recorder=writer,
        interrupted=interrupted,
    ).run()  # fmt: skip
    assert ended.outcome is Outcome.FINISHED


def test_without_space_for_wider_patterns_the_run_waits_and_the_file_is_as_it_was(tmp_path, monkeypatch) -> None:
    from dkl_ae.run import NotKeptError

    file = tmp_path / "run.h5"
    events = kept_run(tmp_path / "other.h5", PLAN, NearestNeighbour)
    writer = SessionWriter(file, PLAN, SCALARIZERS)
    full = True

    def usage(path: pathlib.Path) -> Any:
        return dataclasses.make_dataclass("Usage", ["free"])(0 if full else 2**40)

    for event in events:
        if isinstance(event, PointMeasured) and event.number == 4:
            wide = dataclasses.replace(event, frame=dataclasses.replace(event.frame, pattern=event.frame.pattern + 0.5))
            with monkeypatch.context() as patched:
                patched.setattr("dkl_ae.session.other_patterns.shutil.disk_usage", usage)
                with pytest.raises(NotKeptError, match="no space left on the disk"):
                    writer.keep(wide)
                with open_session(file) as session:
                    assert session.count == 3
                full = False
                writer.keep_waiting()
        else:
            writer.keep(event)
    writer.close()
    with open_session(file) as session:
        assert session.count == PLAN.search.points
        numpy.testing.assert_array_equal(session.pattern(3), wide.frame.pattern)
