"""How often readings of the centre of mass are within two of their standard deviations of the truth, whatever their
reference is of.

Run as `OMP_NUM_THREADS=1 python tools/reference_zero.py [--specimens N] [--first SEED]` in the folder of the project.
Each specimen is simulated anew, its reference exposed as a run does it, and 40 places at random are read. "own" counts
the readings' own errors alone, "total" the reference's too.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

import numpy

from dkl_ae.instruments.column_instrument import ColumnInstrument
from dkl_ae.patterns import Patterns, Reference
from dkl_ae.records import FloatArray, Position
from dkl_ae.run.reference_exposures import reference_from, reference_pixels
from dkl_ae.scalarizers import SCALARIZERS, read
from dkl_ae.settings import DARKEST, MEAN, make_plan
from dkl_ae.simulation import Specimen, VirtualColumn, graphene_with_silicon
from tests.support.sheets import SHEETS

FOLLOWED = ("com_magnitude", "com_x", "com_y")
PLACES = 40
ALL_ELECTRONS = 1e12
"""So many leave no counting error in the truth."""

CASES: Mapping[str, tuple[Callable[[int], Specimen], str]] = {
    "vacuum in view": (lambda seed: graphene_with_silicon(seed=seed), DARKEST),
    **{f"{name}, darkest": (make, DARKEST) for name, make in SHEETS.items()},
    **{f"{name}, mean": (make, MEAN) for name, make in SHEETS.items()},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--specimens", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    print(f"{'':18} {'':14} {'own':>12} {'total':>12}  no vacuum said")
    for name, (make, source) in CASES.items():
        results = [trial(make(seed), source, seed) for seed in range(options.first, options.first + options.specimens)]
        said = sum(is_vacuum is False for _, is_vacuum in results)
        for column, scalarizer in enumerate(FOLLOWED):
            covered = numpy.array([result[column] for result, _ in results])
            shown = [f"{of.mean():.2f} ({of.min():.2f})" for of in covered.T]
            print(f"{name:18} {scalarizer:14} {shown[0]:>12} {shown[1]:>12}  {said} of {len(results)}", flush=True)


def trial(specimen: Specimen, source: str, seed: int) -> tuple[FloatArray, bool | None]:
    """Shares of the readings that are near enough to the truth: shape (FOLLOWED, 2)."""
    column = VirtualColumn(specimen, seed=seed)
    microscope, plan = ColumnInstrument(column), make_plan(reference=source)
    survey = microscope.acquire_survey()
    pixels = reference_pixels(survey, plan)
    frames = [microscope.acquire_pattern(survey.position(int(row), int(column))) for row, column in pixels]
    reference = reference_from(frames, plan)
    places = numpy.random.default_rng(seed).uniform(0.1, 0.9, (PLACES, 2))
    counted = numpy.stack([microscope.acquire_pattern(Position(*place)).pattern for place in places])
    exact = numpy.stack([column.patterns.pattern(*place) for place in places * column.extent_nm[0]])
    return covered(reference, counted, ALL_ELECTRONS * exact, column), reference.is_vacuum


def covered(reference: Reference, counted: FloatArray, exact: FloatArray, column: VirtualColumn) -> FloatArray:
    empty = Specimen("vacuum", numpy.zeros((0, 3)), numpy.zeros(0, numpy.int64), column.extent_nm[0])
    undeflected = ALL_ELECTRONS * VirtualColumn(empty).patterns.pattern(*(side / 2 for side in column.extent_nm))
    zero = Patterns(undeflected[numpy.newaxis], reference).moments
    shares = []
    for name in FOLLOWED:
        found = read(SCALARIZERS[name], Patterns(counted, reference))
        true = Patterns(exact, reference).moments
        y, x = true.y - zero.y, true.x - zero.x
        truth = {"com_magnitude": numpy.hypot(y, x), "com_x": x, "com_y": y}[name]
        value = SCALARIZERS[name].without_excess(found.value, found.sigma)
        total = numpy.hypot(found.sigma, found.common_sigma)
        shares.append([numpy.mean(numpy.abs(value - truth) < 2 * sigma) for sigma in (found.sigma, total)])
    return numpy.array(shares)


if __name__ == "__main__":
    main()
