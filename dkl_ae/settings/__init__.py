"""A run's settings: pure data."""

from dkl_ae.settings.choices import (
    DARKEST,
    DESCAN_ORDERS,
    FILE,
    GPU,
    LARGEST,
    MEAN,
    NO_DESCAN,
    REFERENCES,
    REGION,
    SMALLEST,
    USE_SELECTED_SURVEY,
    VALUE,
    KernelInput,
)
from dkl_ae.settings.groups import GROUPS, DeviceSettings, ObjectiveSettings, SearchSettings
from dkl_ae.settings.plan import SETTINGS, Plan, changed, make_plan, values_of
from dkl_ae.settings.setting import Setting, Value, to_text
from dkl_ae.settings.stored import from_json, present_keys, to_json

__all__ = [
    "DARKEST",
    "DESCAN_ORDERS",
    "FILE",
    "GPU",
    "GROUPS",
    "LARGEST",
    "MEAN",
    "NO_DESCAN",
    "REFERENCES",
    "REGION",
    "SETTINGS",
    "SMALLEST",
    "USE_SELECTED_SURVEY",
    "VALUE",
    "DeviceSettings",
    "KernelInput",
    "ObjectiveSettings",
    "Plan",
    "SearchSettings",
    "Setting",
    "Value",
    "changed",
    "from_json",
    "make_plan",
    "present_keys",
    "to_json",
    "to_text",
    "values_of",
]
