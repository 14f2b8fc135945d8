"""The runs in a Swift project, and whether their data items agree with the session files: neither is a second truth."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import typing

import numpy
from nion.swift.model import DataItem, DocumentModel

from dkl_ae.records import UserError
from dkl_ae.session import Session
from nionswift_plugin.dkl_ae_ui.project.measurement_table import measurement_columns, measurement_row
from nionswift_plugin.dkl_ae_ui.project.run_items import METADATA_KEY
from nionswift_plugin.dkl_ae_ui.review_panel.displays import REVIEW_KEY


def session_file_of(item: DataItem.DataItem | None) -> pathlib.Path:
    """The session file of the run that a data item belongs to, as it was named then.

    Raises UserError, one sentence, when it belongs to none.
    """
    described: dict[str, typing.Any] = item.metadata.get(METADATA_KEY, {}) if item is not None else {}
    if not described:
        raise UserError("No data item of a run is selected: select one, such as its path, and press this again.")
    if "session" not in described:
        raise UserError(f"The run {described.get('run')} was kept in no session file: select another run.")
    return pathlib.Path(described["session"])


@dataclasses.dataclass(frozen=True, eq=False)
class ProjectRun:
    """The data items of a run that hold what was measured."""

    measurements: DataItem.DataItem
    patterns: DataItem.DataItem

    @classmethod
    def of(cls, document: DocumentModel.DocumentModel, session: Session) -> ProjectRun | None:
        """The latest of a session, which may have been renamed or moved; None when the project has none."""
        found: dict[str, dict[str, DataItem.DataItem]] = {}
        for item in document.data_items:
            described = item.metadata.get(METADATA_KEY, {})
            # The name of a file on whatever system it was.
            name = pathlib.PureWindowsPath(described.get("session", "")).name
            is_same = described.get("run") == session.title or name == session.file.name
            if is_same and "role" in described and not described.get(REVIEW_KEY):
                # The first: others are copies.
                found.setdefault(described["run"], {}).setdefault(described["role"], item)
        whole = [items for items in found.values() if {"measurements", "patterns"} <= set(items)]
        return cls(whole[-1]["measurements"], whole[-1]["patterns"]) if whole else None

    @functools.cached_property
    def count(self) -> int:
        """How many measurements the project holds."""
        return int(numpy.isfinite(numpy.asarray(self.measurements.data)[:, 0]).sum())

    def agrees(self, session: Session, index: int) -> bool:
        """Whether a measurement, from 0, is in the project as it is in the session."""
        table, patterns = self.measurements.data, self.patterns.data
        columns = measurement_columns(session.scalarizers.values())
        if list(self.measurements.metadata[METADATA_KEY]["columns"]) != list(columns):
            return False
        row = measurement_row(index + 1, session.measurement(index))
        return (
            table is not None
            and patterns is not None
            and numpy.array_equal(table[index], row, equal_nan=True)
            and numpy.array_equal(patterns[index], session.pattern(index))
        )
