"""The Nion Swift plug-in "Automated Experiment"."""

from nionswift_plugin.dkl_ae_ui import panel


def run() -> None:
    """Put the panel into Swift's panel menu. Swift calls this once all plug-ins are loaded."""
    panel.register()
