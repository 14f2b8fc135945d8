"""Rows of the panel: a label, and the widgets of a setting. They bind to the attributes of `panel.Handler` by name."""

from __future__ import annotations

from nion.ui import Declarative

from nionswift_plugin.dkl_ae_ui.run_panel.settings import NUMBER_FIELDS, NumberField

WIDTH = 352
LINE_HEIGHT = 16
LABEL_WIDTH = 110
_NUMBER_LABEL_WIDTH = 142
_NUMBER_WIDTH = 72
_STATE_LABEL_WIDTH = 88
_BUTTON_WIDTH = 88
_GAP = 6
_FIELDS = {field.name: field for field in NUMBER_FIELDS}


def choice_row(
    u: Declarative.DeclarativeUI, name: str, label: str, tool_tip: str, *, enabled: str | None = "idle"
) -> Declarative.UIDescriptionResult:
    """enabled: what decides whether it can be used; None for always."""
    combo = combo_box(u, name, tool_tip, enabled=enabled, width=WIDTH - LABEL_WIDTH - _GAP)
    return row(u, label, tool_tip, combo)


def combo_box(
    u: Declarative.DeclarativeUI, name: str, tool_tip: str, *, enabled: str | None, width: int
) -> Declarative.UIDescriptionResult:
    return u.create_combo_box(
        name=f"{name}_combo",
        items_ref=f"@binding({name}_labels.value)",
        current_index=f"@binding({name}_index.value)",
        on_current_index_changed=f"{name}_changed",
        width=width,
        tool_tip=tool_tip,
        **({"enabled": f"@binding({enabled}.value)"} if enabled else {}),
    )


def number_row(
    u: Declarative.DeclarativeUI,
    name: str,
    *more: Declarative.UIDescriptionResult,
    enabled: str = "idle",
    label_width: int = _NUMBER_LABEL_WIDTH,
) -> Declarative.UIDescriptionResult:
    """more: widgets behind the number's unit."""
    field: NumberField = _FIELDS[name]
    edit = _line_edit(u, name, field.tool_tip, enabled=enabled, width=_NUMBER_WIDTH)
    units = [u.create_label(text=field.unit)] if field.unit else []
    return row(u, field.label, field.tool_tip, edit, *units, *more, label_width=label_width)


def text_row(
    u: Declarative.DeclarativeUI, name: str, label: str, tool_tip: str, beside: Declarative.UIDescriptionResult
) -> Declarative.UIDescriptionResult:
    """beside: a button behind the edit."""
    width = WIDTH - LABEL_WIDTH - _BUTTON_WIDTH - 2 * _GAP
    return row(u, label, tool_tip, _line_edit(u, name, tool_tip, enabled="idle", width=width), beside)


def range_row(
    u: Declarative.DeclarativeUI, names: tuple[str, str], label: str, unit: str
) -> Declarative.UIDescriptionResult:
    """Two numbers, from and to."""
    first, last = (_line_edit(u, name, _FIELDS[name].tool_tip, enabled="idle", width=_NUMBER_WIDTH) for name in names)
    to, behind = u.create_label(text="to"), u.create_label(text=unit)
    return row(u, label, _FIELDS[names[0]].tool_tip, first, to, last, behind)


def _line_edit(
    u: Declarative.DeclarativeUI, name: str, tool_tip: str, *, enabled: str, width: int
) -> Declarative.UIDescriptionResult:
    return u.create_line_edit(
        name=f"{name}_edit",
        text=f"@binding({name}_text.value)",
        on_text_edited=f"{name}_edited",
        enabled=f"@binding({enabled}.value)",
        width=width,
        tool_tip=tool_tip,
    )


def button(
    u: Declarative.DeclarativeUI, name: str, text: str, tool_tip: str = "", *, enabled: str = "idle"
) -> Declarative.UIDescriptionResult:
    return u.create_push_button(
        name=f"{name}_button",
        text=text,
        on_clicked=f"{name}_clicked",
        enabled=f"@binding({enabled}.value)",
        tool_tip=tool_tip,
    )


def state_row(
    u: Declarative.DeclarativeUI, label: str, name: str, tool_tip: str, lines: int = 1
) -> Declarative.UIDescriptionResult:
    # Of fixed size: the panel must not grow and push the displays about while numbers change.
    return u.create_row(
        u.create_label(text=label, width=_STATE_LABEL_WIDTH, tool_tip=tool_tip),
        u.create_label(
            text=f"@binding({name}_text.value)",
            width=WIDTH - _STATE_LABEL_WIDTH,
            height=lines * LINE_HEIGHT,
            word_wrap=True,
            tool_tip=tool_tip,
        ),
        u.create_stretch(),
        spacing=_GAP,
    )


def row(
    u: Declarative.DeclarativeUI,
    label: str,
    tool_tip: str,
    *widgets: Declarative.UIDescriptionResult,
    label_width: int = LABEL_WIDTH,
) -> Declarative.UIDescriptionResult:
    return u.create_row(
        u.create_label(text=label, width=label_width, tool_tip=tool_tip), *widgets, u.create_stretch(), spacing=_GAP
    )


def column(u: Declarative.DeclarativeUI, *rows: Declarative.UIDescriptionResult) -> Declarative.UIDescriptionResult:
    """What a tab holds."""
    return u.create_column(*rows, u.create_stretch(), spacing=2, margin=2)
