"""How long the steps of a model take on a large survey or in a long run, and how much memory the program.

Run as `OMP_NUM_THREADS=1 python tools/step_times.py [--side PIXELS] [--points N] [--patch PIXELS] [--scalarizer NAME]
[--acquisition NAME]`. The survey is a simulated sheet of graphene with silicon, on which the deflection's magnitude or
its angle is read; no pattern is made.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time

import numpy

from dkl_ae.experiment import Experiment, candidates_text, deep_kernel_for, patches_for
from dkl_ae.records import Measurement, Reading, Survey
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.settings import make_plan
from dkl_ae.simulation import VirtualColumn, graphene_with_silicon

PIXEL_NM = 0.0156
"""That of a usual survey of 4 nm."""
LONG_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--points", type=int, default=70)
    parser.add_argument("--patch", type=int, default=13)
    parser.add_argument("--scalarizer", default="com_magnitude", choices=("com_magnitude", "com_angle"))
    parser.add_argument("--acquisition", default="expected_improvement")
    arguments = parser.parse_args()
    plan = make_plan(
        model_points=arguments.points - 10,
        patch_size=arguments.patch,
        scalarizer=arguments.scalarizer,
        acquisition=arguments.acquisition,
        compute_device="cpu",
    )
    column = VirtualColumn(graphene_with_silicon(extent_nm=max(arguments.side * PIXEL_NM, 3.0), seed=2001), seed=2001)
    places = (numpy.arange(arguments.side) + 0.5) * column.extent_nm[0] / arguments.side
    y, x = numpy.meshgrid(places, places, indexing="ij")
    survey = Survey(numpy.asarray(column.scan(column.channels[0], y, x, 3e4, 1e-5), float), places[1] - places[0])
    deflection = numpy.moveaxis(column.images.deflection(y, x), -1, 0)
    is_angle = arguments.scalarizer == "com_angle"
    truth = numpy.arctan2(*deflection) if is_angle else numpy.hypot(*deflection)
    noise = 0.02 * float(truth.std())
    random = numpy.random.default_rng(2001)

    start = time.perf_counter()
    patches = patches_for(plan, survey)
    experiment = Experiment(plan, SCALARIZERS, patches, functools.partial(deep_kernel_for, plan))
    experiment.prepare()
    prepared = time.perf_counter() - start
    steps = []
    while not experiment.finished:
        proposal = experiment.ask()
        position = experiment.position(proposal)
        value = float(truth[proposal.row, proposal.column] + noise * random.normal())
        readings = {name: Reading(value, noise, "mrad") for name in SCALARIZERS}
        start = time.perf_counter()
        experiment.tell(Measurement(proposal, position, position, readings, 1e5, 0.01, 0.0))
        steps.append(time.perf_counter() - start)
    chosen = numpy.array(steps[plan.search.seed_points - 1 :])
    print(f"{arguments.side} x {arguments.side} px, {arguments.points} points: {candidates_text(patches)}")
    long = numpy.count_nonzero(chosen > LONG_S)
    print(
        f"prepared in {prepared:.1f} s; steps: mean {chosen.mean():.3f}, median {numpy.median(chosen):.3f}, "
        f"longest {chosen.max():.2f} s; {long} of {chosen.size} longer than {LONG_S:g} s"
    )
    if sys.platform != "win32":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
