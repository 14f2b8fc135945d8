"""A run's settings: pure data."""

from dkl_ae.settings.choices import (
    DARKEST,
    DESCAN_ORDERS,
    DEVICES,
    FILE,
    GOALS,
    LARGEST,
    MEAN,
    NO_DESCAN,
    REFERENCES,
    REGION,
    SMALLEST,
    VALUE,
    KernelInput,
)

__all__ = [
    "DARKEST",
    "DESCAN_ORDERS",
    "DEVICES",
    "FILE",
    "GOALS",
    "LARGEST",
    "MEAN",
    "NO_DESCAN",
    "REFERENCES",
    "REGION",
    "SMALLEST",
    "VALUE",
    "KernelInput",
]
