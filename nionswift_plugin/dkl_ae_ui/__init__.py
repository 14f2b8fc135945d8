"""The Nion Swift plug-in "Automated Experiment"."""

from nionswift_plugin.dkl_ae_ui import review_panel, run_panel


def run() -> None:
    """Put the panels into Swift's panel menu. Swift calls this once all plug-ins are loaded."""
    run_panel.PANEL.register()
    review_panel.PANEL.register()
