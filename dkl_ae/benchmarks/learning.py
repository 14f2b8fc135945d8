"""How well the model learns recorded sets: from random points, and when it chooses its points itself.

A file is a noise-free recorded set with its survey and a pattern of vacuum (`vacuum`). Patterns are counted at 1.87e6
electrons. For each driving number: R2, mean negative log density (against the variance of the map) and coverage of the
95 % and 68 % intervals over what was not measured, at 1, 3 and 10 % random points, means of three seeds; and, after 10
random points and 50 by expected improvement, how many of the best 1 % were found, and the same of the final map,
medians of five seeds.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

import h5py
import numpy
import numpy.typing

from dkl_ae.acquisition import Belief, choose, score
from dkl_ae.deep_kernel import DeepKernel
from dkl_ae.recording import open_recording
from dkl_ae.scalarizers import SCALARIZERS, find_reference, scalarize
from dkl_ae.surrogate import Posterior
from dkl_ae.survey import FloatArray, IntArray, Patches, Survey

PATCH_SIZE = 13
ELECTRONS = 1.87e6
FRACTIONS = (0.01, 0.03, 0.1)
LINEAR = [scalarizer for scalarizer in SCALARIZERS.values() if not scalarizer.circular]


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """One number at every candidate."""

    name: str
    values: FloatArray
    sigmas: FloatArray
    truth: FloatArray


def targets(file: pathlib.Path) -> tuple[Patches, list[Target]]:
    """The survey's patches, and each number that a run could follow.

    Raises ValueError for a file that cannot be used.
    """
    recording = open_recording(file)
    with h5py.File(file) as opened:
        if "vacuum" not in opened or not recording.is_noise_free:
            raise ValueError(f"{file.name} is not a noise-free set with a pattern of vacuum: choose another.")
        vacuum = numpy.array(opened["vacuum"], float) * ELECTRONS
    reference = find_reference(vacuum, recording.mrad_per_pixel)
    patches = Patches(Survey(recording.survey, recording.nm_per_pixel), PATCH_SIZE)
    random = numpy.random.default_rng(0)
    columns: dict[str, list[tuple[float, float, float]]] = {scalarizer.name: [] for scalarizer in LINEAR}
    for candidate in range(patches.count):
        expected = ELECTRONS * recording.pattern(*patches.pixel(candidate))
        seen, true = scalarize(random.poisson(expected), reference), scalarize(expected, reference)
        for name, column in columns.items():
            column.append((seen[name].value, seen[name].sigma, true[name].value))
    recording.close()
    return patches, [Target(name, *numpy.array(column).T) for name, column in columns.items()]


def model_of(patches: Patches, target: Target, seed: int) -> DeepKernel:
    symmetry = SCALARIZERS[target.name].symmetry
    return DeepKernel(patches.features, patch_size=PATCH_SIZE, seed=seed, symmetry=symmetry, device="cpu")


def quality(prediction: Posterior, target: Target, unseen: numpy.typing.NDArray[numpy.bool_]) -> list[float]:
    """R2, negative log density, coverage of 95 % and 68 %."""
    error, sigma, truth = (
        (array[unseen]) for array in (prediction.mean - target.truth, prediction.sigma, target.truth)
    )
    density = 0.5 * numpy.log(2 * numpy.pi * sigma**2 / truth.var()) + 0.5 * (error / sigma) ** 2
    covered = [numpy.mean(numpy.abs(error) < width * sigma) for width in (1.96, 1.0)]
    return [1 - float(numpy.mean(error**2) / truth.var()), float(density.mean()), *map(float, covered)]


def learn(model: DeepKernel, target: Target, measured: IntArray) -> Posterior:
    model.fit(measured, target.values[measured], target.sigmas[measured])
    return model.predict()


def passive(patches: Patches, target: Target, count: int) -> FloatArray:
    found = []
    for seed in range(3):
        measured = numpy.random.default_rng(seed).choice(patches.count, count, replace=False)
        unseen = numpy.ones(patches.count, bool)
        unseen[measured] = False
        found.append(quality(learn(model_of(patches, target, seed), target, measured), target, unseen))
    means: FloatArray = numpy.array(found).mean(axis=0)
    return means


def active(patches: Patches, target: Target) -> FloatArray:
    best = target.truth >= numpy.quantile(target.truth, 0.99)
    found = []
    for seed in range(5):
        measured = list(numpy.random.default_rng(seed).choice(patches.count, 10, replace=False))
        allowed = numpy.ones(patches.count, bool)
        allowed[measured] = False
        model = model_of(patches, target, seed)
        for _ in range(50):
            prediction = learn(model, target, numpy.array(measured))
            seen = target.values[measured]
            belief = Belief(prediction.mean, prediction.sigma, float(seen.max()), float(seen.std()))
            chosen = choose(score("expected_improvement", belief, 0.01), allowed)
            measured.append(chosen)
            allowed[chosen] = False
        final = quality(learn(model, target, numpy.array(measured)), target, allowed)
        found.append([float(best[measured].sum()), *final])
    medians: FloatArray = numpy.median(numpy.array(found), axis=0)
    return medians


def report(files: Sequence[pathlib.Path]) -> Iterator[str]:
    """Lines for people. Raises ValueError for a file that cannot be used."""
    for file in files:
        patches, all_targets = targets(file)
        yield f"{file.name}, {patches.count} candidates   R2, negative log density, coverage of 95 % and 68 %"
        for target in all_targets:
            for fraction in FRACTIONS:
                count = round(fraction * patches.count)
                yield f"  {target.name:14} {count:4} random  {numpy.round(passive(patches, target, count), 2)}"
            found, *final = active(patches, target)
            of = int(0.01 * patches.count)
            yield f"  {target.name:14} 10 + 50 chosen {numpy.round(final, 2)}  best 1 %: {found:.0f} of {of}"
