"""What both plug-ins use. Registers nothing: Swift finds no run() here."""

from nionswift_plugin.dkl_ae_kit.ids import (
    REVIEW_PANEL_ID,
    RUN_COMPONENT,
    RUN_PANEL_ID,
    SIMULATOR_ID,
    SIMULATOR_PANEL_ID,
)
from nionswift_plugin.dkl_ae_kit.number_field import NumberField
from nionswift_plugin.dkl_ae_kit.panels import HandlerPanel, PanelKind
from nionswift_plugin.dkl_ae_kit.window_tasks import Task, WindowTasks
from nionswift_plugin.dkl_ae_kit.workspaces import shown_workspace

__all__ = [
    "REVIEW_PANEL_ID",
    "RUN_COMPONENT",
    "RUN_PANEL_ID",
    "SIMULATOR_ID",
    "SIMULATOR_PANEL_ID",
    "HandlerPanel",
    "NumberField",
    "PanelKind",
    "Task",
    "WindowTasks",
    "shown_workspace",
]
