"""Virtual detectors: the fraction of the counted electrons that fall on a part of the camera."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy

from dkl_ae.patterns import DETECTORS, Patterns, Reference, difference_slopes
from dkl_ae.records import BoolArray, Symmetry
from dkl_ae.scalarizers.scalarizer import Scalarizer, ScalarizerResult

UNIT = "fraction of the beam"
_COLUMNS = {name: column for column, name in enumerate(("dpc_x", "dpc_y", *DETECTORS))}


def _fraction(name: str, patterns: Patterns) -> ScalarizerResult:
    m, column = patterns.moments, _COLUMNS[name]
    return ScalarizerResult(m.fractions[:, column], m.fraction_sigmas[:, column])


def _difference(axis: int, name: str, patterns: Patterns) -> ScalarizerResult:
    """Of two halves of the disc, which the line through its centre parts.

    axis: across that line, 0 for y and 1 for x.
    """
    found, reference = _fraction(name, patterns), patterns.reference
    slopes = difference_slopes(reference)
    # A disc within a larger mask has at most so much of its electrons in a strip along its diameter, by its width.
    slope = 4 / (math.pi * reference.radius_mrad) if slopes is None else slopes[axis]
    by_shift = slope * patterns.moments.fractions[:, _COLUMNS["bf"]]
    shared = numpy.zeros((4, len(patterns)))
    shared[2 + axis] = by_shift * patterns.centre_sigmas_mrad[..., axis]
    value = found.value if patterns.zeros is None else found.value - by_shift * patterns.zeros.shifts_mrad[:, axis]
    return dataclasses.replace(found, value=value, shared=shared)


def _detector(name: str, label: str, description: str) -> Scalarizer:
    return Scalarizer(name, label, UNIT, description, functools.partial(_fraction, name), Symmetry.SCALAR)


def _dpc(axis: int, name: str, label: str, description: str, symmetry: Symmetry) -> Scalarizer:
    return Scalarizer(name, label, UNIT, description, functools.partial(_difference, axis, name), symmetry)


VIRTUAL_DETECTORS = (
    _detector("bf", "Virtual BF", "Electrons in the bright-field disc, over all that were counted."),
    _detector(
        "abf",
        "Virtual ABF",
        "Electrons between half the bright-field disc's radius and its radius, over all that were counted.",
    ),
    _detector("adf", "Virtual ADF", "Electrons beyond 1.1 disc radii, over all that were counted."),
    _detector("maadf", "Virtual MAADF", "Electrons between 1.1 and 2 disc radii, over all that were counted."),
    _detector("haadf", "Virtual HAADF", "Electrons beyond 2 disc radii, over all that were counted."),
    _dpc(
        1,
        "dpc_x",
        "DPC x",
        "The right half of the bright-field disc less its left half, over all: a segmented detector's signal.",
        Symmetry.X,
    ),
    _dpc(
        0,
        "dpc_y",
        "DPC y",
        "The lower half of the bright-field disc less its upper half, over all.",
        Symmetry.Y,
    ),
)


def region(name: str, mask_of: Callable[[Reference], BoolArray], symmetry: Symmetry) -> Scalarizer:
    """A virtual detector of any form. mask_of: its pixels on a reference's detector, shape (ky, kx)."""
    masks = functools.lru_cache(maxsize=4)(mask_of)

    def evaluate(patterns: Patterns) -> ScalarizerResult:
        mask, total = masks(patterns.reference), patterns.moments.total
        noise = patterns.reference.read_noise_electrons**2
        with numpy.errstate(divide="ignore", invalid="ignore"):
            fraction = patterns.electrons[:, mask].sum(axis=1) / total
            pixels = numpy.count_nonzero(mask)
            read = noise * (pixels * (1 - 2 * fraction) + mask.size * fraction**2)
            variance = numpy.maximum(fraction * (1 - fraction), 1 / total) / total + read / total**2
        return ScalarizerResult(fraction, numpy.sqrt(variance))

    return Scalarizer(
        name, name.capitalize(), UNIT, "Electrons in a region, over all that were counted.", evaluate, symmetry
    )
