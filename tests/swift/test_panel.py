"""The panel drives the simulated microscopes, in trouble too, and keeps what it measured."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
from nion.instrumentation import stem_controller
from nion.utils import Geometry

from dkl_ae.records import UserError
from dkl_ae.session import open_session
from nionswift_plugin.dkl_ae_ui import microscope
from nionswift_plugin.dkl_ae_ui.microscope import instrument
from nionswift_plugin.dkl_ae_ui.project.live import LiveItems
from nionswift_plugin.dkl_ae_ui.project.record import RunRecord
from nionswift_plugin.dkl_ae_ui.run_panel.handler import Handler
from nionswift_plugin.dkl_ae_usim.camera import PatternDetector
from tests.support.panel_runs import (
    ROLES,
    columns_of,
    items_of,
    measured,
    record_survey,
    run_to_end,
    run_to_step,
    select,
)
from tests.support.swift_in_process import happens, pump

pytestmark = pytest.mark.swift


def test_a_saved_model_starts_another_run_without_seeds(simulator, open_panel, tmp_path) -> None:
    handler = open_panel(simulator)
    assert not handler.save_model_button.enabled
    run_to_end(simulator, handler)
    assert handler.save_model_button.enabled
    (tmp_path / "no folder").touch()
    handler.save_model(tmp_path / "no folder" / "graphene")
    assert handler.message.value.startswith("The model cannot be saved as ")
    handler.save_model(tmp_path / "graphene")
    assert handler.message.value == "Saved graphene.dklmodel: a later run can start from it."
    handler.set_text("pretrained", str(tmp_path / "graphene.dklmodel"))
    handler.set_text("seed_points", "0")
    run_to_end(simulator, handler)
    assert handler.message.value == "Finished: 3 points measured."
    maps = items_of(simulator)["maps"]
    assert maps.data.shape[0] == 3
    assert numpy.isfinite(maps.data).all()


def test_the_beam_is_on_only_while_something_is_exposed(simulator, open_panel, monkeypatch) -> None:
    instrument = simulator.instrument
    log: list[tuple[str, Any]] = []
    set_val, set_probe = instrument.SetVal, instrument.set_probe_position

    def logged_set_val(name: str, value: float) -> bool:
        if name == "C_Blank":
            log.append(("blank", value))
        return set_val(name, value)

    def logged_set_probe(position: Any) -> None:
        log.append(("move", instrument.GetVal("C_Blank")))
        set_probe(position)

    monkeypatch.setattr(instrument, "SetVal", logged_set_val)
    monkeypatch.setattr(instrument, "set_probe_position", logged_set_probe)
    handler = open_panel(simulator)
    run_to_end(simulator, handler)
    unblanked = [i for i, entry in enumerate(log) if entry == ("blank", 0.0)]
    assert len(unblanked) == 1 + 4 + 6  # survey, reference, points
    assert all(log[i + 1] == ("blank", 1.0) for i in unblanked)
    assert all(value == 1.0 for what, value in log if what == "move")
    assert instrument.GetVal("C_Blank") == 1.0


def test_the_scan_is_left_as_it_was_found(nion_simulator, open_panel) -> None:
    scan, stem = nion_simulator.scan_hardware_source, nion_simulator.instrument
    scan.set_enabled_channels([0, 2])
    stem.set_probe_position(Geometry.FloatPoint(0.25, 0.75))
    parameters = scan.get_current_frame_parameters().as_dict()
    # Swift itself writes the rotation of no subscan into parameters that are set.
    parameters.setdefault("subscan_rotation", 0.0)
    handler = open_panel(nion_simulator, channel="1", exposure_ms="20")
    run_to_end(nion_simulator, handler)
    assert handler.message.value == "Finished: 6 points measured."
    assert list(scan.get_enabled_channel_indexes()) == [0, 2]
    assert scan.get_current_frame_parameters().as_dict() == parameters
    assert stem.probe_position == Geometry.FloatPoint(0.25, 0.75)
    assert not scan.is_playing


def test_views_that_play_are_stopped_for_the_run(simulator, open_panel) -> None:
    simulator.scan_hardware_source.start_playing()
    simulator.camera_hardware_source.start_playing()
    pump(simulator, lambda: simulator.camera_hardware_source.is_playing)
    handler = open_panel(simulator)
    run_to_end(simulator, handler)
    assert handler.message.value == "Finished: 6 points measured."


def test_the_same_seed_takes_the_same_path(simulator, open_panel) -> None:
    handler = open_panel(simulator, random_seed="7")
    paths = []
    for _ in range(2):
        run_to_end(simulator, handler)
        paths.append(numpy.array(items_of(simulator)["measurements"].xdata.data)[:3, 1:3])
    numpy.testing.assert_array_equal(*paths)


@pytest.mark.parametrize("scalarizer", ["com_angle", "bf", "entropy"])
def test_a_scalarizer_of_each_kind_can_drive(simulator, open_panel, scalarizer) -> None:
    handler = open_panel(simulator, scalarizer=scalarizer)
    run_to_end(simulator, handler)
    assert handler.message.value == "Finished: 6 points measured."


def test_readings_that_are_known_later_are_filled_in(simulator, open_panel) -> None:
    """The principal component is that of the first eight patterns."""
    handler = open_panel(simulator, model_points="6", scalarizer="principal_component")
    run_to_end(simulator, handler)
    items = items_of(simulator)
    rows = numpy.array(items["measurements"].xdata.data)
    assert len(rows) > 8
    assert numpy.isfinite(rows[:, columns_of(items).index("principal_component")]).all()
    assert numpy.isfinite(items["readings"].data).all()


def test_the_selected_frame_of_the_last_scan_serves_as_survey(simulator, open_panel) -> None:
    scan = simulator.scan_hardware_source
    frame = record_survey(simulator)
    exposures_before = scan.record_index
    item = next(i for i in simulator.document_model.data_items if "HAADF" in i.title)
    select(simulator, item)
    handler = open_panel(simulator, survey_source="selected")
    run_to_end(simulator, handler)
    assert handler.message.value == "Finished: 6 points measured."
    assert scan.record_index == exposures_before
    numpy.testing.assert_array_equal(items_of(simulator)["survey"].data, frame)


def test_a_selected_item_of_another_scan_is_refused(simulator, open_panel) -> None:
    record_survey(simulator)
    item = next(i for i in simulator.document_model.data_items if "HAADF" in i.title)
    select(simulator, item)
    scan = simulator.scan_hardware_source
    parameters = scan.get_current_frame_parameters()
    parameters.fov_nm = 1.5
    scan.set_current_frame_parameters(parameters)
    handler = open_panel(simulator, survey_source="selected")
    run_to_end(simulator, handler)
    assert handler.message.value.startswith("The selected data item shows 4 nm in 64 x 64 px but the scan is now")
    assert simulator.instrument.GetVal("C_Blank") == 1.0


def test_without_a_selected_item_the_panel_says_what_to_do(simulator, open_panel) -> None:
    handler = open_panel(simulator, survey_source="selected")
    handler.start_button.on_clicked()
    assert handler.message.value.startswith("No data item is selected: select the frame")
    assert handler.idle.value


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ({"patch_size": "65"}, "The patch size is 65 px but the survey is 64 x 64 px: choose a smaller"),
        (
            {"patch_size": "61", "seed_points": "15", "model_points": "2"},
            "The run asks for 15 seed points and 2 model points but the survey has 16 candidates: ask for fewer",
        ),
    ],
)
def test_what_a_survey_has_no_room_for_is_refused_before_it_is_acquired(simulator, open_panel, texts, sentence) -> None:
    handler = open_panel(simulator, **texts)
    run_to_end(simulator, handler)
    assert handler.message.value.startswith(sentence)
    assert simulator.instrument.GetVal("C_Blank") == 1.0
    assert not items_of(simulator)


def test_a_survey_without_beam_is_refused(simulator, open_panel) -> None:
    simulator.instrument.SetVal("BeamCurrent", 0.0)
    handler = open_panel(simulator)
    run_to_end(simulator, handler)
    assert handler.message.value.startswith("Every pixel of the survey is 0: check that the beam is on")


def test_stop_keeps_what_was_measured(simulator, open_panel) -> None:
    handler = open_panel(simulator, model_points="200")
    run_to_step(simulator, handler, 5)
    handler.stop_button.on_clicked()
    pump(simulator, lambda: handler.idle.value)
    assert handler.message.value == "Stopped: everything measured so far is saved."
    assert simulator.instrument.GetVal("C_Blank") == 1.0
    assert set(items_of(simulator)) == ROLES
    assert 5 <= measured(simulator) < 203


def test_a_run_that_ends_before_the_model_speaks_is_as_complete(simulator, open_panel) -> None:
    handler = open_panel(simulator, seed_points="100")
    run_to_step(simulator, handler, 2)
    handler.stop_button.on_clicked()
    pump(simulator, lambda: handler.idle.value)
    items = items_of(simulator)
    assert set(items) == ROLES
    assert [c.units for c in items["maps"].dimensional_calibrations] == ["", "", "nm", "nm"]
    assert items["patterns"].intensity_calibration.units == "counts"


def test_stop_breaks_off_a_long_exposure(simulator, open_panel) -> None:
    handler = open_panel(simulator, exposure_ms="20000")
    handler.start_button.on_clicked()
    pump(simulator, lambda: simulator.camera_hardware_source.is_recording)
    start = time.monotonic()
    handler.stop_button.on_clicked()
    pump(simulator, lambda: handler.idle.value)
    assert time.monotonic() - start < 10
    assert handler.message.value == "Stopped: everything measured so far is saved."
    assert simulator.instrument.GetVal("C_Blank") == 1.0


def test_a_pause_holds_the_run_with_the_beam_blanked(simulator, open_panel) -> None:
    handler = open_panel(simulator, model_points="200")
    run_to_step(simulator, handler, 4)
    handler.pause_button.on_clicked()
    pump(simulator, lambda: handler.message.value == "Paused, the beam is blanked.")
    assert simulator.instrument.GetVal("C_Blank") == 1.0
    held = measured(simulator)
    # A step takes a tenth of that.
    assert not happens(simulator, lambda: measured(simulator) > held, within_s=0.5)
    handler.pause_button.on_clicked()
    pump(simulator, lambda: measured(simulator) > held)
    handler.stop_button.on_clicked()
    pump(simulator, lambda: handler.idle.value)


def test_a_camera_that_fails_ends_the_run_and_keeps_what_was_measured(simulator, open_panel, monkeypatch) -> None:
    handler = open_panel(simulator, model_points="200")
    run_to_step(simulator, handler, 5)

    def fail(*args: Any, **named: Any) -> Any:
        raise RuntimeError("the detector lost its cooling")

    monkeypatch.setattr(simulator.camera_hardware_source.camera, "acquire_sequence_begin", fail)
    pump(simulator, lambda: handler.idle.value)
    assert "4D-STEM Simulator Camera" in handler.message.value
    assert "then start again" in handler.message.value
    assert simulator.instrument.GetVal("C_Blank") == 1.0
    assert set(items_of(simulator)) == ROLES
    assert 5 <= measured(simulator) < 203


def test_a_camera_that_hangs_ends_the_run(simulator, open_panel, monkeypatch) -> None:
    handler = open_panel(simulator, model_points="200")
    run_to_step(simulator, handler, 2)
    released = threading.Event()
    get_frame_data = PatternDetector.get_frame_data

    def hang(*args: Any) -> Any:
        released.wait(30)
        return get_frame_data(*args)

    monkeypatch.setattr(PatternDetector, "get_frame_data", hang)
    pump(simulator, lambda: handler.message.value.startswith("4D-STEM Simulator Camera gave no data within 5.0 s"))
    released.set()
    pump(simulator, lambda: handler.idle.value)
    assert simulator.instrument.GetVal("C_Blank") == 1.0
    assert 2 <= measured(simulator) < 203


def test_a_slow_window_does_not_put_the_probe_back(simulator, open_panel, monkeypatch) -> None:
    """Swift's probe graphic writes its position back to the probe: a late echo is that of the place before."""
    stem = simulator.instrument

    def slow_update(view: Any, graphic: Any) -> None:
        position = stem.probe_position
        time.sleep(0.05)  # slowness is what is tried: nothing is waited for
        if position and graphic.position != position:
            graphic.position = position

    monkeypatch.setattr(stem_controller.ProbeView, "_update_graphic", slow_update)
    handler = open_panel(simulator)
    run_to_end(simulator, handler)
    assert handler.message.value == "Finished: 6 points measured."


