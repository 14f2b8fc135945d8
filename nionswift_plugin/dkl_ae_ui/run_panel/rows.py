"""The rows of the panel's settings: each is made from what is known of the setting."""

from __future__ import annotations

from collections.abc import Mapping

from nion.ui import Declarative

from dkl_ae.settings import SETTINGS, Setting
from nionswift_plugin.dkl_ae_kit.rows import GAP, NUMBER_WIDTH, button, combo_box, line_edit, row
from nionswift_plugin.dkl_ae_ui.run_panel.form import is_choice

_WIDTH = 376
"""Of a row: what the panel's buttons leave."""
_LABEL_WIDTH = 136
BUTTON_WIDTH = 92
_ALWAYS = ("scalarizer", "goal")
"""What can be chosen during a run too, for the next change of the objective."""
_TIPS = {"scalarizer": "scalarizer_tip", "acquisition": "acquisition_tip"}
"""Settings whose help is that of what is chosen."""


def setting_row(
    u: Declarative.DeclarativeUI, known: Setting, *more: Declarative.UIDescriptionResult
) -> Declarative.UIDescriptionResult:
    """more: widgets behind the setting's own."""
    tip = f"@binding({_TIPS[known.key]}.value)" if known.key in _TIPS else known.help
    if is_choice(known):
        enabled = None if known.key in _ALWAYS else "idle"
        width = _WIDTH - _LABEL_WIDTH - GAP
        return row(
            u, known.label, tip, combo_box(u, known.key, tip, enabled=enabled, width=width), label_width=_LABEL_WIDTH
        )
    if known.kind is str:
        beside = (*more, button(u, f"browse_{known.key}", "Browse...", width=BUTTON_WIDTH)) if known.is_file else more
        width = _WIDTH - _LABEL_WIDTH - GAP - len(beside) * (BUTTON_WIDTH + GAP)
        edit = line_edit(u, known.key, tip, enabled="idle", width=width)
        return row(u, known.label, tip, edit, *beside, label_width=_LABEL_WIDTH)
    enabled = "can_seek_value" if known.key == "goal_value" else "idle"
    edit = line_edit(u, known.key, tip, enabled=enabled, width=NUMBER_WIDTH)
    units = [u.create_label(text=known.unit)] if known.unit else []
    return row(u, known.label, tip, edit, *units, *more, label_width=_LABEL_WIDTH)


def settings_rows(
    u: Declarative.DeclarativeUI,
    groups: tuple[str, ...],
    beside: Mapping[str, tuple[Declarative.UIDescriptionResult, ...]],
    *,
    advanced: bool = False,
) -> list[Declarative.UIDescriptionResult]:
    """A row for each setting of some groups, in their order.

    beside: widgets behind a setting's own, by its key.
    advanced: whether those are shown that are seldom changed, or the others.
    """
    return [
        setting_row(u, known, *beside.get(known.key, ()))
        for group in groups
        for known in SETTINGS.values()
        if known.group == group and known.is_advanced is advanced
    ]
