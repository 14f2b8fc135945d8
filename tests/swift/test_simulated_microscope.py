"""The simulated microscope inside Nion Swift, without a window."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
import scipy.constants

pytest.importorskip("nion.instrumentation")

from nion.instrumentation.test import AcquisitionTestContext
from nion.utils import Geometry, Registry

from dkl_ae.simulation import Specimen, VirtualColumn
from dkl_ae.simulation.presets import CARBON, SILICON
from nionswift_plugin.dkl_ae_usim import configuration, scan
from tests.support.swift_in_process import in_thread, pattern_at, record, survey

pytestmark = pytest.mark.swift

EXTENT_NM = 2.0
SILICON_NM = (0.7, 1.2)
"""(y, x)"""
CARBON_NM = (1.5, 0.5)
ELECTRON_CHARGE = scipy.constants.elementary_charge


def two_atoms() -> Specimen:
    """A silicon and a carbon, far apart, neither at the centre nor on a symmetry line of the field."""
    places = [(10 * x, 10 * y, 0.0) for y, x in (SILICON_NM, CARBON_NM)]
    return Specimen("two atoms", numpy.array(places), numpy.array([SILICON, CARBON]), EXTENT_NM)


@pytest.fixture
def microscope(tmp_path: Any) -> Iterator[Any]:
    microscope = configuration.MicroscopeConfiguration(VirtualColumn(two_atoms()), configuration_location=str(tmp_path))
    with AcquisitionTestContext.AcquisitionTestContext(microscope, is_app=True) as context:
        yield context


def detector_angles(pixels: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(y, x) in mrad of each pixel."""
    y, x = (numpy.indices((pixels, pixels)) - (pixels - 1) / 2) * 2.5
    return y, x


def test_profiles_have_the_specimens_field_and_a_short_exposure(microscope: Any) -> None:
    for profile in range(3):
        parameters = microscope.scan_hardware_source.get_frame_parameters(profile)
        assert (parameters.fov_nm, parameters.pixel_size.as_tuple()) == (EXTENT_NM, (128, 128))
        exposure = microscope.camera_hardware_source.get_frame_parameters(profile)
        assert (exposure.exposure_ms, exposure.binning) == (10, 1)


def test_survey_shows_the_atoms_with_shot_noise_of_the_stated_dose(microscope: Any) -> None:
    assert microscope.instrument.SetVal("BeamCurrent", 3e-9)
    image = survey(microscope, pixel_time_us=30.0)
    row, column = numpy.unravel_index(image.argmax(), image.shape)
    pixel_nm = EXTENT_NM / 128
    assert math.dist(((row + 0.5) * pixel_nm, (column + 0.5) * pixel_nm), SILICON_NM) < 0.06
    positions = (numpy.arange(128) + 0.5) * pixel_nm
    fraction = microscope.instrument.column.images.image("HAADF", positions[:, None], positions)
    expected = fraction * 3e-9 * 30e-6 / ELECTRON_CHARGE
    numpy.testing.assert_allclose(image.sum(), expected.sum(), rtol=5 / math.sqrt(expected.sum()))
    bright = expected > 1
    assert numpy.mean((image - expected)[bright] ** 2 / expected[bright]) == pytest.approx(1, abs=0.3)


def test_frames_tell_their_calibration(microscope: Any) -> None:
    frame = record(microscope)
    assert frame.metadata["hardware_source"]["counts_per_electron"] == 1
    assert frame.metadata["hardware_source"]["exposure"] == pytest.approx(1e-3)
    for calibration in frame.dimensional_calibrations:
        assert (calibration.units, calibration.scale) == ("rad", pytest.approx(2.5e-3))
        assert calibration.convert_to_calibrated_value(32) == pytest.approx(0)


