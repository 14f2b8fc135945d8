"""Time of one step of the model on one CPU thread: fit, predict, acquire.

Run as `OMP_NUM_THREADS=1 python benchmarks/engine.py`. Times are milliseconds: the first fit starts from scratch; then
medians and means of the twelve steps after it, some of which train and most of which only condition the model.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable

import numpy

from dkl_ae.acquisition import Belief, choose, score
from dkl_ae.deep_kernel import DeepKernel
from dkl_ae.survey import Patches, Survey
from dkl_ae.symmetry import Symmetry

PATCH_SIZE = 13
STEPS = 12


def milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


def survey(side: int) -> Survey:
    """A lattice with defects and noise."""
    random = numpy.random.default_rng(0)
    row, column = numpy.mgrid[:side, :side]
    lattice = numpy.cos(row / 1.3) * numpy.cos(column / 1.5) + numpy.cos(row / 2.1 + column / 1.7)
    return Survey(lattice + 0.2 * random.normal(size=lattice.shape), 0.02)


def measure(patches: Patches, count: int) -> list[float]:
    """Milliseconds of the first fit; median of fit, prediction, acquisition and all three in later steps; and the mean
    of all three."""
    random = numpy.random.default_rng(1)
    candidates = random.choice(patches.count, count + STEPS, replace=False)
    values = numpy.tanh(patches.features[candidates] @ random.normal(size=PATCH_SIZE**2) / PATCH_SIZE)
    sigmas = numpy.full(values.shape, 0.02)
    allowed = numpy.ones(patches.count, numpy.bool_)
    model = DeepKernel(patches.features, patch_size=PATCH_SIZE, seed=0, symmetry=Symmetry.SCALAR, device="cpu")

    def fit(n: int) -> None:
        model.fit(candidates[:n], values[:n], sigmas[:n])

    def acquire() -> None:
        belief = Belief(posterior.mean, posterior.sigma, float(values.max()), float(values.std()))
        choose(score("expected_improvement", belief, 0.01), allowed)

    first = milliseconds(lambda: fit(count))
    posterior = model.predict()
    steps = [
        (milliseconds(functools.partial(fit, n)), milliseconds(model.predict), milliseconds(acquire))
        for n in range(count + 1, count + STEPS + 1)
    ]
    totals = [sum(step) for step in steps]
    medians = [statistics.median(column) for column in zip(*steps, strict=True)]
    return [first, *medians, statistics.median(totals), statistics.mean(totals)]


def main() -> None:
    print("candidates     n  first fit        fit    predict    acquire       step  step mean")
    for side in (64, 101):
        patches = Patches(survey(side), PATCH_SIZE)
        measure(patches, 10)  # torch takes its time when it is first used
        for count in (10, 30, 100, 300, 1000):
            print(f"{patches.count:10d} {count:5d}", *(f"{time_ms:10.1f}" for time_ms in measure(patches, count)))


if __name__ == "__main__":
    main()
