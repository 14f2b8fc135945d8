"""The camera: counts the electrons of the pattern under the probe."""

from __future__ import annotations

import logging
import threading
import typing
from collections.abc import Sequence

import numpy
import numpy.typing
from nion.data import Calibration, DataAndMetadata
from nion.device_kit import CameraDevice
from nion.instrumentation import stem_controller
from nion.utils import Geometry

from nionswift_plugin.dkl_ae_usim.instrument import Instrument
from nionswift_plugin.dkl_ae_usim.scan import ScanBox, parked_position_nm

_EXPOSURE_S = 0.01


class PatternDetector(CameraDevice.CameraSimulatorLike):
    """Counts electrons with Poisson noise, one count each.

    A frame takes the probe's position, the blanker, the current and the optics as they are when its
    exposure starts. A probe that is parked nowhere in particular is in the middle of the scan.
    """

    def __init__(self, instrument: Instrument, seed: int) -> None:
        self._instrument = instrument
        self._random = numpy.random.default_rng(seed)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Nothing to let go of."""

    def get_dimensional_calibrations(
        self,
        readout_area: Geometry.IntRect | None,
        binning_shape: Geometry.IntSize | None,
    ) -> Sequence[Calibration.Calibration]:
        """Not asked by Swift: the instrument's ronchigram controls calibrate the frames."""
        return [Calibration.Calibration(), Calibration.Calibration()]

    def get_frame_data(
        self,
        readout_area: Geometry.IntRect,
        binning_shape: Geometry.IntSize,
        exposure_s: float,
        scan_context: stem_controller.ScanContext,
        probe_position: Geometry.FloatPoint | None,
    ) -> DataAndMetadata.DataAndMetadata:
        height = readout_area.height // binning_shape.height
        width = readout_area.width // binning_shape.width
        try:
            pattern = self._expected(exposure_s, scan_context, probe_position)
            # The view and a sequence may ask at the same time, and the generator is not
            # thread-safe.
            with self._lock:
                counts = self._random.poisson(pattern)
            top, left = readout_area.top, readout_area.left
            frame = counts[top : top + height * binning_shape.height, left : left + width * binning_shape.width]
            frame = frame.reshape(height, binning_shape.height, width, binning_shape.width)
            data = frame.sum(axis=(1, 3)).astype(numpy.float32)
        except Exception:
            # An exception would end the thread of the live view, which Swift does not start again.
            logging.exception("The simulated camera failed; its frame is empty.")
            data = numpy.zeros((height, width), numpy.float32)
        return DataAndMetadata.new_data_and_metadata(data)

    def _expected(
        self,
        exposure_s: float,
        scan_context: stem_controller.ScanContext,
        probe_position: Geometry.FloatPoint | None,
    ) -> numpy.typing.NDArray[numpy.float64]:
        instrument = self._instrument
        simulator = instrument.simulator
        if instrument.is_blanked:
            return numpy.zeros((simulator.detector_pixels, simulator.detector_pixels))
        scan = instrument.scan_controller
        if scan and instrument.probe_state == "scanning":
            position_nm = typing.cast(ScanBox, scan.scan_device).beam_position_nm
        else:
            fraction = probe_position or Geometry.FloatPoint(0.5, 0.5)
            position_nm = parked_position_nm(scan_context, fraction)
        y_nm, x_nm = instrument.field_position_nm(*position_nm)
        return instrument.electrons(exposure_s) * simulator.pattern(y_nm, x_nm)


def camera_settings(camera_id: str) -> CameraDevice.CameraSettings:
    """Three profiles alike: 10 ms, no binning. Swift replaces them by those the user saved, if
    any."""
    settings = CameraDevice.CameraSettings(camera_id)
    for profile in range(len(settings.modes)):
        parameters = settings.get_frame_parameters(profile)
        parameters.exposure_ms = _EXPOSURE_S * 1e3
        parameters.binning = 1
        settings.set_frame_parameters(profile, parameters)
    return settings