@pytest.mark.parametrize(
    "geometry",
    [
        {},
        {"rotation_rad": 0.6, "center_nm": Geometry.FloatPoint(y=0.2, x=-0.15)},
        {"fov_nm": 1.6, "pixel_size": Geometry.IntSize(32, 64), "rotation_rad": -0.4},
    ],
    ids=["plain", "turned and off-centre", "wide and turned"],
)
def test_parked_probe_is_where_the_survey_says(microscope: Any, geometry: dict[str, Any]) -> None:
    assert microscope.instrument.SetVal("BeamCurrent", 30e-9)  # Noise is no subject here.
    image = survey(microscope, **geometry)
    row, column = numpy.unravel_index(image.argmax(), image.shape)
    rows, columns = numpy.arange(row - 4, row + 5, 2), numpy.arange(column - 4, column + 5, 2)
    y, x = detector_angles(64)
    dark = numpy.hypot(y, x) > 40

    def dark_field(row: int, column: int) -> float:
        centre = (row + 0.5) / image.shape[0], (column + 0.5) / image.shape[1]
        return float(pattern_at(microscope, *centre)[dark].sum())

    virtual = numpy.array([[dark_field(row, column) for column in columns] for row in rows])
    seen = image[numpy.ix_(rows, columns)]
    # The survey is blurred by the source and the patterns are not, so the peaks differ in width.
    assert numpy.corrcoef(seen.ravel(), virtual.ravel())[0, 1] > 0.95
    for offsets in (rows[:, None] - row, columns - column):
        centroids = [(offsets * field).sum() / field.sum() for field in (seen, virtual)]
        assert centroids[0] == pytest.approx(centroids[1], abs=0.25)  # pixels


def test_centre_of_mass_points_to_the_atom(microscope: Any) -> None:
    survey(microscope)
    y, x = detector_angles(64)
    for angle in numpy.arange(8) * math.pi / 4:
        away = 0.06 * numpy.array([math.sin(angle), math.cos(angle)])
        frame = pattern_at(microscope, *((SILICON_NM + away) / EXTENT_NM), exposure_ms=10)
        com = numpy.array([(y * frame).sum(), (x * frame).sum()]) / frame.sum()
        cosine = -com @ away / numpy.linalg.norm(com) / numpy.linalg.norm(away)
        assert cosine > 0.98


def test_pixels_of_a_subscan_are_those_of_the_scan(microscope: Any) -> None:
    parameters = microscope.scan_hardware_source.get_frame_parameters(0)
    parameters.pixel_size = Geometry.IntSize(20, 10)
    parameters.rotation_rad = 0.3
    whole = copy.deepcopy(parameters)
    parameters.subscan_pixel_size = Geometry.IntSize(10, 4)
    parameters.subscan_fractional_size = Geometry.FloatSize(0.5, 0.4)
    parameters.subscan_fractional_center = Geometry.FloatPoint(0.4, 0.6)
    # The subscan is rows 3 to 12 and columns 4 to 7 of the whole scan.
    numpy.testing.assert_allclose(scan.scan_positions_nm(parameters, 2, 3), scan.scan_positions_nm(whole, 5, 7))


def test_synchronized_scan_records_the_pattern_of_each_pixel(microscope: Any) -> None:
    assert microscope.instrument.SetVal("BeamCurrent", 30e-9)
    source, camera = microscope.scan_hardware_source, microscope.camera_hardware_source
    parameters = source.get_frame_parameters(0)
    parameters.pixel_size, parameters.rotation_rad = Geometry.IntSize(16, 16), 0.5
    exposure = camera.get_frame_parameters(0)
    exposure.exposure_ms = 2

    def acquire() -> Any:
        return source.grab_synchronized(
            scan_frame_parameters=parameters, camera=camera, camera_frame_parameters=exposure
        )

    recorded = in_thread(microscope, acquire)[1][0].data
    patterns = microscope.instrument.column.patterns
    for row, column in ((0, 0), (0, 15), (5, 9), (9, 5), (15, 15)):
        position = microscope.instrument.field_position_nm(*scan.scan_positions_nm(parameters, row, column))
        expected = patterns.pattern(*position) * 30e-9 * 2e-3 / ELECTRON_CHARGE
        bright = expected > 10
        error = (recorded[row, column] - expected)[bright] ** 2 / expected[bright]
        assert error.mean() == pytest.approx(1, abs=0.2)


