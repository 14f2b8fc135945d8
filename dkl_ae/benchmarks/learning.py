"""How well recorded sets are learned: from random points, and when the model chooses its points itself.

A file is a noise-free recorded set with its survey and a pattern of vacuum (`vacuum`). Patterns are counted at 1.87e6
electrons; errors are from the noise-free numbers at all that was not measured.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import pathlib
from collections.abc import Iterator, Sequence

import numpy
import numpy.typing
import scipy.stats

from dkl_ae.benchmarks import pictures
from dkl_ae.benchmarks.methods import METHODS
from dkl_ae.benchmarks.pictures import picture_of
from dkl_ae.benchmarks.recorded import Target, targets
from dkl_ae.benchmarks.results import FILE, Quality, RegressionResult, Results, SearchResult, points_until, replaced
from dkl_ae.experiment import ObjectivePosterior, choose, score
from dkl_ae.model import Posterior
from dkl_ae.outputs import require_place
from dkl_ae.records import FloatArray, IntArray, Patches, UserError

FRACTIONS = (0.001, 0.01, 0.03, 0.1)
"""Of the candidates, measured at random."""
SEED_POINTS = 10
CHOSEN_POINTS = 70
RANDOM_POINTS = 2500
"""Without a model it takes as many to find half of the best 1 %, and more."""
OPTIMIZED = "com_magnitude"
"""The number that is sought when points are chosen."""
WITHOUT_MODEL = ("random", "grid")
"""Ways to choose points that learn nothing."""


def regression_results(
    file: str, patches: Patches, target: Target, method: str, seeds: int
) -> Iterator[RegressionResult]:
    """How well a method predicts the map from random points: for every fraction of FRACTIONS and every seed."""
    for fraction, seed in itertools.product(FRACTIONS, range(seeds)):
        count = max(round(fraction * patches.count), 2)
        measured = numpy.random.default_rng(seed).choice(patches.count, count, replace=False)
        prediction = METHODS[method](patches, target, seed).learn(measured, count)
        yield RegressionResult(file, target.name, method, count, fraction, seed, quality(prediction, target, measured))


def search_results(file: str, patches: Patches, target: Target, method: str, seeds: int) -> Iterator[SearchResult]:
    """How soon a method finds the best 1 % of the candidates, for every seed."""
    best = target.truth >= numpy.quantile(target.truth, 0.99)
    for seed in range(seeds):
        at_50 = None
        if method == "random":
            measured = numpy.random.default_rng(seed).permutation(patches.count)[:RANDOM_POINTS]
        elif method == "grid":
            measured = _grid(patches, SEED_POINTS + CHOSEN_POINTS, seed)
        else:
            measured, at_50 = _chosen(patches, target, method, seed)
        largest = numpy.maximum.accumulate(target.truth[measured]) / target.truth.max()
        found = numpy.cumsum(best[measured]).tolist()
        yield SearchResult(file, target.name, method, seed, int(best.sum()), found, largest.tolist(), at_50)


def quality(prediction: Posterior, target: Target, measured: IntArray) -> Quality:
    """Of a map that was predicted from the candidates `measured`, at all others."""
    unseen = numpy.ones(target.truth.size, bool)
    unseen[measured] = False
    error, sigma, truth = (array[unseen] for array in (prediction.mean - target.truth, prediction.sigma, target.truth))
    density = 0.5 * numpy.log(2 * numpy.pi * sigma**2 / truth.var()) + 0.5 * (error / sigma) ** 2
    return Quality(
        r2=1 - float(numpy.mean(error**2) / truth.var()),
        spearman=float(scipy.stats.spearmanr(prediction.mean[unseen], truth).statistic),
        density=float(density.mean()),
        covered_95=float(numpy.mean(numpy.abs(error) < 1.96 * sigma)),
        covered_68=float(numpy.mean(numpy.abs(error) < sigma)),
    )


def _chosen(patches: Patches, target: Target, method: str, seed: int) -> tuple[IntArray, Quality]:
    measured = list(numpy.random.default_rng(seed).choice(patches.count, SEED_POINTS, replace=False))
    allowed = numpy.ones(patches.count, numpy.bool_)
    allowed[measured] = False
    model = METHODS[method](patches, target, seed)
    at_50: Quality | None = None
    for chosen in range(CHOSEN_POINTS):
        prediction = model.learn(numpy.array(measured), SEED_POINTS)
        if SEED_POINTS + chosen == 50:
            at_50 = quality(prediction, target, numpy.array(measured))
        seen = target.values[measured]
        belief = ObjectivePosterior(prediction.mean, prediction.sigma, float(seen.max()), float(seen.std()))
        candidate = choose(score("expected_improvement", belief, 0.01), allowed)
        measured.append(candidate)
        allowed[candidate] = False
    assert at_50 is not None
    return numpy.array(measured), at_50


def _grid(patches: Patches, count: int, seed: int) -> IntArray:
    """Candidates of a regular grid at a random offset, in random order."""
    rows, columns = patches.grid
    random = numpy.random.default_rng(seed)
    across = math.ceil(math.sqrt(count))
    row, column = ((numpy.arange(across) + random.random()) * (side / across) for side in (rows, columns))
    grid = row.astype(int)[:, None] * columns + column.astype(int)
    return random.permutation(grid.ravel())[:count]


def learning_report(
    files: Sequence[pathlib.Path],
    methods: Sequence[str] | None,
    seeds: int,
    out: pathlib.Path | None,
    *,
    overwrite: bool = False,
) -> Iterator[str]:
    """Lines for people; with a folder also learning.json and pictures of all that is in it.

    Results of other files and methods that the folder holds already are kept.

    methods: all but the published one, which takes an hour, when none is named.
    overwrite: whether those of the same files and methods may be replaced, and pictures that other programs made.

    Raises UserError for a file, a method or a number of seeds that cannot be used, and for a folder that is taken.
    """
    if seeds < 1:
        raise UserError(f"The number of repetitions is {seeds}: give 1 or more with --seeds.")
    methods = methods or [method for method in (*METHODS, *WITHOUT_MODEL) if method != "published"]
    for method in methods:
        if method not in (*METHODS, *WITHOUT_MODEL):
            known = "; ".join((*METHODS, *WITHOUT_MODEL))
            raise UserError(f"There is no method '{method}': choose from {known}.")
    results = Results.read(out)
    if out is not None:
        _require_folder(out, results, files, methods, overwrite=overwrite)
    for file in files:
        patches, all_targets = targets(file)
        yield f"{file.name}, {patches.count} candidates, {seeds} seed{'s' if seeds > 1 else ''}"
        for method, target in itertools.product(methods, all_targets):
            if method in METHODS:
                rows = list(regression_results(file.stem, patches, target, method, seeds))
                results.regressions[:] = replaced(results.regressions, rows)
                yield from _regression_lines(rows)
            if target.name == OPTIMIZED:
                searches = list(search_results(file.stem, patches, target, method, seeds))
                results.searches[:] = replaced(results.searches, searches)
                yield _search_line(searches)
            results.write(out)
        if out is not None:
            pictures.save(results, out)


def _require_folder(
    folder: pathlib.Path, results: Results, files: Sequence[pathlib.Path], methods: Sequence[str], *, overwrite: bool
) -> None:
    """Raises UserError where what is there would be replaced unasked."""
    rows: list[RegressionResult | SearchResult] = [*results.regressions, *results.searches]
    kept = {(row.file, row.method) for row in rows}
    twice = next(((file, method) for file in files for method in methods if (file.stem, method) in kept), None)
    if twice is not None and not overwrite:
        raise UserError(
            f"{folder} has results of {twice[1]} on {twice[0].name} already: choose another place with --out, or "
            "--overwrite them."
        )
    require_place(folder / FILE, files, overwrite=overwrite or bool(kept))
    for file in files:
        is_ours = any(name == file.stem for name, _ in kept)
        require_place(folder / picture_of(file.stem), files, overwrite=overwrite or is_ours)


def _regression_lines(rows: Sequence[RegressionResult]) -> Iterator[str]:
    for points, group in itertools.groupby(rows, lambda row: row.points):
        yield f"  {rows[0].method:22} {rows[0].target:14} {points:4} random   {_text([row.quality for row in group])}"


def _search_line(rows: Sequence[SearchResult]) -> str:
    first, half = (numpy.median([points_until(row, share) for row in rows]) for share in (0.0, 0.5))
    found = numpy.median([row.found[-1] for row in rows])
    line = (
        f"  {rows[0].method:22} {rows[0].target:14} chosen: first of the best 1 % after {first:g}, half after "
        f"{half:g}, {found:g} of {rows[0].best_of} after {len(rows[0].found)}"
    )
    maps = [row.quality for row in rows if row.quality is not None]
    return f"{line}; map after 50: {_text(maps)}" if maps else line


def _text(qualities: Sequence[Quality]) -> str:
    means: FloatArray = numpy.mean([dataclasses.astuple(quality) for quality in qualities], axis=0)
    return "R2 {:.2f} Spearman {:.2f} density {:.2f} covers {:.2f} {:.2f}".format(*means)
