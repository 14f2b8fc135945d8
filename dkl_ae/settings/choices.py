"""What there is to choose from: each key, as plans and files have it, with the label that a person sees."""

from __future__ import annotations

import enum
import typing
from collections.abc import Mapping

LARGEST: typing.Final = "largest"
SMALLEST: typing.Final = "smallest"
VALUE: typing.Final = "value"
GOALS: Mapping[str, str] = {
    LARGEST: "The largest reading",
    SMALLEST: "The smallest reading",
    VALUE: "The value below",
}

GPU: typing.Final = "gpu"
COMPUTE_DEVICES: Mapping[str, str] = {"auto": "Automatic", GPU: "GPU", "cpu": "CPU"}


class KernelInput(enum.StrEnum):
    """What a deep kernel's points in latent space are made of."""

    COMBINED = "combined"
    """The coordinates of the patches and learned features: the evidence says how much the network has to say."""
    PATCHES = "patches"
    """The coordinates of the patches alone."""
    NETWORK = "network"
    """Learned features alone, as in the published deep kernel."""


KERNEL_INPUTS: Mapping[str, str] = {
    KernelInput.COMBINED.value: "Patches and network",
    KernelInput.PATCHES.value: "Patches alone",
    KernelInput.NETWORK.value: "Network alone",
}

DARKEST: typing.Final = "darkest"
REGION: typing.Final = "region"
MEAN: typing.Final = "mean"
FILE: typing.Final = "file"
REFERENCES: Mapping[str, str] = {
    DARKEST: "Darkest pixels of the survey",
    REGION: "Region drawn on the survey",
    MEAN: "Mean over the survey",
    FILE: "File",
}

NO_DESCAN: typing.Final = "none"
DESCANS: Mapping[str, str] = {
    NO_DESCAN: "Not corrected",
    "plane": "Fit a plane",
    "quadratic": "Fit a quadratic",
}
DESCAN_ORDERS: Mapping[str, int] = {NO_DESCAN: 0, "plane": 1, "quadratic": 2}

ACQUIRE_SURVEY: typing.Final = "acquire"
USE_SELECTED_SURVEY: typing.Final = "selected"
SURVEY_SOURCES: Mapping[str, str] = {
    ACQUIRE_SURVEY: "Acquire a new frame",
    USE_SELECTED_SURVEY: "Use the selected data item",
}
