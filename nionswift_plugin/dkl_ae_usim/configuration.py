"""The microscope put together, registered with Swift and unregistered."""

from __future__ import annotations

import typing

from nion.device_kit import CameraDevice
from nion.instrumentation import HardwareSource
from nion.utils import Registry

from dkl_ae.records import UserError
from dkl_ae.simulation import Column
from nionswift_plugin.dkl_ae_kit import SIMULATOR_ID
from nionswift_plugin.dkl_ae_usim.camera import PatternCamera, camera_settings
from nionswift_plugin.dkl_ae_usim.instrument import PRIORITY, Instrument
from nionswift_plugin.dkl_ae_usim.scan import ScanModule, show_whole_field
from nionswift_plugin.dkl_ae_usim.settings import SimulatorSettings

SCAN_DEVICE_ID = "dkl_ae_scan"
CAMERA_ID = "dkl_ae_ronchigram"

_PATIENCE_S = 5.0


class MicroscopeConfiguration:
    """One simulated microscope; `run` and `stop` it once each.

    It has the attributes of nion.instrumentation's AcquisitionTestContextConfigurationLike, so it
    can be passed to AcquisitionTestContext.

    column: what is in it at first; what the panel offers first when None.
    """

    def __init__(self, column: Column | None = None, *, configuration_location: str = "") -> None:
        self.configuration_location = configuration_location
        self.instrument_id = SIMULATOR_ID
        self.instrument = Instrument(SIMULATOR_ID, column or SimulatorSettings().make_column())
        self.scan_module = ScanModule(SCAN_DEVICE_ID, "4D-STEM Simulator Scan", self.instrument)
        self.ronchigram_camera_device_id = CAMERA_ID
        self.ronchigram_camera_device = PatternCamera(CAMERA_ID, "4D-STEM Simulator Camera", self.instrument)
        self.ronchigram_camera_settings = camera_settings(CAMERA_ID)
        # AcquisitionTestContext looks up an EELS camera; an id that does not exist yields None.
        self.eels_camera_device_id = "dkl_ae_no_eels_camera"
        self._camera_module = CameraDevice.CameraModule(
            SIMULATOR_ID, self.ronchigram_camera_device, self.ronchigram_camera_settings
        )
        self._camera_module.priority = PRIORITY

    def load(self, column: Column, beam_current_a: float) -> None:
        """Put another specimen or recording in, and set the scan to show all of it. Live views end.

        Raises UserError while the scan or the camera records.
        """
        devices = [_hardware_source(SCAN_DEVICE_ID), _hardware_source(CAMERA_ID)]
        for device in devices:
            if device.is_recording:
                raise UserError(f"{device.display_name} is recording: wait until it has finished, then load again.")
        for device in devices:
            if device.is_playing:
                device.abort_playing(sync_timeout=_PATIENCE_S)
        self.instrument.load(column)
        self.instrument.SetVal("BeamCurrent", beam_current_a)
        show_whole_field(devices[0], self.instrument)

    def run(self) -> None:
        """Register the instrument, then its scan and camera, and tie them together.

        Without the tie an instrument asks for any registered scan and camera, and with two
        microscopes in one program it gets those of the other.
        """
        Registry.register_component(self.instrument, {"instrument_controller", "stem_controller"})
        Registry.register_component(self._camera_module, {"camera_module"})
        Registry.register_component(self.scan_module, {"scan_module"})
        self.instrument.set_scan_controller(_hardware_source(SCAN_DEVICE_ID))
        self.instrument.set_ronchigram_camera(_hardware_source(CAMERA_ID))

    def stop(self) -> None:
        """Unregister what `run` registered, and nothing else."""
        self.instrument.set_scan_controller(None)
        self.instrument.set_ronchigram_camera(None)
        Registry.unregister_component(self._camera_module, {"camera_module"})
        Registry.unregister_component(self.scan_module, {"scan_module"})
        Registry.unregister_component(self.instrument, {"instrument_controller", "stem_controller"})
        self.instrument.column.close()


def _hardware_source(hardware_source_id: str) -> HardwareSource.HardwareSource:
    return typing.cast(
        HardwareSource.HardwareSource,
        HardwareSource.HardwareSourceManager().get_hardware_source_for_hardware_source_id(hardware_source_id),
    )
