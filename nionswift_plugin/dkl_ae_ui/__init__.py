"""The Nion Swift plug-in "Automated Experiment"."""

from nionswift_plugin.dkl_ae_ui import panel


def run() -> None:
    """Called by Swift once all plug-ins are loaded."""
    panel.register()


def stop() -> None:
    """Called by Swift before it unloads the plug-ins."""
    panel.unregister()
