"""A simulated 4D-STEM microscope: Swift calls `run` once all plug-ins are loaded, and `stop` at the
end."""

from __future__ import annotations

from nionswift_plugin.dkl_ae_usim import configuration

_microscopes: list[configuration.MicroscopeConfiguration] = []


def run() -> None:
    """Register the microscope, so that Swift's panels for its scan and camera exist."""
    microscope = configuration.MicroscopeConfiguration()
    microscope.run()
    _microscopes.append(microscope)


def stop() -> None:
    """Unregister it."""
    while _microscopes:
        _microscopes.pop().stop()
