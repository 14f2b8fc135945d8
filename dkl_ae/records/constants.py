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
"""How far the ends of a cross of exposures are from its centre. The noise of a divergence falls with the arm, and its
signal when the arm is longer than the probe is wide: about here their ratio is best for an atomically sharp probe."""
DEFAULT_MASK_OUTER: typing.Final = 1.1
"""In disc radii: the centre of mass is taken inside. This keeps 99.6 % of the signal of a 30 mrad probe and leaves out
the detector's far corners, whose read noise would otherwise dominate."""
