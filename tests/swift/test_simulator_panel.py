"""The panel "4D-STEM Simulator", and replays that go through the same devices as specimens."""

from __future__ import annotations

import json
import pathlib
import time
from typing import Any

import ase.build
import ase.io
import h5py
import numpy
import pytest
import scipy.constants

from dkl_ae.settings import make_plan

pytest.importorskip("nion.instrumentation")

from nion.instrumentation.test import AcquisitionTestContext
from nion.utils import Geometry, Registry

from dkl_ae.instruments.column_instrument import ColumnInstrument
from dkl_ae.recordings import open_recording
from dkl_ae.records import Measurement
from dkl_ae.run import Event, Outcome, PointMeasured, ReadingsRevised, RunEnded, Runner
from dkl_ae.session import open_session
from dkl_ae.simulation import (
    PRESETS,
    Camera,
    ImageSimulator,
    PatternSimulator,
    ReplayColumn,
    VirtualColumn,
    graphene_with_silicon,
)
from nionswift_plugin.dkl_ae_kit import SIMULATOR_ID
from nionswift_plugin.dkl_ae_usim import configuration
from nionswift_plugin.dkl_ae_usim.panel import simulator_panel
from nionswift_plugin.dkl_ae_usim.settings import REAL_CAMERA, SimulatorSettings
from tests.support.swift_in_process import in_thread, pattern_at, pump, record, survey

pytestmark = pytest.mark.swift


@pytest.fixture
def panel(simulator: Any) -> Any:
    """The simulator's panel on the simulated microscope of the context."""
    panel = simulator_panel(simulator.configuration).open(simulator.document_controller)
    yield panel.handler
    panel.close()


def load(handler: Any, **texts: str) -> None:
    for name, text in texts.items():
        handler.set_text(name, text)
    handler.load_button.on_clicked()


