"""Time of one step of the model: fit, predict, acquire; beside the published method in the same run."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator

import numpy
import torch

from dkl_ae.benchmarks.published import CYCLES, AtomAIDKL
from dkl_ae.experiment import ObjectivePosterior, choose, score
from dkl_ae.model.deep_kernel import GROWTH_BEFORE_TRAINING, DeepKernel, single_threaded_torch
from dkl_ae.records import FloatArray, IntArray, Patches, Survey, Symmetry, centred_size

COUNTS = (10, 30, 100, 300, 1000)
CANDIDATES = (2809, 7921, 62001)
PATCHES = (12, 16)
"""Of the source paper; each is met by the next odd size, which has a centre."""
TIMED_CYCLES = 4
"""Of the 200 of the published method; its time is scaled."""
CONDITIONED_STEPS = 4


@dataclasses.dataclass(frozen=True)
class Row:
    """Milliseconds of a step, a training shared among the steps between two trainings."""

    n: int
    candidates: int
    patch: int
    device: str
    fit_ms: float
    predict_ms: float
    acquire_ms: float
    paper_ms: float
    """Of fitting and predicting the published method."""
    ratio: float


def engine_rows(
    counts: tuple[int, ...] = COUNTS,
    candidates: tuple[int, ...] = CANDIDATES,
    patches: tuple[int, ...] = PATCHES,
) -> Iterator[Row]:
    """One row for each combination, on the CPU with one thread, and on the GPU where there is one."""
    devices = ["cpu", "gpu"] if torch.cuda.is_available() else ["cpu"]
    for device in devices:
        for patch in patches:
            for many in candidates:
                size = centred_size(patch)
                survey_patches = Patches(_survey(math.isqrt(many) + size - 1), size)
                for n in counts:
                    yield _row(survey_patches, n, patch, device)


def engine_table(rows: Iterator[Row]) -> Iterator[str]:
    """Lines for people."""
    yield "     n candidates patch device    fit ms predict ms acquire ms    step ms   paper ms    ratio"
    for row in rows:
        step = row.fit_ms + row.predict_ms + row.acquire_ms
        yield (
            f"{row.n:6} {row.candidates:10} {row.patch:5} {row.device:>6} {row.fit_ms:9.1f} {row.predict_ms:10.1f} "
            f"{row.acquire_ms:10.1f} {step:10.1f} {row.paper_ms:10.0f} {row.ratio:8.0f}"
        )


def _row(patches: Patches, n: int, patch: int, device: str) -> Row:
    candidates, values, sigmas = _measured(patches, math.ceil(n * GROWTH_BEFORE_TRAINING) + CONDITIONED_STEPS)
    model = DeepKernel(patches.features, patch_size=patches.size, seed=0, symmetry=Symmetry.SCALAR, device=device)

    def step(count: int) -> tuple[float, float]:
        fitting = _milliseconds(lambda: model.fit(candidates[:count], values[:count], sigmas[:count]))
        return fitting, _milliseconds(model.predict)

    # The first training, from scratch, belongs to the seeds; the steps that follow condition the model until the next.
    step(n)
    conditioned = numpy.median([step(n + 1 + extra) for extra in range(CONDITIONED_STEPS)], axis=0)
    trained = step(len(candidates))
    between = max(math.ceil(n * (GROWTH_BEFORE_TRAINING - 1)), 1)
    fit_ms, predict_ms = ((between - 1) * c + t for c, t in zip(conditioned, trained, strict=True))
    posterior = model.predict()
    allowed = numpy.ones(patches.count, numpy.bool_)
    belief = ObjectivePosterior(posterior.mean, posterior.sigma, float(values.max()), float(values.std()))
    acquire_ms = _milliseconds(lambda: choose(score("expected_improvement", belief, 0.01), allowed))
    paper_ms = _published_ms(patches, candidates[:n], values[:n], "cuda" if device == "gpu" else "cpu")
    ours = (fit_ms + predict_ms) / between + acquire_ms
    return Row(
        n, patches.count, patch, device, fit_ms / between, predict_ms / between, acquire_ms, paper_ms, paper_ms / ours
    )


def _published_ms(patches: Patches, candidates: IntArray, values: FloatArray, device: str) -> float:
    with single_threaded_torch():
        published = AtomAIDKL(patches.features, device)
        seconds = published.fit(candidates, values, TIMED_CYCLES) * CYCLES
        return 1e3 * seconds + _milliseconds(published.predict)


def _survey(side: int) -> Survey:
    """A lattice with defects and noise."""
    random = numpy.random.default_rng(0)
    row, column = numpy.mgrid[:side, :side]
    lattice = numpy.cos(row / 1.3) * numpy.cos(column / 1.5) + numpy.cos(row / 2.1 + column / 1.7)
    return Survey(lattice + 0.2 * random.normal(size=lattice.shape), 0.02)


def _measured(patches: Patches, count: int) -> tuple[IntArray, FloatArray, FloatArray]:
    random = numpy.random.default_rng(1)
    candidates = random.choice(patches.count, count, replace=False)
    pixels = patches.features.shape[1]
    values = numpy.tanh(patches.features[candidates] @ random.normal(size=pixels) / math.sqrt(pixels))
    return candidates, values.astype(float), numpy.full(count, 0.02)


def _milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - start)
