"""Readings at the edge of a crystal, where discs are hollow and streaks run through them.

The patterns are those of the simulated bilayer about its holes, at full dose, with counting noise.
"""

import math

import numpy
import pytest

from dkl_ae.patterns.bragg.measure import measure_lattice
from dkl_ae.records import DEFAULT_ELECTRONS
from dkl_ae.simulation import PRESETS, PatternSimulator

SPACING_MRAD = 21.05
"""Of unstrained graphene at 70 kV; the specimen's strain is at most 2.5 %."""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_reading_at_an_edge_is_of_another_lattice(seed: int) -> None:
    preset = PRESETS["bilayer-strain"]
    specimen = preset.make(seed)
    simulator = PatternSimulator(specimen, preset.optics, preset.geometry)
    hole_y, hole_x = specimen.sites["hole"]
    random = numpy.random.default_rng(seed)
    angle, distance = random.uniform(0, 2 * math.pi, 100), random.uniform(0.9, 1.5, 100)
    means = simulator.patterns(hole_y + distance * numpy.sin(angle), hole_x + distance * numpy.cos(angle))
    patterns = random.poisson(DEFAULT_ELECTRONS * means).astype(float)
    pixel = simulator.geometry.mrad_per_pixel
    lattices = [
        measure_lattice(pattern, simulator.geometry.centre_pixels, (pixel, pixel), simulator.optics.convergence_mrad)
        for pattern in patterns
    ]
    spacings = numpy.array([lattice.spacing_mrad for lattice in lattices if not lattice.reason])
    assert spacings.size >= 10
    assert numpy.abs(spacings - SPACING_MRAD).max() < 2.0
