"""The panel as Swift's panel menu offers it."""

from __future__ import annotations

import typing

from nionswift_plugin.dkl_ae_kit import REVIEW_PANEL_ID, RUN_PANEL_ID, HandlerPanel, PanelKind
from nionswift_plugin.dkl_ae_ui.review_panel.handler import Handler


class ReviewPanel(HandlerPanel[Handler]):
    """Shares a place with the panel that runs."""

    def create_dock_widget(self, title: str, positions: typing.Sequence[str], position: str) -> None:
        super().create_dock_widget(title, positions, position)
        # Not before the window is as its user has left it.
        self.queue_task(self._heed_show)

    def _heed_show(self) -> None:
        self.dock_widget.on_will_show = lambda: self.queue_task(self._join_run_panel)

    def _join_run_panel(self) -> None:
        """Be the front tab of the panel that runs, when both are shown: a small screen has no room for one above the
        other."""
        window = self.document_controller
        run_panel = window.find_dock_panel(RUN_PANEL_ID)
        if run_panel is not None and run_panel.dock_widget.visible:
            window.tabify_dock_widgets(run_panel.dock_widget, self.dock_widget)


PANEL: typing.Final = PanelKind(
    REVIEW_PANEL_ID, "Automated Experiment Review", "left", 340, Handler, panel_class=ReviewPanel
)
