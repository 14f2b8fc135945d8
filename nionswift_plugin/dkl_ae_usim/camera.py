"""The camera: counts the electrons of the pattern under the probe."""

from __future__ import annotations

import logging
import time
import typing
from collections.abc import Mapping, Sequence

import numpy
import numpy.typing
from nion.data import Calibration, DataAndMetadata
from nion.device_kit import CameraDevice
from nion.instrumentation import stem_controller
from nion.utils import Geometry

from dkl_ae.records import DEFAULT_EXPOSURE_S, UserError
from nionswift_plugin.dkl_ae_usim.instrument import Instrument
from nionswift_plugin.dkl_ae_usim.scan import ScanBox, parked_position_nm


class PatternCamera(CameraDevice.Camera):
    """A camera whose sensor is that of what is in the instrument now; the base class remembers the first one."""

    def __init__(self, camera_id: str, camera_name: str, instrument: Instrument) -> None:
        self._instrument = instrument
        super().__init__(camera_id, "ronchigram", camera_name, PatternDetector(instrument), instrument)
        # Swift chooses the panel for a camera by this attribute.
        setattr(self, "camera_panel_type", "ronchigram")  # noqa: B010

    @property
    def sensor_dimensions(self) -> tuple[int, int]:
        return self._instrument.column.detector_shape

    @property
    def readout_area(self) -> tuple[int, int, int, int]:
        return 0, 0, *self.sensor_dimensions

    @readout_area.setter
    def readout_area(self, readout_area_TLBR: tuple[int, int, int, int]) -> None:  # noqa: N803
        """The whole sensor is read, always."""

    def get_expected_dimensions(self, binning: int) -> tuple[int, int]:
        height, width = self.sensor_dimensions
        return height // binning, width // binning

    @property
    def calibration_controls(self) -> Mapping[str, str | int | float]:
        return {
            **super().calibration_controls,
            "counts_per_electron_value": self._instrument.column.counts_per_electron,
        }


class PatternDetector(CameraDevice.CameraSimulatorLike):
    """Asks the column for frames.

    A frame takes the probe's position, the blanker, the current and the optics as they are when its
    exposure starts. A probe that is parked nowhere in particular is in the middle of the scan.
    """

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument

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
        start = time.perf_counter()
        height = readout_area.height // binning_shape.height
        width = readout_area.width // binning_shape.width
        try:
            counts = self._counts(exposure_s, scan_context, probe_position)
            frame = counts[: height * binning_shape.height, : width * binning_shape.width]
            frame = frame.reshape(height, binning_shape.height, width, binning_shape.width)
            data = frame.sum(axis=(1, 3), dtype=numpy.float32)
        except Exception as error:
            # An exception would end the thread of the live view, which Swift does not start again.
            if isinstance(error, UserError):
                logging.warning("The simulated camera's frame is empty. %s", error)
            else:
                logging.exception("The simulated camera failed; its frame is empty.")
            data = numpy.zeros((height, width), numpy.float32)
        # The base class waits for the exposure, but knows no highest frame rate.
        time.sleep(max(1 / self._instrument.column.frame_rate_hz - (time.perf_counter() - start), 0))
        return DataAndMetadata.new_data_and_metadata(data)

    def _counts(
        self,
        exposure_s: float,
        scan_context: stem_controller.ScanContext,
        probe_position: Geometry.FloatPoint | None,
    ) -> numpy.typing.NDArray[numpy.float32]:
        instrument = self._instrument
        scan = instrument.scan_controller
        if scan and instrument.probe_state == "scanning":
            position_nm = typing.cast(ScanBox, scan.scan_device).beam_position_nm
        else:
            fraction = probe_position or Geometry.FloatPoint(0.5, 0.5)
            position_nm = parked_position_nm(scan_context, fraction)
        y_nm, x_nm = instrument.field_position_nm(*position_nm)
        electrons = 0.0 if instrument.is_blanked else instrument.electrons(exposure_s)
        return instrument.column.expose(y_nm, x_nm, electrons, exposure_s)


def camera_settings(camera_id: str) -> CameraDevice.CameraSettings:
    """Three profiles alike: 10 ms, no binning. Swift replaces them by those the user saved, if
    any."""
    settings = CameraDevice.CameraSettings(camera_id)
    for profile in range(len(settings.modes)):
        parameters = settings.get_frame_parameters(profile)
        parameters.exposure_ms = DEFAULT_EXPOSURE_S * 1e3
        parameters.binning = 1
        settings.set_frame_parameters(profile, parameters)
    return settings
