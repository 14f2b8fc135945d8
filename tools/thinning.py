"""What it costs a run that its candidates are thinned: the map, and the best place found.

Run as `OMP_NUM_THREADS=1 python tools/thinning.py [--side PIXELS] [--points N] [--spacings N ...] [--seeds N ...]
[--acquisition NAME]`. Each run has 10 random points and others that the model chooses, on the largest deflection of a
simulated specimen; its readings have a fiftieth of their deviation as noise.
"""

from __future__ import annotations

import argparse
import functools

import numpy

from dkl_ae.experiment import Experiment, deep_kernel_for, patches_for
from dkl_ae.records import FloatArray, Measurement, Reading, Survey
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.settings import make_plan
from dkl_ae.simulation import VirtualColumn, preset

FOLLOWED = "com_magnitude"
SPECIMENS = ("graphene-si", "twisted-bilayer-graphene", "mnps3")


def scene(specimen: str, seed: int, side: int) -> tuple[Survey, FloatArray]:
    """A survey, and the phase-object deflection of every pixel."""
    column = VirtualColumn(preset(specimen).make(seed), seed=seed)
    step = column.extent_nm[0] / side
    places = (numpy.arange(side) + 0.5) * step
    y, x = numpy.meshgrid(places, places, indexing="ij")
    survey = numpy.asarray(column.scan(column.channels[0], y, x, 3e4, 1e-5), float)
    return Survey(survey, step), numpy.hypot(*numpy.moveaxis(column.images.deflection(y, x), -1, 0))


def outcome(
    survey: Survey, truth: FloatArray, spacing: int, points: int, seed: int, acquisition: str
) -> tuple[float, float]:
    """R2 of the map over all pixels, and by how many deviations the true reading at the best place is below the largest
    there is."""
    plan = make_plan(
        model_points=points - 10,
        acquisition=acquisition,
        candidate_spacing=spacing,
        random_seed=seed,
        scalarizer=FOLLOWED,
        compute_device="cpu",
    )
    patches = patches_for(plan, survey)
    experiment = Experiment(plan, SCALARIZERS, patches, functools.partial(deep_kernel_for, plan))
    random = numpy.random.default_rng(seed)
    noise = 0.02 * float(truth.std())
    while not experiment.finished:
        proposal = experiment.ask()
        position = experiment.position(proposal)
        value = float(truth[proposal.row, proposal.column] + noise * random.normal())
        readings = {name: Reading(value, noise, "mrad") for name in SCALARIZERS}
        experiment.tell(Measurement(proposal, position, position, readings, 1e5, 0.01, 0.0))
    assert experiment.maps is not None
    assert experiment.best is not None
    inner, predicted = patches.inside(truth), patches.inside(experiment.maps.prediction)
    best = experiment.best.proposal
    below = (inner.max() - truth[best.row, best.column]) / inner.std()
    return 1 - float(numpy.mean((predicted - inner) ** 2) / inner.var()), float(below)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--points", type=int, default=70)
    parser.add_argument("--spacings", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1001, 1002, 1003])
    parser.add_argument("--acquisition", default="expected_improvement")
    arguments = parser.parse_args()
    print(f"survey {arguments.side} x {arguments.side} px, {arguments.points} points: R2 of the map, best place below")
    for specimen in SPECIMENS:
        for seed in arguments.seeds:
            survey, truth = scene(specimen, seed, arguments.side)
            found = [
                outcome(survey, truth, spacing, arguments.points, seed, arguments.acquisition)
                for spacing in arguments.spacings
            ]
            told = (f"{s}: {r2:.3f}, {below:.2f}" for s, (r2, below) in zip(arguments.spacings, found, strict=True))
            print(f"{specimen}, seed {seed}, {survey.pixel_size_nm:.4f} nm/px  " + "   ".join(told), flush=True)


if __name__ == "__main__":
    main()
