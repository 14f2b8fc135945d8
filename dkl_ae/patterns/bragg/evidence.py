"""Whether discs are there at all."""

from __future__ import annotations

import functools

import numpy

from dkl_ae.patterns.bragg.disc_model import EPS_ELECTRONS, Discs, Model
from dkl_ae.patterns.bragg.discs import MIN_BACKGROUND_ELECTRONS, DiscGeometry, significance
from dkl_ae.records import BoolArray, FloatArray, IntArray

_FOUND_SIGMAS = 3.0
"""Standard deviations above the background at which a disc whose place is known counts as found."""

_STRAY_FRACTION = 0.1
"""Part of the disc's electrons a pixel that may be anywhere, where discs and halo are compared: one electron outside
the discs does not disprove them."""


def found_discs(discs: Discs, model: Model, geometry: DiscGeometry, read_noise_e: float) -> BoolArray:
    """Which discs stand above the background of their rims and what their neighbours spill."""
    disc = (model.distance <= geometry.radius_mrad) * discs.used
    rim = (model.distance > geometry.radius_mrad + max(geometry.mrad_per_pixel)) * discs.used
    area = disc.sum(axis=1)
    density = ((discs.electrons - model.neighbours) * rim).sum(axis=1) / numpy.maximum(rim.sum(axis=1), 1)
    background = numpy.maximum(density, 0) * area + (model.neighbours * disc).sum(axis=1)
    variance = area * read_noise_e**2
    standing = significance(
        numpy.maximum((discs.electrons * disc).sum(axis=1) + variance, 0),
        numpy.maximum(background, MIN_BACKGROUND_ELECTRONS) + variance,
    )
    found: BoolArray = standing >= _FOUND_SIGMAS
    return found


def evidence_of(
    electrons: FloatArray, discs: Discs, model: Model, levels: FloatArray, geometry: DiscGeometry, read_noise_e: float
) -> float:
    """Log likelihood by which discs explain the counts better than a halo, the mean of each ring about the centre.

    An amorphous halo has more electrons than the background too, but the same all round.
    """
    ring, pixels = _rings(geometry)
    halo = numpy.bincount(ring, numpy.nan_to_num(electrons.ravel()), len(pixels)) / pixels
    times = numpy.bincount(discs.pixel.ravel(), discs.used.ravel(), ring.size)
    once = discs.used / numpy.maximum(times[discs.pixel], 1)
    least = _STRAY_FRACTION * levels[:, :1] + read_noise_e**2 + EPS_ELECTRONS
    as_discs, as_halo = model.expected + least, numpy.maximum(halo[ring[discs.pixel]], 0) + least
    counted = numpy.maximum(discs.electrons + read_noise_e**2, 0)
    return float((once * (counted * numpy.log(as_discs / as_halo) - as_discs + as_halo)).sum())


@functools.lru_cache(maxsize=4)
def _rings(geometry: DiscGeometry) -> tuple[IntArray, FloatArray]:
    """Ring about the centre of each pixel, flat, and how many pixels each ring has."""
    ring = (
        (numpy.hypot(geometry.y[:, numpy.newaxis], geometry.x) / max(geometry.mrad_per_pixel))
        .astype(numpy.intp)
        .ravel()
    )
    return ring, numpy.maximum(numpy.bincount(ring), 1).astype(numpy.float64)
