"""What version 1 of the format wrote differently: read as this version writes it, and written so into its files."""

from __future__ import annotations

import dataclasses
import json
import re
import typing
from collections.abc import Mapping, Sequence

import numpy

from dkl_ae.experiment import ChangeObjective, command_to_json
from dkl_ae.model import ModelSummary, VarianceFractions
from dkl_ae.records import AnyArray
from dkl_ae.session.layout import SUMMARY_COLUMNS, TIME_COLUMNS, StepColumn, summary_row
from dkl_ae.session.log import COMMAND, CONTINUED, LogEntry
from dkl_ae.settings import SETTINGS, Plan, changed, present_keys

_CHANGED: typing.Final = "driver"
"""Kind of a change of the objective; its text has the change alone."""
_CONTINUED: typing.Final = "went on"
_FRACTION_WORDS: typing.Final = {
    "local": "local",
    "trend": "trend",
    "asymmetric": "symmetry_breaking",
    "unexplained": "residual_noise",
    "network": "network",
}
"""The words for the fields of VarianceFractions; there was no slow variation."""


def log_entry(entry: LogEntry) -> LogEntry:
    """A line of the log as this version writes it."""
    if entry.kind == _CHANGED:
        command = ChangeObjective(**json.loads(entry.text))
        return dataclasses.replace(entry, kind=COMMAND, text=command_to_json(command))
    if entry.kind == _CONTINUED:
        return dataclasses.replace(entry, kind=CONTINUED)
    return entry


def completed_plan(plan: Plan, keys: set[str], instrument: Mapping[str, typing.Any]) -> Plan:
    """The plan with the exposure and the devices, which stood beside it, as texts; its model knew no positions, every
    pixel was a candidate, and its run confirmed and repeated nothing.

    keys: those of the plan's own that are in the file.
    """
    beside = {
        key: SETTINGS[key].read(text)
        for key, text in present_keys(instrument.get("settings", {})).items()
        if key in SETTINGS and SETTINGS[key].group in ("devices", "exposure") and key not in keys
    }
    return changed(
        plan,
        **beside,
        slow_variation=False,
        candidate_spacing=1,
        confirm_surprising=False,
        reference_repeated=0.0,
    )


def words_of(summary: ModelSummary | None) -> str:
    """What the model says of itself, as it stands in the column `explanation`."""
    if summary is None:
        return ""
    fractions = summary.fractions
    parts = (
        [f"{word} {100 * getattr(fractions, name):.0f} %" for word, name in _FRACTION_WORDS.items()]
        if fractions is not None
        else []
    )
    return f"{', '.join(parts)}; intervals x {summary.interval_scale:.2f}"


def summary_from_words(words: str) -> ModelSummary | None:
    """The numbers in those words, as far as they were rounded."""
    scale = re.search(r"intervals x (\S+)", words)
    if scale is None:
        return None
    percents = {_FRACTION_WORDS[word]: float(number) for word, number in re.findall(r"(\w+) (\S+) %", words)}
    fractions = (
        VarianceFractions(**{name: percent / 100 for name, percent in percents.items()}, slow_variation=0.0)
        if percents.keys() == set(_FRACTION_WORDS.values())
        else None
    )
    return ModelSummary(fractions, float(scale[1]))


STEPS: typing.Final[Sequence[StepColumn]] = (
    *TIME_COLUMNS,
    StepColumn(
        "explanation", "", "What the model said of itself.", "S200", lambda times, summary: words_of(summary).encode()
    ),
)


def with_numbers(steps: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """The columns of steps with the words as numbers."""
    rows = [summary_row(summary_from_words(bytes(words).decode())) for words in steps["explanation"]]
    numbers = {column.name: numpy.array([row[column.name] for row in rows], float) for column in SUMMARY_COLUMNS}
    return {**{column.name: steps[column.name] for column in TIME_COLUMNS}, **numbers}
