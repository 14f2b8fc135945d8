"""Constants of nature, and the usual beam of a simulation."""

from __future__ import annotations

import typing

import scipy.constants

ELEMENTARY_CHARGE_C: typing.Final[float] = scipy.constants.elementary_charge

DEFAULT_BEAM_CURRENT_A: typing.Final = 30e-12
"""The usual one of a simulated microscope."""
DEFAULT_EXPOSURE_S: typing.Final = 0.01
"""The usual one of a pattern."""
DEFAULT_ELECTRONS: typing.Final = 1.87e6
"""Of a pattern of a recording without noise: DEFAULT_BEAM_CURRENT_A for DEFAULT_EXPOSURE_S."""

DEFAULT_CROSS_ARM_NM: typing.Final = 0.06
"""How far the ends of a cross of exposures are from its centre."""
DEFAULT_MASK_OUTER: typing.Final = 1.1
"""In disc radii: where the ring in which the centre of mass is taken ends."""
