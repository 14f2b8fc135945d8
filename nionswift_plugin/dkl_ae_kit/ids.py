"""Under which names Swift knows what the plug-ins register."""

from __future__ import annotations

import typing

RUN_COMPONENT: typing.Final = "dkl_ae_run"
"""The run under way is registered with Swift under this name: two would fight over the probe, and whoever else would
touch the microscope can ask."""

RUN_PANEL_ID: typing.Final = "dkl-ae-panel"
REVIEW_PANEL_ID: typing.Final = "dkl-ae-review-panel"
SIMULATOR_PANEL_ID: typing.Final = "dkl-ae-simulator-panel"

SIMULATOR_ID: typing.Final = "dkl_ae_stem"
"""The instrument of the simulated microscope."""
