"""A simulated 4D-STEM microscope for Nion Swift."""

from __future__ import annotations

from nionswift_plugin.dkl_ae_usim import configuration


def run() -> None:
    """Register the microscope. Swift calls this once all plug-ins are loaded, before its panels are made."""
    configuration.MicroscopeConfiguration().run()
