"""The microscope as the run sees it. The only folder that moves the probe or switches the beam."""

from nionswift_plugin.dkl_ae_ui.microscope.devices import Microscope, cameras_of, identifier, instruments, scan_of
from nionswift_plugin.dkl_ae_ui.microscope.frames import survey_size
from nionswift_plugin.dkl_ae_ui.microscope.instrument import SwiftInstrument

__all__ = ["Microscope", "SwiftInstrument", "cameras_of", "identifier", "instruments", "scan_of", "survey_size"]
