"""The panel "Automated Experiment"."""

from nionswift_plugin.dkl_ae_ui.run_panel.panel import PANEL

__all__ = ["PANEL"]
