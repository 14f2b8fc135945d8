"""The panel "Automated Experiment Review"."""

from nionswift_plugin.dkl_ae_ui.review_panel.panel import PANEL

__all__ = ["PANEL"]
