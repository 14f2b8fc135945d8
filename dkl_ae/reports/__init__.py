"""Runs and reconstructions for people: figures, and pages that need nothing but themselves."""

from dkl_ae.reports.drawing import CONFIRMATION_COLOUR, MODEL_COLOUR, SEED_COLOUR
from dkl_ae.reports.map_figure import draw_map_figure
from dkl_ae.reports.page import PAGE
from dkl_ae.reports.reconstruction_report import write_reconstruction_report
from dkl_ae.reports.run_maps import save_overview
from dkl_ae.reports.run_report import write_report

__all__ = [
    "CONFIRMATION_COLOUR",
    "MODEL_COLOUR",
    "PAGE",
    "SEED_COLOUR",
    "draw_map_figure",
    "save_overview",
    "write_reconstruction_report",
    "write_report",
]
