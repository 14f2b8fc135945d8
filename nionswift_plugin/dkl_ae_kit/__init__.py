"""What both plug-ins use. Registers nothing: Swift finds no run() here."""

from nionswift_plugin.dkl_ae_kit.texts import with_error
from nionswift_plugin.dkl_ae_kit.window_tasks import Task, WindowTasks
from nionswift_plugin.dkl_ae_kit.workspaces import shown_workspace

__all__ = ["Task", "WindowTasks", "shown_workspace", "with_error"]
