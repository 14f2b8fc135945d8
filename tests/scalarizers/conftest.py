"""Simulated graphene with counting noise, which several tests read."""

import pathlib

import numpy
import pytest

DATA = pathlib.Path(__file__).parents[1] / "data"


@pytest.fixture(scope="session")
def graphene() -> dict[str, numpy.ndarray]:
    """Multislice patterns (abTEM 1.0.11) of graphene with silicon, 1e5 electrons of Poisson noise each, and the first
    moment of all scattered intensity as truth."""
    with numpy.load(DATA / "fixture_graphene_si_24x24_1e5e.npz") as data:
        return {name: data[name] for name in data.files}


@pytest.fixture(scope="session")
def peers() -> dict[str, numpy.ndarray]:
    """What py4DSTEM 0.14.18 and LiberTEM 0.16.0 read of those patterns, about pixel (32.25, 31.75), for a disc of 12
    pixels: `<package>_<reading>`."""
    with numpy.load(DATA / "peers_graphene_si_24x24_1e5e.npz") as data:
        return {name: data[name] for name in data.files}
