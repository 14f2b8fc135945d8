"""What there is to choose from."""

from __future__ import annotations

import enum

DEVICES = ("auto", "gpu", "cpu")

LARGEST = "largest"
SMALLEST = "smallest"
VALUE = "value"
GOALS = (LARGEST, SMALLEST, VALUE)

DARKEST = "darkest"
REGION = "region"
MEAN = "mean"
FILE = "file"
REFERENCES = (DARKEST, REGION, MEAN, FILE)

NO_DESCAN = "none"
DESCAN_ORDERS = {NO_DESCAN: 0, "plane": 1, "quadratic": 2}


class KernelInput(enum.StrEnum):
    """What a deep kernel's points in latent space are made of."""

    COMBINED = "combined"
    """The base's coordinates and learned features: the evidence says how much the network has to say."""
    PATCHES = "patches"
    """The base's coordinates alone."""
    NETWORK = "network"
    """Learned features alone, as in the published deep kernel."""
