"""Settings shared by all tests."""

from __future__ import annotations

import gc
import os
import typing

# Two busy cores crawl when every small matrix product starts its own threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy
import pytest
from hypothesis import settings

if typing.TYPE_CHECKING:
    from tests.support.demo import Demo
from tests.support.recorded_patterns import DATA, GRAPHENE

# Torch and Swift make half a million objects that live to the end: collecting garbage among them as often as Python
# does by itself takes a fifth of all time.
gc.set_threshold(20_000, 20, 50)
# Shared machines stall at random: a deadline would fail a test for its neighbours' work.
# The ordinary run tries the same examples each time, so that it says the same of the same code; new ones are looked for
# by the exhaustive run.
settings.register_profile("ordinary", deadline=None, max_examples=20, derandomize=True)
settings.register_profile("exhaustive", deadline=None, max_examples=100)

LONGEST_FIRST = ("gui", "swift", "commands", "session", "reports", "model")
"""Folders that take longest: begun last, they would keep one core busy while the others have nothing left to do."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--exhaustive", action="store_true", help="try the laws marked exhaustive as often as before a release"
    )


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("exhaustive" if config.getoption("exhaustive") else "ordinary")


def pytest_report_header(config: pytest.Config) -> str:
    return f"exhaustive: {'yes' if config.getoption('exhaustive') else 'no'}"


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in this hook, too
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With pytest-xdist: a file's tests share its fixtures, and windows do not take the keyboard from one another."""
    place = {folder: number for number, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.path.parent.name, len(place)))
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            together = item.get_closest_marker("gui") or "demo" in getattr(item, "fixturenames", ())
            group = "window" if together else item.nodeid.partition("::")[0]
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: typing.Any, ids: list[str]) -> None:
    if node.config.getoption("dist") == "loadgroup" and not all("@" in name for name in ids):
        raise pytest.UsageError(
            "pytest-xdist does not see which tests belong together: install the versions that constraints.txt names."
        )


@pytest.fixture
def times(request: pytest.FixtureRequest) -> int:
    """How often a test marked exhaustive(ordinary=..., full=...) tries its law."""
    mark = request.node.get_closest_marker("exhaustive")
    return int(mark.kwargs["full" if request.config.getoption("exhaustive") else "ordinary"])


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo, run once for all who look at it."""
    from tests.support.demo import run_demo

    return run_demo(tmp_path_factory.mktemp("demo"))


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