def test_blanker_empties_camera_and_survey(microscope: Any) -> None:
    assert microscope.instrument.SetVal("C_Blank", 1)
    assert not survey(microscope).any()
    assert not pattern_at(microscope, 0.5, 0.5).any()
    assert microscope.instrument.SetVal("C_Blank", 0)
    assert survey(microscope).any()
    assert pattern_at(microscope, 0.5, 0.5).any()


def test_camera_counts_every_electron_with_poisson_noise(microscope: Any) -> None:
    survey(microscope)
    assert microscope.instrument.SetVal("BeamCurrent", 20e-12)
    frames = numpy.array([pattern_at(microscope, 0.05, 0.05, exposure_ms=2) for _ in range(30)])
    electrons = 20e-12 * 2e-3 / ELECTRON_CHARGE
    total = frames.sum(axis=(1, 2))
    assert total.mean() == pytest.approx(electrons, rel=5 / math.sqrt(30 * electrons))
    bright = frames.mean(axis=0) > 10
    ratio = frames.var(axis=0, ddof=1)[bright] / frames.mean(axis=0)[bright]
    assert ratio.mean() == pytest.approx(1, abs=0.1)


def test_optics_controls_change_the_pattern(microscope: Any) -> None:
    survey(microscope)
    instrument = microscope.instrument
    in_focus = pattern_at(microscope, 0.35, 0.65)
    assert instrument.SetVal("C10", 20e-9)
    assert instrument.column.optics.defocus_nm == pytest.approx(20)
    defocused = pattern_at(microscope, 0.35, 0.65)
    assert numpy.abs(defocused - in_focus).sum() > 3 * math.sqrt(2 * in_focus.sum())
    assert instrument.SetVal("ConvergenceAngle", 20e-3)
    y, x = detector_angles(64)
    outside = numpy.hypot(y, x) > 24
    assert pattern_at(microscope, 0.35, 0.65)[outside].sum() < 0.1 * defocused[outside].sum()
    assert not instrument.SetVal("ConvergenceAngle", -1.0)
    assert instrument.GetVal("ConvergenceAngle") == pytest.approx(20e-3)


def test_unknown_control_is_refused(microscope: Any) -> None:
    assert microscope.instrument.TryGetVal("no such control") == (False, None)
    assert not microscope.instrument.SetVal("no such control", 1.0)


def test_camera_outlives_an_error(microscope: Any, monkeypatch: Any, caplog: Any) -> None:
    def fail(*arguments: float) -> None:
        raise RuntimeError("the detector is on fire")

    with monkeypatch.context() as patch:
        patch.setattr(microscope.instrument.column, "expose", fail)
        assert not record(microscope).data.any()
    assert "the detector is on fire" in caplog.text
    assert record(microscope).data.any()


def test_nions_simulator_stays_preferred_and_nothing_is_left_behind(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)  # Nion's configuration makes a directory here.
    from nion.usim_device import DeviceConfiguration

    usim = DeviceConfiguration.AcquisitionContextConfiguration()
    types = (
        "stem_controller",
        "scan_module",
        "camera_module",
        "scan_hardware_source",
        "camera_hardware_source",
        "hardware_source",
        f"{configuration.CAMERA_ID}_device",
    )

    def registered() -> dict[str, set[Any]]:
        return {name: set(Registry.get_components_by_type(name)) for name in types}

    with AcquisitionTestContext.AcquisitionTestContext(usim, is_app=True):
        before = registered()
        for ours_first in (False, True):
            microscope = configuration.MicroscopeConfiguration(VirtualColumn(two_atoms()))
            microscope.run()
            if ours_first:
                # The order of registration must not matter either.
                Registry.unregister_component(usim.instrument, {"instrument_controller", "stem_controller"})
                Registry.register_component(usim.instrument, {"instrument_controller", "stem_controller"})
            assert Registry.get_component("stem_controller") is usim.instrument
            assert usim.instrument.scan_controller.hardware_source_id == "usim_scan_device"
            assert usim.instrument.ronchigram_camera.hardware_source_id == "usim_ronchigram_camera"
            ours = microscope.instrument
            assert ours.scan_controller.hardware_source_id == configuration.SCAN_DEVICE_ID
            assert ours.ronchigram_camera.hardware_source_id == configuration.CAMERA_ID
            microscope.stop()
            assert registered() == before
