"""What a user does to the microscope during a run: noticed, told, kept, not learned from; the run waits and goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy
import pytest
from nion.utils import Geometry

from dkl_ae.session import Session, open_session
from nionswift_plugin.dkl_ae_usim.camera import PatternDetector
from tests.support.panel_runs import measured, run_to_step
from tests.support.swift_in_process import happens, pump

pytestmark = pytest.mark.swift

POINTS = 12
GOES_ON = "leave it to the run, which sets it back. Then press Resume."


def set_scan(context: Any, name: str, value: Any) -> None:
    scan = context.scan_hardware_source
    parameters = scan.get_current_frame_parameters()
    setattr(parameters, name, value)
    scan.set_current_frame_parameters(parameters)


def pumped_to_message(context: Any, handler: Any, beginning: str) -> str:
    pump(context, lambda: handler.message.value.startswith(beginning) or handler.idle.value)
    assert handler.message.value.startswith(beginning)
    return str(handler.message.value)


def finished(context: Any, handler: Any) -> Session:
    """Press Resume; the session of the run, which has come to its end."""
    handler.pause_button.on_clicked()
    pump(context, lambda: handler.idle.value)
    assert handler.message.value == f"Finished: {POINTS} points measured."
    assert context.instrument.GetVal("C_Blank") == 1.0
    session = open_session(handler.session_file)
    assert session.count == POINTS
    return session


def require_kept_and_not_learned(session: Session, reason: str) -> None:
    """At most one point was exposed meanwhile: it has a pattern and no reading, and says why."""
    unread = [m for m in session.measurements if not any(numpy.isfinite(r.value) for r in m.readings.values())]
    assert len(unread) <= 1
    for measurement in unread:
        assert {reading.reason for reading in measurement.readings.values()} == {reason}


@pytest.fixture
def running(simulator, open_panel) -> Any:
    handler = open_panel(simulator, seed_points=str(POINTS), model_points="0")
    run_to_step(simulator, handler, 2)
    return handler


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("fov_nm", 12.0, "field of view from 4 nm to 12 nm"),
        ("rotation_rad", 0.2, "rotation from 0 ° to 11.46 °"),
        ("center_nm", Geometry.FloatPoint(0.0, 0.5), "centre in x from 0 nm to 0.5 nm"),
        ("pixel_size", Geometry.IntSize(32, 64), "height from 64 px to 32 px"),
    ],
)
def test_a_scan_that_is_set_otherwise_holds_the_run_which_sets_it_back(simulator, running, name, value, told) -> None:
    """Positions are fractions of the scan as it is set now: they would be other places."""
    before = getattr(simulator.scan_hardware_source.get_current_frame_parameters(), name)
    set_scan(simulator, name, value)
    message = pumped_to_message(simulator, running, "The scan was changed since the survey")
    assert message == f"The scan was changed since the survey ({told}): {GOES_ON}"
    assert simulator.instrument.GetVal("C_Blank") == 1.0
    held = measured(simulator)
    assert not happens(simulator, lambda: measured(simulator) > held, within_s=0.5)
    with finished(simulator, running) as session:
        require_kept_and_not_learned(session, message.removesuffix(" Then press Resume."))
        assert [entry.text for entry in session.log if entry.kind == "paused"] == [
            message.removesuffix(" Then press Resume.")
        ]
    assert getattr(simulator.scan_hardware_source.get_current_frame_parameters(), name) == before


@pytest.mark.parametrize(
    ("control", "factor", "told"),
    [
        ("EHT", 0.5, "high tension from 70 kV to 35 kV"),
        ("ConvergenceAngle", 0.8, "convergence angle from 30 mrad to 24 mrad"),
    ],
)
def test_a_column_that_is_set_otherwise_holds_the_run_until_its_user_sets_it_back(
    simulator, running, control, factor, told
) -> None:
    before = simulator.instrument.GetVal(control)
    assert simulator.instrument.SetVal(control, before * factor)
    message = pumped_to_message(simulator, running, "The column was changed")
    assert message == (
        f"The column was changed since the survey ({told}): set it back, or stop and start again. Then press Resume."
    )
    running.pause_button.on_clicked()
    pump(simulator, lambda: not running.status.paused)
    pump(simulator, lambda: running.status.paused)
    assert running.message.value == message, "it is as it was, and so is the sentence"
    assert simulator.instrument.SetVal(control, before)
    finished(simulator, running).close()


@pytest.fixture
def disturb(monkeypatch) -> Callable[..., None]:
    """Does something within the next exposure, and lets it go on then."""
    exposing, disturbed, is_next = threading.Event(), threading.Event(), threading.Event()
    get_frame_data = PatternDetector.get_frame_data

    def expose_until_disturbed(*args: Any) -> Any:
        if is_next.is_set():
            is_next.clear()
            exposing.set()
            disturbed.wait(30)
        return get_frame_data(*args)

    monkeypatch.setattr(PatternDetector, "get_frame_data", expose_until_disturbed)

    def act(context: Any, what: Callable[[], None]) -> None:
        is_next.set()
        pump(context, exposing.is_set)
        what()
        disturbed.set()

    return act


@pytest.mark.parametrize("number", [0, 2])
def test_a_probe_that_is_dragged_is_noticed(simulator, open_panel, disturb, number) -> None:
    """In the reference's exposures, before there are points, too."""
    handler = open_panel(simulator, seed_points=str(POINTS), model_points="0")
    handler.start_button.on_clicked()
    pump(simulator, lambda: handler.status.survey is not None and handler.status.number >= number)
    disturb(simulator, lambda: simulator.instrument.set_probe_position(Geometry.FloatPoint(0.9, 0.9)))
    message = pumped_to_message(simulator, handler, "The probe was moved")
    assert message == f"The probe was moved during the exposure: {GOES_ON}"
    with finished(simulator, handler) as session:
        require_kept_and_not_learned(session, message.removesuffix(" Then press Resume."))


