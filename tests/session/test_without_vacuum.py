"""A run without vacuum says so wherever it is shown, and keeps the error that its readings have in common."""

from __future__ import annotations

import json
import pathlib

import h5py
import numpy
import pytest

from dkl_ae.export.content import content_of
from dkl_ae.instruments.column_instrument import ColumnInstrument
from dkl_ae.reports.run_tables import events_table
from dkl_ae.run import Event, PointMeasured, ReferenceFound, Runner, StepCompleted, begun, folded, news_text
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.session import SessionWriter, open_session, take_up
from dkl_ae.session.append import clear_writer_mark
from dkl_ae.session.layout import FORMAT_OF_1_10
from dkl_ae.settings import make_plan
from dkl_ae.simulation import VirtualColumn
from tests.support.kept_runs import kept_run
from tests.support.recorded_specimen import instrument
from tests.support.sheets import graphene_sheet
from tests.support.surrogates import NearestNeighbour

PLAN = make_plan(scalarizer="com_x", seed_points=3, model_points=2)
SENTENCE = "No vacuum was found: the reference shows a specimen, and all shifts share an error of "


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> tuple[pathlib.Path, list[Event]]:
    file, events = tmp_path_factory.mktemp("run") / "session.h5", []
    writer = SessionWriter(file, PLAN, SCALARIZERS)
    microscope = ColumnInstrument(VirtualColumn(graphene_sheet(0)))
    Runner(microscope, PLAN, events.append, NearestNeighbour, scalarizers=SCALARIZERS, recorder=writer).run()
    return file, events


def test_it_is_said_as_soon_as_it_is_known(kept) -> None:
    (found,) = (event for event in kept[1] if isinstance(event, ReferenceFound))
    assert f"mrad. {SENTENCE}" in news_text(found, folded(begun(PLAN, SCALARIZERS), found))


def test_it_is_kept_once_and_reported(kept) -> None:
    with open_session(kept[0]) as session:
        notices = [entry for entry in session.log if entry.kind == "notice" and entry.text.startswith(SENTENCE)]
        assert [entry.measured for entry in notices] == [0] or [entry.measured for entry in notices] == [1]
        assert sum(SENTENCE in row[-1] for row in events_table(session).rows) == 1


def test_readings_are_kept_and_exported_with_the_error_that_they_share(kept) -> None:
    measured = [event.measurement for event in kept[1] if isinstance(event, PointMeasured)]
    with open_session(kept[0]) as session:
        for name in SCALARIZERS:
            told = [measurement.readings[name].common_sigma for measurement in measured]
            kept_sigmas = [measurement.readings[name].common_sigma for measurement in session.measurements]
            if name != "principal_component":
                numpy.testing.assert_array_equal(kept_sigmas, told)
        shared = max(session.reference.zero_sigma_mrad)
        assert session.common_sigmas["com_x"] == pytest.approx(shared)
        exported = {column.name: column.values for column in content_of(session).table}
        numpy.testing.assert_array_equal(exported["com_x_common_sigma"], session.common_sigmas["com_x"])
        assert "haadf_common_sigma" not in exported


def test_the_map_of_uncertainty_has_it_and_what_was_expected_has_not(kept) -> None:
    last = [event for event in kept[1] if isinstance(event, StepCompleted)][-1]
    with open_session(kept[0]) as session:
        shared = max(session.reference.zero_sigma_mrad)
        # The nearest neighbour is sure to a thousandth where it has measured.
        assert numpy.nanmin(last.maps.uncertainty) == pytest.approx(numpy.hypot(shared, 1e-3))
        expected = session.columns["uncertainty"][PLAN.search.seed_points :]
        assert numpy.isfinite(expected).all()


def test_a_session_of_before_there_were_common_errors_has_none() -> None:
    with open_session(pathlib.Path(__file__).parents[1] / "data" / "session-1.h5") as session:
        assert not any(values.any() for values in session.common_sigmas.values())
        assert all(len(values) == session.count for values in session.common_sigmas.values())


def test_a_run_goes_on_in_a_file_of_before_there_were_common_errors(tmp_path) -> None:
    """Its columns stay as they are."""
    plan = make_plan(patch_size=5, seed_points=4, model_points=4)
    file, whole = tmp_path / "earlier.h5", tmp_path / "whole.h5"
    kept_run(whole, plan, NearestNeighbour)
    kept_run(file, plan, NearestNeighbour, killed_after=5)
    clear_writer_mark(file)
    with h5py.File(file, "r+", libver=FORMAT_OF_1_10) as opened:
        for group in opened["readings"].values():
            del group["common_sigma"]
        reference = json.loads(opened["reference"].attrs["reference"])
        del reference["zero_sigma_mrad"], reference["is_vacuum"]
        opened["reference"].attrs["reference"] = json.dumps(reference)
    interrupted, scalarizers, writer = take_up(file)
    Runner(
        instrument(),
        plan,
        lambda event: None,
        NearestNeighbour,
        scalarizers=scalarizers,
        recorder=writer,
        interrupted=interrupted,
    ).run()
    with open_session(file) as session, open_session(whole) as other, h5py.File(file) as opened:
        assert [m.proposal for m in session.measurements] == [m.proposal for m in other.measurements]
        assert not any("common_sigma" in group for group in opened["readings"].values())
        assert not any(values.any() for values in session.common_sigmas.values())
