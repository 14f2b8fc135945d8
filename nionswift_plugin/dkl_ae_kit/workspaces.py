"""The workspaces that show a run."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence

from nion.swift import DisplayPanel, DocumentController


def shown_workspace(
    window: DocumentController.DocumentController, title: str, layout: Mapping[str, typing.Any], identifier: str
) -> Sequence[DisplayPanel.DisplayPanel]:
    """Show a workspace, making it where there is none yet; returns its display panels, none in a window without them.

    layout: see `nion.swift.Workspace`.
    """
    controller = window.workspace_controller
    if controller is None:
        return ()
    # Swift rebuilds the whole window to change the workspace: not when it is shown already.
    if getattr(controller._workspace, "workspace_id", None) != identifier:
        controller.ensure_workspace(title, dict(layout), identifier)
    return controller.display_panels
