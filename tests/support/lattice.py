"""A survey of a lattice, readings that its patches explain, and models that learn them."""

from __future__ import annotations

import numpy

from dkl_ae.model import Posterior, Surrogate
from dkl_ae.records import Patches, Survey
from tests.support.strategies import Data

SIZE = 5


def lattice(height: int = 24, width: int = 26) -> Survey:
    """A square lattice, some of whose sites are brighter."""
    random = numpy.random.default_rng(3)
    row, column = numpy.mgrid[:height, :width]
    brightness = numpy.repeat(numpy.repeat(random.choice([1.0, 2.0], (height, width), p=[0.8, 0.2]), 6, 0), 6, 1)
    sites = (1 + numpy.cos(row * 2 * numpy.pi / 6)) * (1 + numpy.cos(column * 2 * numpy.pi / 6))
    return Survey(sites * brightness[:height, :width] + 0.05 * random.normal(size=(height, width)), 0.02)


PATCHES = Patches(lattice(), SIZE)
TRUTH = PATCHES.windows[:, :, SIZE // 2, SIZE // 2].ravel() - PATCHES.windows[:, :, 1, 1].ravel()


def measured(count: int, seed: int = 0, sigma: float = 0.05) -> Data:
    random = numpy.random.default_rng(seed)
    candidates = random.choice(PATCHES.count, count, replace=False)
    return Data(candidates, TRUTH[candidates] + sigma * random.normal(size=count), numpy.full(count, sigma))


def fit(model: Surrogate, data: Data) -> Posterior:
    model.fit(data.candidates, data.values, data.sigmas)
    return model.predict()


def assert_equal(first: Posterior, second: Posterior, tolerance: float) -> None:
    numpy.testing.assert_allclose(first.mean, second.mean, rtol=0, atol=tolerance)
    numpy.testing.assert_allclose(first.sigma, second.sigma, rtol=0, atol=tolerance)