def test_a_beam_that_is_lost_ends_the_run(simulator, open_panel) -> None:
    handler = open_panel(simulator, model_points="200")
    run_to_step(simulator, handler, 5)
    simulator.instrument.SetVal("BeamCurrent", 0.0)
    pump(simulator, lambda: handler.idle.value)
    assert handler.message.value.startswith("The last 3 patterns cannot be read: beam is off or blocked: 0 counts, 1,8")


def test_a_second_start_is_refused(simulator, open_panel) -> None:
    first = open_panel(simulator, model_points="200")
    second = open_panel(simulator)
    first.start_button.on_clicked()
    first.start_clicked(None)
    assert first.message.value.startswith("A run is under way already")
    second.start_button.on_clicked()
    assert second.message.value.startswith("A run is under way already")
    assert not first.start_button.enabled
    first.stop_button.on_clicked()
    pump(simulator, lambda: first.idle.value)


def test_a_recording_under_way_is_respected(simulator, open_panel) -> None:
    camera = simulator.camera_hardware_source
    parameters = camera.get_current_frame_parameters()
    parameters.exposure_ms = 3000
    camera.start_recording(frame_parameters=parameters)
    handler = open_panel(simulator)
    handler.start_button.on_clicked()
    assert handler.message.value.startswith("4D-STEM Simulator Camera is recording: wait until it has finished")
    assert handler.idle.value
    assert camera.is_recording
    assert simulator.instrument.GetVal("C_Blank") == 0.0, "the beam is another's"
    camera.abort_recording(sync_timeout=5)