def test_a_probe_that_is_taken_away_is_noticed(simulator, running, disturb) -> None:
    """As by deleting its graphic."""
    disturb(simulator, lambda: simulator.instrument.set_probe_position(None))
    message = pumped_to_message(simulator, running, "The probe was taken")
    assert message == f"The probe was taken off the survey during the exposure: {GOES_ON}"
    finished(simulator, running).close()


@pytest.mark.parametrize("recorded", [False, True])
def test_a_scan_within_an_exposure_is_noticed(simulator, running, disturb, recorded) -> None:
    scan = simulator.scan_hardware_source

    def scan_now() -> None:
        if recorded:
            scan.start_recording(frame_parameters=scan.get_current_frame_parameters())
        else:
            scan.start_playing()
        pump(simulator, lambda: simulator.instrument.probe_state == "scanning")

    disturb(simulator, scan_now)
    message = pumped_to_message(simulator, running, "The scan ran")
    assert message == f"The scan ran during the exposure: {GOES_ON}"
    with finished(simulator, running) as session:
        require_kept_and_not_learned(session, message.removesuffix(" Then press Resume."))
    assert not scan.is_playing


def test_a_scan_that_is_played_between_exposures_is_told_as_what_it_is(simulator, running) -> None:
    """And not as a window that does not answer."""
    simulator.scan_hardware_source.start_playing()
    message = pumped_to_message(simulator, running, "The scan")
    assert message in {
        f"The scan was started during the run: {GOES_ON}",
        f"The scan ran during the exposure: {GOES_ON}",
    }
    finished(simulator, running).close()


def test_a_run_that_waits_is_stopped_as_any_other(simulator, running) -> None:
    set_scan(simulator, "fov_nm", 12.0)
    pumped_to_message(simulator, running, "The scan was changed")
    running.stop_button.on_clicked()
    pump(simulator, lambda: running.idle.value)
    assert running.message.value == "Stopped: everything measured so far is saved."
    assert simulator.instrument.GetVal("C_Blank") == 1.0
