"""Saved sessions for other programs: for HyperSpy, py4DSTEM, readers of NeXus, and as tables and images for all."""

from dkl_ae.export.content import content_of
from dkl_ae.export.csv_folder import write_csv
from dkl_ae.export.exporting import export_session
from dkl_ae.export.hyperspy_file import write_hyperspy

__all__ = ["content_of", "export_session", "write_csv", "write_hyperspy"]
