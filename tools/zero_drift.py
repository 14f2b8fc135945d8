"""How far readings of the centre of mass are from the truth while the undeflected beam drifts over the camera.

Run as `OMP_NUM_THREADS=1 python tools/zero_drift.py [--specimens N] [--first SEED]` in the folder of the project. Each
run exposes 60 places at random on a specimen that is made for it; "repeated" are its repeated reference exposures.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Mapping

import numpy

from dkl_ae.run import Event, Outcome, ReferenceRepeated, Runner
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.settings import make_plan
from dkl_ae.simulation import Specimen, VirtualColumn, graphene_with_silicon
from tests.support.drifting_instrument import Drift, DriftingInstrument, at_rest, errors_mrad, known_at_the_end, linear
from tests.support.sheets import SHEETS
from tests.support.surrogates import NearestNeighbour

POINTS = 60
READ = ("com_magnitude", "com_y", "com_x", "bragg_spacing")
SPECIMENS: Mapping[str, Callable[[int], Specimen]] = {
    "vacuum in view": lambda seed: graphene_with_silicon(seed=seed),
    **SHEETS,
}


def walk(mrad: float, seed: int) -> Drift:
    """By steps of this standard deviation, one an exposure."""
    places = numpy.random.default_rng(seed).normal(0, mrad, (1000, 2)).cumsum(axis=0)
    return lambda seconds: tuple(places[int(seconds)])


DRIFTS: Mapping[str, Callable[[int], Drift]] = {
    "at rest": lambda seed: at_rest,
    "0.001 mrad a frame": lambda seed: linear(0.001),
    "0.01 mrad a frame": lambda seed: linear(0.01),
    "0.05 mrad a frame": lambda seed: linear(0.05),
    "walk of 0.01 mrad": functools.partial(walk, 0.01),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--specimens", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    print(f"{'':20} {'':18} {'repeat':>6} {'rms mrad (worst)':>18} {'within 2 sigma':>16} {'repeated':>9}")
    for specimen, make in SPECIMENS.items():
        for name, drift in DRIFTS.items():
            for percent in (0.0, 10.0):
                found = numpy.array(
                    [
                        trial(make(seed), drift(seed), percent, seed)
                        for seed in range(options.first, options.first + options.specimens)
                    ]
                )
                rms, within, repeated = found.T
                print(
                    f"{specimen:20} {name:18} {percent:5.0f}% {rms.mean():9.3f} ({rms.max():.3f}) "
                    f"{within.mean():9.2f} ({within.min():.2f}) {repeated.mean():9.1f}",
                    flush=True,
                )


def trial(specimen: Specimen, drift: Drift, percent: float, seed: int) -> tuple[float, float, float]:
    """Root mean square error of both components, how many are within two standard deviations, repeated exposures."""
    instrument = DriftingInstrument(VirtualColumn(specimen, seed=seed), drift, seed)
    plan = make_plan(reference_repeated=percent, seed_points=POINTS, model_points=0, random_seed=seed)
    events: list[Event] = []
    scalarizers = {name: SCALARIZERS[name] for name in READ}
    runner = Runner(instrument, plan, events.append, NearestNeighbour, scalarizers=scalarizers)
    assert runner.run().outcome is Outcome.FINISHED
    assert runner.reference is not None
    error, sigma = errors_mrad(instrument, runner.reference, known_at_the_end(events))
    repeated = sum(isinstance(event, ReferenceRepeated) for event in events)
    return float(numpy.sqrt((error**2).mean())), float((numpy.abs(error) < 2 * sigma).mean()), repeated


if __name__ == "__main__":
    main()
