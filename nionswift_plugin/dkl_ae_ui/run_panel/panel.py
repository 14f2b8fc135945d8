"""The panel as Swift's panel menu offers it."""

from __future__ import annotations

import typing

from nionswift_plugin.dkl_ae_kit import RUN_PANEL_ID, PanelKind
from nionswift_plugin.dkl_ae_ui.run_panel.handler import PANEL_TITLE, Handler

PANEL: typing.Final = PanelKind(RUN_PANEL_ID, PANEL_TITLE, "left", 340, Handler)