@pytest.fixture(scope="session")
def recorded_file(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A noise-free recording of graphene, 24 x 26 pixels, stored as this project's sets are."""
    file = tmp_path_factory.mktemp("recording") / "graphene.h5"
    specimen = graphene_with_silicon(seed=4)
    y0, x0 = specimen.sites["3-fold silicon 1"]
    step = 0.03
    rows, columns = y0 + step * (numpy.arange(24) - 12), x0 + step * (numpy.arange(26) - 13)
    patterns = PatternSimulator(specimen)
    stack = numpy.array([patterns.patterns(numpy.full(26, y), columns) for y in rows])
    scale = float(numpy.sqrt(stack.max())) / 65535
    with h5py.File(file, "w") as opened:
        opened["patterns_code"] = numpy.round(numpy.sqrt(stack) / scale).astype(numpy.uint16)
        opened["patterns_code"].attrs["scale"] = scale
        opened["haadf"] = ImageSimulator(specimen).image("HAADF", rows[:, None], columns)
        opened.attrs["metadata"] = json.dumps({"scan_step_A": 10 * step, "detector_mrad_per_px": 2.5})
    return file


@pytest.mark.parametrize("name", PRESETS)
def test_each_specimen_can_be_loaded_scanned_and_exposed(simulator: Any, panel: Any, name: str) -> None:
    load(panel, specimen=name)
    column = simulator.instrument.column
    assert panel.message.value.startswith(f"Loaded: {column.name}, ")
    assert column.optics == PRESETS[name].optics
    image = survey(simulator, pixel_time_us=5.0)
    assert image.shape == (128, 128)
    frame = record(simulator)
    assert frame.data.shape == column.detector_shape
    assert frame.dimensional_calibrations[0].scale == pytest.approx(column.mrad_per_pixel[0] * 1e-3)
    assert frame.data.sum() == pytest.approx(30e-12 * 1e-3 / scipy.constants.elementary_charge, rel=0.1)


def test_the_loaded_specimen_has_the_dose_and_the_seed_that_were_typed(simulator: Any, panel: Any) -> None:
    load(panel, specimen="graphene-si", beam_current_pa="60", seed="7", drift_x_nm_per_s="0.1", damage_barn="3")
    assert simulator.instrument.GetVal("BeamCurrent") == pytest.approx(60e-12)
    expected = graphene_with_silicon(seed=7)
    numpy.testing.assert_array_equal(simulator.instrument.column.specimen.atoms_angstrom, expected.atoms_angstrom)
    survey(simulator)
    frame = record(simulator, exposure_ms=10).data
    assert frame.sum() == pytest.approx(60e-12 * 10e-3 / scipy.constants.elementary_charge, rel=0.02)


def test_a_structure_file_is_loaded(simulator: Any, panel: Any, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "ball.xyz"
    ase.io.write(file, ase.build.molecule("C60"))
    load(panel, specimen="structure-file", file=str(file))
    assert panel.message.value.startswith("Loaded: ball, 1.69 x 1.69 nm")
    assert survey(simulator).max() > 0


def test_what_cannot_work_is_said_at_once_and_not_loaded(simulator: Any, panel: Any, tmp_path: pathlib.Path) -> None:
    before = simulator.instrument.column
    for texts, message in (
        ({"beam_current_pa": "-1"}, "The beam current is -1 pA: choose zero or a positive number."),
        ({"beam_current_pa": "much"}, "The beam current is 'much': type a number such as 30."),
        ({"beam_current_pa": "30", "drift_x_nm_per_s": "inf"}, "The drift along x is inf nm/s: choose a number."),
        ({"drift_x_nm_per_s": "0", "damage_barn": "-2"}, "The damage is -2 barn: choose zero or a positive number."),
        ({"damage_barn": "0", "seed": "1.5"}, "The seed is '1.5': type a whole number such as 0."),
        ({"seed": "0", "specimen": "recording"}, "No file is chosen: type its name or press Browse."),
    ):
        for name, text in texts.items():
            panel.set_text(name, text)
        assert panel.message.value == message
        assert not panel.can_load.value
    panel.set_text("file", str(tmp_path / "none.h5"))
    assert panel.can_load.value
    panel.load_button.on_clicked()
    assert panel.message.value == f"There is no file {tmp_path / 'none.h5'}: check its name."
    assert simulator.instrument.column is before


def test_nothing_is_loaded_while_the_camera_records(simulator: Any, panel: Any) -> None:
    before = simulator.instrument.column
    camera = simulator.camera_hardware_source
    parameters = camera.get_frame_parameters(0)
    parameters.exposure_ms = 400
    task = camera.start_recording(frame_parameters=parameters)
    load(panel, specimen="mnps3")
    assert panel.message.value == (
        "4D-STEM Simulator Camera is recording: wait until it has finished, then load again."
    )
    assert simulator.instrument.column is before
    in_thread(simulator, lambda: task.grab_xdatas(timeout=5))


def test_nothing_is_loaded_during_an_automated_experiment(simulator: Any, panel: Any, open_panel: Any) -> None:
    experiment = open_panel(simulator, model_points="50")
    experiment.start_button.on_clicked()
    pump(simulator, lambda: experiment.progress.value > 0)
    load(panel, specimen="mnps3")
    assert panel.message.value == "An automated experiment is running: stop it, then load again."
    experiment.stop_button.on_clicked()
    pump(simulator, lambda: experiment.idle.value)
    panel.load_button.on_clicked()
    assert panel.message.value.startswith("Loaded: MnPS3")


def test_live_views_end_and_the_scan_shows_the_new_field(simulator: Any, panel: Any) -> None:
    scan, camera = simulator.scan_hardware_source, simulator.camera_hardware_source
    scan.start_playing()
    camera.start_playing()
    pump(simulator, lambda: scan.is_playing and camera.is_playing)
    load(panel, specimen="bilayer-strain")
    pump(simulator, lambda: not scan.is_playing and not camera.is_playing)
    for profile in range(3):
        assert scan.get_frame_parameters(profile).fov_nm == pytest.approx(11.2)
    assert simulator.instrument.GetVal("ConvergenceAngle") == pytest.approx(5e-3)


def test_the_probe_is_parked_on_a_named_place(simulator: Any, panel: Any) -> None:
    panel.park_button.on_clicked()
    assert panel.message.value.startswith("No place is chosen")
    survey(simulator, rotation_rad=0.4)
    for name in ("3-fold silicon 2", "hole"):
        panel.site_index.value = panel.site_labels.value.index(name)
        panel.park_button.on_clicked()
        assert panel.message.value == f"The probe is parked: {name}."
        instrument = simulator.instrument
        expected = instrument.column.patterns.pattern(*instrument.column.specimen.sites[name])
        seen = record(simulator, exposure_ms=10).data / (30e-12 * 10e-3 / scipy.constants.elementary_charge)
        assert numpy.abs(seen - expected).sum() < 0.05
    survey(simulator, fov_nm=0.5, rotation_rad=0.0)
    panel.park_button.on_clicked()
    assert panel.message.value == "The hole is outside the present scan: scan the whole field, then park again."


def mean_pattern(simulator: Any, y: float, x: float) -> Any:
    """Of so many exposures that the noise of counting is small beside the descan."""
    return numpy.mean([pattern_at(simulator, y, x, exposure_ms=10) for _ in range(16)], axis=0)


def test_a_camera_with_faults_shows_them(simulator: Any, panel: Any) -> None:
    load(panel, camera=REAL_CAMERA)
    survey(simulator)
    frame = record(simulator, exposure_ms=10)
    assert frame.metadata["hardware_source"]["counts_per_electron"] == 4
    assert frame.data.max() > 5000  # a hot pixel
    electrons = 30e-12 * 10e-3 / scipy.constants.elementary_charge
    hot = 4 * 10000
    assert frame.data.sum() / 4 == pytest.approx(electrons, abs=0.02 * electrons + 10 * hot / 4)
    # Descan: in the hole, where nothing deflects, the pattern follows the probe over the detector.
    hole = numpy.array(simulator.instrument.column.specimen.sites["hole"])
    simulator.instrument.SetVal("C_Blank", 1)
    dark = mean_pattern(simulator, 0.5, 0.5)
    simulator.instrument.SetVal("C_Blank", 0)
    centres = []
    for place in (hole - 0.25, hole + 0.25):
        pattern = mean_pattern(simulator, *(place / 4.0)) - dark
        y, x = numpy.indices(pattern.shape)
        centres.append(2.5 * numpy.array([(y * pattern).sum(), (x * pattern).sum()]) / pattern.sum())
    numpy.testing.assert_allclose(centres[1] - centres[0], [(0.15 - 0.05) / 2, (0.1 + 0.2) / 2], atol=0.02)


def test_the_channels_are_three_detectors(simulator: Any) -> None:
    scan = simulator.scan_hardware_source
    assert [scan.get_channel_state(i).name for i in range(scan.channel_count)] == ["HAADF", "MAADF", "BF"]
    scan.set_enabled_channels([0, 1, 2])
    parameters = scan.get_current_frame_parameters()
    frames = in_thread(simulator, lambda: scan.record_immediate(parameters))
    haadf, maadf, bright = (frame.data for frame in frames)
    per_pixel = 30e-12 * 20e-6 / scipy.constants.elementary_charge
    assert haadf.mean() < maadf.mean() < 0.01 * per_pixel
    assert (haadf + maadf + bright).mean() == pytest.approx(per_pixel, rel=0.01)


def test_a_frame_of_several_channels_does_its_damage_once(simulator: Any, panel: Any, monkeypatch: Any) -> None:
    scan = simulator.scan_hardware_source
    doses = []
    monkeypatch.setattr(
        simulator.instrument.column, "irradiate", lambda y, x, electrons: doses.append((y.shape, electrons))
    )
    for channels in ([0], [0, 2], [0, 1, 2]):
        doses.clear()
        scan.set_enabled_channels(channels)
        parameters = scan.get_current_frame_parameters()
        in_thread(simulator, lambda: scan.record_immediate(parameters))  # noqa: B023
        assert len(doses) == 1
        assert doses[0][0] == (64, 64)


def test_a_camera_cannot_be_faster_than_its_frame_rate(simulator: Any) -> None:
    simulator.instrument.load(VirtualColumn(graphene_with_silicon(), camera=Camera(frame_rate_hz=5)))
    times = []

    def expose() -> None:
        detector = simulator.configuration.ronchigram_camera_device.simulator
        start = time.perf_counter()
        detector.get_frame_data(
            Geometry.IntRect.from_tlbr(0, 0, 64, 64),
            Geometry.IntSize(1, 1),
            0.001,
            simulator.instrument.scan_context,
            Geometry.FloatPoint(0.5, 0.5),
        )
        times.append(time.perf_counter() - start)

    in_thread(simulator, expose)
    assert times[0] >= 0.2


@pytest.fixture
def replay(tmp_path: pathlib.Path, monkeypatch: Any, recorded_file: pathlib.Path) -> Any:
    """Swift with a recording in the simulated microscope."""
    monkeypatch.chdir(tmp_path)
    column = SimulatorSettings(specimen="recording", file=str(recorded_file), seed=3).make_column()
    microscope = configuration.MicroscopeConfiguration(column, configuration_location=str(tmp_path))
    with AcquisitionTestContext.AcquisitionTestContext(microscope, is_app=True) as context:
        yield context


def test_a_replayed_survey_is_the_recorded_one(replay: Any, recorded_file: pathlib.Path) -> None:
    with h5py.File(recorded_file) as opened:
        numpy.testing.assert_allclose(survey(replay), opened["haadf"][:], rtol=1e-6)
    assert not replay.instrument.SetVal("C10", 1e-8)
    assert replay.instrument.SetVal("BeamCurrent", 1e-12)


def test_a_probe_outside_the_recording_is_said_in_one_sentence(replay: Any, caplog: Any) -> None:
    survey(replay, fov_nm=2.0, pixel_size=(32, 32))
    assert not pattern_at(replay, 0.01, 0.01).any()
    assert "outside the recorded 0.720 x 0.780 nm: move it back into the field." in caplog.text


def test_live_equals_offline(replay: Any, open_panel: Any, recorded_file: pathlib.Path) -> None:
    """A run through the panel, Swift and its devices takes the path, and reads the readings, of the run without
    Swift on the same file."""
    handler = open_panel(
        replay, seed_points="5", model_points="8", patch_size="7", compute_device="cpu", random_seed="11"
    )
    handler.start_button.on_clicked()
    pump(replay, lambda: handler.idle.value)
    assert handler.message.value == "Finished: 13 points measured."

    offline: list[Event] = []
    with open_session(handler.session_file) as live:
        assert live.plan == make_plan(
            seed_points=5,
            model_points=8,
            patch_size=7,
            compute_device="cpu",
            random_seed=11,
            instrument_id=SIMULATOR_ID,
            camera_id=configuration.CAMERA_ID,
        )
        instrument = ColumnInstrument(ReplayColumn(open_recording(recorded_file), seed=3))
        ended = Runner(instrument, live.plan, offline.append).run()
        assert isinstance(ended, RunEnded)
        assert ended.outcome is Outcome.FINISHED

        points = [event for event in offline if isinstance(event, PointMeasured)]
        assert live.count == len(points) == 13
        measured: list[Measurement] = []
        for event in offline:
            if isinstance(event, PointMeasured):
                measured.append(event.measurement)
            elif isinstance(event, ReadingsRevised):
                measured = list(event.measurements)
        for index, (point, other) in enumerate(zip(points, measured, strict=True)):
            measurement = live.measurement(index)
            assert measurement.proposal.candidate == other.proposal.candidate
            numpy.testing.assert_array_equal(live.pattern(index), point.frame.pattern)
            for name, reading in measurement.readings.items():
                assert reading.value == pytest.approx(other.readings[name].value, rel=1e-9, nan_ok=True)
                assert reading.sigma == pytest.approx(other.readings[name].sigma, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("ours_first", [False, True])
def test_beside_another_microscope_each_run_uses_the_devices_of_its_own(
    nion_simulator: Any, open_panel: Any, ours_first: bool
) -> None:
    ours = configuration.MicroscopeConfiguration()
    ours.run()
    try:
        theirs = nion_simulator.instrument.instrument_id
        assert Registry.get_component("stem_controller") is nion_simulator.instrument
        order = [SIMULATOR_ID, theirs] if ours_first else [theirs, SIMULATOR_ID]
        handler = open_panel(nion_simulator, seed_points="2", model_points="0", patch_size="5")
        for name in order:
            handler.set_text("instrument_id", name)
            handler.start_button.on_clicked()
            pump(nion_simulator, lambda: handler.idle.value)
            assert handler.message.value == "Finished: 2 points measured."
            with open_session(handler.session_file) as session:
                shapes = {session.pattern(index).shape for index in range(session.count)}
                survey_nm = session.survey.shape[0] * session.survey.pixel_size_nm
            if name == SIMULATOR_ID:
                assert (shapes, survey_nm) == ({(64, 64)}, pytest.approx(4.0))
            else:
                assert shapes == {(256, 256)}
                assert survey_nm > 10
    finally:
        ours.stop()
