"""The Nion Swift plug-in "Automated Experiment"."""

from nionswift_plugin.dkl_ae_ui.review_panel import handler as review_panel
from nionswift_plugin.dkl_ae_ui.run_panel import handler as panel


def run() -> None:
    """Put the panels into Swift's panel menu. Swift calls this once all plug-ins are loaded."""
    panel.register()
    review_panel.register()