@pytest.mark.parametrize(
    ("missing", "nothing", "sentence"),
    [
        ("instruments", [], "Swift has no microscope: connect one or install a simulated one, then restart Swift."),
        ("cameras_of", [], "The microscope 'dkl_ae_stem' has no camera: connect one, or choose another microscope."),
        ("scan_of", None, "The microscope 'dkl_ae_stem' has no scan: choose another in the panel."),
    ],
)
def test_what_is_not_there_is_said_at_start(simulator, open_panel, monkeypatch, missing, nothing, sentence) -> None:
    handler = open_panel(simulator)
    monkeypatch.setattr(microscope, missing, lambda *stem: nothing)
    handler.start_button.on_clicked()
    assert handler.message.value == sentence
    assert handler.idle.value


def test_a_camera_that_went_away_is_named(simulator, open_panel, monkeypatch) -> None:
    handler = open_panel(simulator)
    other = SimpleNamespace(hardware_source_id="other", display_name="Other")
    monkeypatch.setattr(microscope, "cameras_of", lambda stem: [other])
    handler.start_button.on_clicked()
    assert handler.message.value == (
        "The camera 'dkl_ae_ronchigram' is not there any more: choose another in the panel."
    )


def test_without_a_blanker_the_probe_waits_in_the_corner_and_the_panel_says_so(
    simulator, open_panel, monkeypatch
) -> None:
    monkeypatch.setattr(instrument, "BLANKER", "C_Another")
    handler = open_panel(simulator)
    handler.start_button.on_clicked()
    assert handler.message.value.startswith("This microscope has no control C_Another: between exposures the probe")
    pump(simulator, lambda: handler.idle.value)
    assert handler.message.value == "Finished: 6 points measured."
    assert simulator.instrument.probe_position == Geometry.FloatPoint(0, 0)


