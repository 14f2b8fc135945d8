"""Rows of the panel's settings. They bind to the attributes of `handler.Handler` by name."""

from __future__ import annotations

from nion.ui import Declarative

from nionswift_plugin.dkl_ae_kit import rows
from nionswift_plugin.dkl_ae_kit.rows import GAP, LABEL_WIDTH, NUMBER_WIDTH, WIDTH, line_edit, row
from nionswift_plugin.dkl_ae_ui.run_panel.settings import NUMBER_FIELDS

_NUMBER_LABEL_WIDTH = 142
_BUTTON_WIDTH = 88
_FIELDS = {field.name: field for field in NUMBER_FIELDS}


def number_row(
    u: Declarative.DeclarativeUI,
    name: str,
    *more: Declarative.UIDescriptionResult,
    enabled: str = "idle",
    label_width: int = _NUMBER_LABEL_WIDTH,
) -> Declarative.UIDescriptionResult:
    """more: widgets behind the number's unit."""
    return rows.number_row(u, _FIELDS[name], *more, enabled=enabled, label_width=label_width)


def text_row(
    u: Declarative.DeclarativeUI, name: str, label: str, tool_tip: str, beside: Declarative.UIDescriptionResult
) -> Declarative.UIDescriptionResult:
    """beside: a button behind the edit."""
    width = WIDTH - LABEL_WIDTH - _BUTTON_WIDTH - 2 * GAP
    return row(u, label, tool_tip, line_edit(u, name, tool_tip, enabled="idle", width=width), beside)


def range_row(
    u: Declarative.DeclarativeUI, names: tuple[str, str], label: str, unit: str
) -> Declarative.UIDescriptionResult:
    """Two numbers, from and to."""
    first, last = (line_edit(u, name, _FIELDS[name].tool_tip, enabled="idle", width=NUMBER_WIDTH) for name in names)
    to, behind = u.create_label(text="to"), u.create_label(text=unit)
    return row(u, label, _FIELDS[names[0]].tool_tip, first, to, last, behind)
