"""What a run was and what happened in it, as tables."""

from __future__ import annotations

import collections
import datetime
import math
import typing
from collections.abc import Mapping

from dkl_ae.patterns import reference_as_dict
from dkl_ae.reports.page import Table
from dkl_ae.session import COMMAND, LogEntry, Session
from dkl_ae.settings import SETTINGS, values_of


def settings_table(session: Session) -> Table:
    """Every setting of the plan, as the run began."""
    values = values_of(session.plan)
    return Table(
        ("setting", "value"), [(known.label, _as_text(values[key], known.unit)) for key, known in SETTINGS.items()]
    )


def origin_table(session: Session) -> Table:
    """When the run began, what it was driven on, and versions of what computed."""
    return _named("origin", {"began": session.created, **session.instrument, **session.software})


def reference_table(session: Session) -> Table:
    """What the patterns were read against; without rows where there was no reference."""
    if session.reference is None:
        return _named("reference", {})
    repeated = {"repeated_exposures": len(session.repeated["measured"])}
    return _named("reference", {**reference_as_dict(session.reference), **repeated})


def unread_table(session: Session) -> Table:
    """Which readings are undefined, at how many patterns, and why."""
    reasons: dict[str, collections.Counter[str]] = {}
    for measurement in session.measurements:
        for name, reading in measurement.readings.items():
            if math.isnan(reading.value):
                reasons.setdefault(session.scalarizers[name].label, collections.Counter())[reading.reason] += 1
    rows = [
        (label, f"{counts.total()} of {session.count}", counts.most_common(1)[0][0])
        for label, counts in reasons.items()
    ]
    return Table(("reading", "undefined at", "mostly because"), rows)


def events_table(session: Session) -> Table:
    """What else happened, in its order."""
    rows = []
    for happened in session.log:
        if happened.kind == COMMAND:
            text = f"From here on the run looked for {session.objective(happened.measured).text()}."
        else:
            text = _in_words(happened)
        clock = datetime.datetime.fromtimestamp(happened.time, datetime.UTC)
        rows.append((f"{clock:%H:%M:%S}", str(happened.measured), text))
    return Table(("time (UTC)", "measurements so far", "what happened"), [row for row in rows if row[-1]])


def _in_words(happened: LogEntry) -> str:
    match happened.kind:
        case "trouble" | "unconfirmed":
            return ""
        case "resumed":
            return "The run, which had been left, was resumed."
        case "paused":
            return f"Paused. {happened.text}".strip()
        case "continued":
            return "Continued."
    return happened.text


def _named(what: str, values: Mapping[str, typing.Any]) -> Table:
    return Table((what, "value"), [(name.replace("_", " "), _as_text(value)) for name, value in values.items()])


def _as_text(value: typing.Any, unit: str = "") -> str:
    match value:
        case None | "":
            return "none"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g} {unit}".rstrip()
        case Mapping():
            return ", ".join(f"{name.replace('_', ' ')} {_as_text(part)}" for name, part in value.items())
        case list() | tuple():
            return ", ".join(map(_as_text, value))
    return str(value)