def test_closing_the_panel_during_a_run_ends_it_safely(simulator, open_panel) -> None:
    handler = open_panel(simulator, model_points="200")
    run_to_step(simulator, handler, 5)
    handler.close()
    assert simulator.instrument.GetVal("C_Blank") == 1.0
    assert not any(thread.name == "dkl-ae run" for thread in threading.enumerate())
    assert measured(simulator) >= 5
    assert set(items_of(simulator)) == ROLES


def test_settings_are_remembered(simulator, open_panel, monkeypatch) -> None:
    # Swift's test window forgets what the real one writes to a file.
    stored: dict[str, str] = {}
    ui = simulator.document_controller.ui
    monkeypatch.setattr(ui, "get_persistent_string", stored.get)
    monkeypatch.setattr(ui, "set_persistent_string", stored.__setitem__)
    handler = open_panel(simulator)
    handler.random_seed_edit.on_text_edited("15")
    handler.scalarizer_combo.on_current_index_changed(5)
    again = open_panel(simulator)
    assert again.random_seed_edit.text == "15"
    assert again.scalarizer_combo.current_item.startswith("Virtual ABF")


@pytest.mark.parametrize("stored", ["", "no json", "[]", '{"patch_size": "12"}', '{"scalarizer": "gone"}'])
def test_what_cannot_be_remembered_is_forgotten(simulator, open_panel, monkeypatch, stored) -> None:
    monkeypatch.setattr(simulator.document_controller.ui, "get_persistent_string", lambda *args: stored)
    handler = open_panel(simulator)
    assert handler.scalarizer_combo.current_item == "CoM magnitude (mrad)"
    assert handler.message.value == "Ready."


