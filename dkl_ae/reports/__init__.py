"""Runs and reconstructions for people: figures, and pages that need nothing but themselves."""

from dkl_ae.reports.run_report import write_report

__all__ = ["write_report"]
