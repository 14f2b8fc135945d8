"""Panels in Swift's own panel menu, each made of the widgets that a declarative handler describes."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping

from nion.swift import DocumentController, Panel, Workspace
from nion.ui import Declarative

Handler = typing.TypeVar("Handler", bound=Declarative.Handler)


class HandlerPanel(Panel.Panel, typing.Generic[Handler]):
    """Shows the widgets of a handler."""

    def __init__(
        self, window: DocumentController.DocumentController, panel_id: str, title: str, handler: Handler
    ) -> None:
        super().__init__(window, panel_id, title)
        self.handler = handler
        self.widget = Declarative.DeclarativeWidget(window.ui, window.event_loop, handler)


@dataclasses.dataclass(frozen=True)
class PanelKind(typing.Generic[Handler]):
    """A panel as the menu offers it; each window has one of it.

    make_handler: given the window.
    """

    panel_id: str
    title: str
    side: typing.Literal["left", "right"]
    """Of the window, where it is first shown."""
    min_width: int
    make_handler: Callable[[DocumentController.DocumentController], Handler]
    panel_class: type[HandlerPanel[Handler]] = HandlerPanel

    def open(self, window: DocumentController.DocumentController) -> HandlerPanel[Handler]:
        return self.panel_class(window, self.panel_id, self.title, self.make_handler(window))

    def register(self) -> None:
        """Put it into the panel menu."""

        def make(
            window: DocumentController.DocumentController, panel_id: str, properties: Mapping[str, typing.Any]
        ) -> HandlerPanel[Handler]:
            return self.open(window)

        Workspace.WorkspaceManager().register_panel(
            # Swift asks for a class but only calls it.
            typing.cast(type[typing.Any], make),
            self.panel_id,
            self.title,
            ["left", "right"],
            self.side,
            {"min-width": self.min_width},
        )

    def find(self, window: DocumentController.DocumentController) -> HandlerPanel[Handler]:
        """The panel that Swift made in a window; raises LookupError when there is none."""
        panel = window.find_dock_panel(self.panel_id)
        if not isinstance(panel, HandlerPanel):
            raise LookupError(f"Swift's window has no panel {self.title}: install nionswift-dkl-ae where Swift is.")
        return panel
