"""Constants of nature, and the usual beam of a simulation."""

from __future__ import annotations

import typing

import scipy.constants

ELEMENTARY_CHARGE_C: typing.Final[float] = scipy.constants.elementary_charge

BEAM_CURRENT_A: typing.Final = 30e-12
"""The usual one of a simulated microscope."""
EXPOSURE_S: typing.Final = 0.01
"""The usual one of a pattern."""
USUAL_ELECTRONS: typing.Final = 1.87e6
"""Of a pattern of a recording without noise: BEAM_CURRENT_A for EXPOSURE_S."""
