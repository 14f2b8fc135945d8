"""Rows of a panel: a label, and the widgets beside it. They bind to the attributes of the panel's handler by name."""

from __future__ import annotations

import typing

from nion.ui import Declarative

WIDTH = 352
LINE_HEIGHT = 16
LABEL_WIDTH = 110
NUMBER_WIDTH = 72
GAP = 6
_STATE_LABEL_WIDTH = 88


class LabelledNumber(typing.Protocol):
    """What a row tells of a number that the user types."""

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def unit(self) -> str: ...

    @property
    def tool_tip(self) -> str: ...


def row(
    u: Declarative.DeclarativeUI,
    label: str,
    tool_tip: str,
    *widgets: Declarative.UIDescriptionResult,
    label_width: int = LABEL_WIDTH,
) -> Declarative.UIDescriptionResult:
    return u.create_row(
        u.create_label(text=label, width=label_width, tool_tip=tool_tip), *widgets, u.create_stretch(), spacing=GAP
    )


def choice_row(
    u: Declarative.DeclarativeUI,
    name: str,
    label: str,
    tool_tip: str,
    *,
    enabled: str | None = "idle",
    label_width: int = LABEL_WIDTH,
    width: int = WIDTH - LABEL_WIDTH - GAP,
) -> Declarative.UIDescriptionResult:
    """enabled: what decides whether it can be used; None for always. width: of what is chosen from."""
    combo = combo_box(u, name, tool_tip, enabled=enabled, width=width)
    return row(u, label, tool_tip, combo, label_width=label_width)


def number_row(
    u: Declarative.DeclarativeUI,
    field: LabelledNumber,
    *more: Declarative.UIDescriptionResult,
    enabled: str | None = "idle",
    label_width: int = LABEL_WIDTH,
) -> Declarative.UIDescriptionResult:
    """more: widgets behind the number's unit."""
    edit = line_edit(u, field.name, field.tool_tip, enabled=enabled, width=NUMBER_WIDTH)
    units = [u.create_label(text=field.unit)] if field.unit else []
    return row(u, field.label, field.tool_tip, edit, *units, *more, label_width=label_width)


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
        spacing=GAP,
    )


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
        **_enabled(enabled),
    )


def line_edit(
    u: Declarative.DeclarativeUI, name: str, tool_tip: str, *, enabled: str | None, width: int
) -> Declarative.UIDescriptionResult:
    return u.create_line_edit(
        name=f"{name}_edit",
        text=f"@binding({name}_text.value)",
        on_text_edited=f"{name}_edited",
        width=width,
        tool_tip=tool_tip,
        **_enabled(enabled),
    )


def button(
    u: Declarative.DeclarativeUI,
    name: str,
    text: str,
    tool_tip: str = "",
    *,
    enabled: str | None = "idle",
    width: int | None = None,
) -> Declarative.UIDescriptionResult:
    """width: None for as wide as the text asks for."""
    return u.create_push_button(
        name=f"{name}_button",
        text=text,
        on_clicked=f"{name}_clicked",
        tool_tip=tool_tip,
        width=width,
        **_enabled(enabled),
    )


def column(u: Declarative.DeclarativeUI, *rows: Declarative.UIDescriptionResult) -> Declarative.UIDescriptionResult:
    """What a tab holds."""
    return u.create_column(*rows, u.create_stretch(), spacing=2, margin=2)


def _enabled(name: str | None) -> dict[str, typing.Any]:
    return {"enabled": f"@binding({name}.value)"} if name else {}
