"""Settings shared by all tests."""

import os

# Two busy cores crawl when every small matrix product starts its own threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy
import pytest
from hypothesis import settings

from tests.support.recorded_patterns import DATA, GRAPHENE

# Shared machines stall at random: a deadline would fail a test for its neighbours' work.
settings.register_profile("dkl-ae", deadline=None, max_examples=50)
settings.load_profile("dkl-ae")


@pytest.fixture(scope="session")
def graphene() -> dict[str, numpy.ndarray]:
    """Multislice patterns (abTEM 1.0.11) of graphene with silicon, 1e5 electrons of Poisson noise each, and the first
    moment of all scattered intensity as truth."""
    with numpy.load(GRAPHENE) as data:
        return {name: data[name] for name in data.files}


@pytest.fixture(scope="session")
def peers() -> dict[str, numpy.ndarray]:
    """What py4DSTEM 0.14.18 and LiberTEM 0.16.0 read of those patterns, about pixel (32.25, 31.75), for a disc of 12
    pixels: `<package>_<reading>`."""
    with numpy.load(DATA / "peers_graphene_si_24x24_1e5e.npz") as data:
        return {name: data[name] for name in data.files}