def test_the_same_panel_drives_nions_own_simulator(nion_simulator, open_panel) -> None:
    handler = open_panel(nion_simulator, exposure_ms="20")
    run_to_end(nion_simulator, handler)
    assert handler.message.value == "Finished: 6 points measured."
    assert set(items_of(nion_simulator)) == ROLES
    assert nion_simulator.instrument.GetVal("C_Blank") == 1.0


TOLD = "The program failed unexpectedly (ValueError: operands could not be broadcast together with shapes (3,) (4,))"
ADVICE = "The specimen is gone: put it back, then start again."


def program_failure(*arguments: Any) -> None:
    numpy.zeros(3) + numpy.zeros(4)


def refusal(*arguments: Any) -> None:
    raise UserError(ADVICE)


def fails_once(method: Any, failure: Any) -> Any:
    """The method, but that it fails when it is called for the second time."""
    calls: list[None] = []

    def failing(*arguments: Any) -> Any:
        calls.append(None)
        if len(calls) == 2:
            failure()
        return method(*arguments)

    return failing


@pytest.mark.parametrize(("failure", "told", "logged"), [(program_failure, TOLD, 1), (refusal, ADVICE, 0)])
@pytest.mark.parametrize("place", [(Handler, "_news"), (RunRecord, "keep"), (LiveItems, "visit")])
def test_what_fails_in_the_panel_is_told_and_the_run_goes_on(
    simulator, open_panel, monkeypatch, caplog, place, failure, told, logged
) -> None:
    """In what it says, in what it keeps in Swift's project, and in what it shows."""
    monkeypatch.setattr(*place, fails_once(getattr(*place), failure))
    handler = open_panel(simulator)
    sentences: list[str] = []
    tell = handler._tell
    monkeypatch.setattr(handler, "_tell", lambda sentence: (sentences.append(sentence), tell(sentence)))
    run_to_end(simulator, handler)
    (sentence,) = [sentence for sentence in sentences if sentence.startswith(told)]
    assert sentence == ADVICE or sentence.endswith("see the log for details.")
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ValueError] * logged
    assert handler.message.value == "Finished: 6 points measured."
    assert simulator.instrument.GetVal("C_Blank") == 1.0
    with open_session(handler.session_file) as session:
        assert session.count == 6


def test_what_fails_in_the_model_is_told_by_the_panel(simulator, open_panel, monkeypatch, caplog) -> None:
    monkeypatch.setattr("dkl_ae.model.ReadingModel.fit", program_failure)
    handler = open_panel(simulator)
    run_to_end(simulator, handler)
    assert handler.message.value == f"{TOLD}: everything measured so far is saved; see the log for details."
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ValueError]
    assert simulator.instrument.GetVal("C_Blank") == 1.0
    with open_session(handler.session_file) as session:
        assert session.count == measured(simulator) == 3
