"""A simulated 4D-STEM microscope for Nion Swift."""

from __future__ import annotations

from nionswift_plugin.dkl_ae_usim import configuration, panel


def run() -> None:
    """Register the microscope and its panel. Swift calls this once all plug-ins are loaded, before it makes panels."""
    microscope = configuration.MicroscopeConfiguration()
    microscope.run()
    panel.simulator_panel(microscope).register()
