"""What wild values cost a run: a hot pixel or a gradient in the survey, readings that are false.

Run as `OMP_NUM_THREADS=1 python tools/disturbances.py SET ... [--runs N] [--disturbance NAME]`. SET is the file of a
noise-free recorded set with a pattern of vacuum, or `simulated:SEED`, which is graphene with silicon of that seed. Each
run has 10 random points and 40 of expected improvement, on the largest CoM magnitude; to be compared with the run of
the same random seed without a disturbance.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable, Mapping

import numpy

from dkl_ae.benchmarks.recorded import targets
from dkl_ae.experiment import Experiment, deep_kernel_for
from dkl_ae.model import Doubts, Trainable
from dkl_ae.records import BoolArray, FloatArray, Measurement, Origin, Patches, Reading, Survey
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.settings import make_plan
from dkl_ae.simulation import VirtualColumn, graphene_with_silicon

FOLLOWED = "com_magnitude"
SEEDS, CHOSEN = 10, 40
PATCH = 13
SIDE = 64
NEAR = 2
"""Pixels within which a point is near a false reading."""


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """A survey, and the reading of each of its candidates."""

    survey: FloatArray
    pixel_size_nm: float
    values: FloatArray
    sigmas: FloatArray
    truth: FloatArray
    false: BoolArray
    """Which candidates give a false reading."""


def recorded(file: pathlib.Path) -> Case:
    patches, found = targets(file)
    (target,) = (one for one in found if one.name == FOLLOWED)
    nothing = numpy.zeros(patches.count, numpy.bool_)
    survey = patches.survey
    return Case(survey.image, survey.pixel_size_nm, target.values, target.sigmas, target.truth, nothing)


def simulated(seed: int) -> Case:
    """By the phase-object deflection, which is quick to compute, with a noise of a fiftieth of its deviation."""
    column = VirtualColumn(graphene_with_silicon(seed=seed), seed=seed)
    step = column.extent_nm[0] / SIDE
    places = (numpy.arange(SIDE) + 0.5) * step
    y, x = numpy.meshgrid(places, places, indexing="ij")
    survey = numpy.asarray(column.scan(column.channels[0], y, x, 3e4, 1e-5), float)
    truth = numpy.hypot(*numpy.moveaxis(column.images.deflection(y, x), -1, 0))
    truth = Patches(Survey(survey, step), PATCH).inside(truth).ravel()
    noise = 0.02 * float(truth.std())
    values = truth + noise * numpy.random.default_rng(seed).normal(size=truth.size)
    return Case(survey, step, values, numpy.full(truth.size, noise), truth, numpy.zeros(truth.size, numpy.bool_))


def hot_pixel(times: float, case: Case, random: numpy.random.Generator) -> Case:
    survey = case.survey.copy()
    survey[tuple(random.integers(PATCH, side - PATCH) for side in survey.shape)] = times * survey.max()
    return dataclasses.replace(case, survey=survey)


def gradient(deviations: float, case: Case, random: numpy.random.Generator) -> Case:
    """From one side of the survey to the other, in a random direction."""
    angle = random.uniform(0, 2 * numpy.pi)
    row, column = (numpy.linspace(-0.5, 0.5, side) for side in case.survey.shape)
    slope = numpy.sin(angle) * row[:, None] + numpy.cos(angle) * column
    span = float(slope.max() - slope.min())
    return dataclasses.replace(case, survey=case.survey + deviations * case.survey.std() / span * slope)


def false_readings(share: float, deviations: float, case: Case, random: numpy.random.Generator) -> Case:
    false = random.random(case.values.size) < share
    return dataclasses.replace(case, values=case.values + deviations * case.truth.std() * false, false=false)


def other_noise(case: Case, random: numpy.random.Generator) -> Case:
    """Disturbs nothing: what two runs differ by that merely take another path."""
    return dataclasses.replace(case, values=case.truth + case.sigmas * random.normal(size=case.truth.size))


DISTURBANCES: Mapping[str, Callable[[Case, numpy.random.Generator], Case]] = {
    "none": lambda case, random: case,
    "other-noise": other_noise,
    "hot-1e2": functools.partial(hot_pixel, 1e2),
    "hot-1e4": functools.partial(hot_pixel, 1e4),
    "gradient": functools.partial(gradient, 5.0),
    "false": functools.partial(false_readings, 0.05, 10.0),
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    r2: float
    covered_95: float
    found: float
    """Of the best 1 %, the share that was measured."""
    in_top: float
    """Of the points that the model chose, the share on the best 1 %."""
    false: int
    """False readings that were met."""
    near_false: float
    """Of the points that the model chose, the share near a false reading that was met before."""
    false_best: bool
    false_steps: float
    """Share of the model's steps after which a false place was called the best."""
    doubted_false: int
    """False readings that are doubted at the end."""
    doubted_true: int
    """True ones."""
    unconfirmed_true: int
    confirmations: int
    """Points that were measured to confirm others."""
    unchanged: bool
    """Whether no reading was ever doubted or tried without: the run is then the one of before."""
    milliseconds: float
    """Of a step."""


def outcome(case: Case, seed: int) -> Outcome:
    plan = make_plan(
        scalarizer=FOLLOWED,
        patch_size=PATCH,
        seed_points=SEEDS,
        model_points=CHOSEN,
        random_seed=seed,
        compute_device="cpu",
    )
    patches = Patches(Survey(case.survey, case.pixel_size_nm), PATCH)
    experiment = Experiment(plan, SCALARIZERS, patches, functools.partial(deep_kernel_for, plan))
    near, wrong, touched, begun = 0, 0, False, time.process_time()
    met: list[tuple[int, int]] = []
    while not experiment.finished:
        proposal = experiment.ask()
        place = experiment.position(proposal)
        at = proposal.candidate
        reading = Reading(float(case.values[at]), float(case.sigmas[at]), "mrad")
        experiment.tell(Measurement(proposal, place, place, {FOLLOWED: reading}, 1e6, 0.01, 0.0))
        pixel = patches.pixel(at)
        is_chosen = len(experiment.measurements) > SEEDS
        touched |= any(
            isinstance(part, Trainable) and bool(part.parameters().keys() & {"doubts", "outlying"})
            for part in experiment.surrogates
        )
        near += is_chosen and any(max(abs(pixel[0] - r), abs(pixel[1] - c)) <= NEAR for r, c in met)
        if case.false[at]:
            met.append(pixel)
        best = experiment.best
        wrong += is_chosen and best is not None and bool(case.false[best.proposal.candidate])
    seconds = time.process_time() - begun
    measured = [m.proposal.candidate for m in experiment.measurements]
    unseen = numpy.ones(patches.count, numpy.bool_)
    unseen[measured] = False
    assert experiment.maps is not None
    assert experiment.best is not None
    mean, sigma = (patches.inside(m).ravel() for m in (experiment.maps.prediction, experiment.maps.uncertainty))
    error = (mean - case.truth)[unseen]
    top = case.truth >= numpy.quantile(case.truth, 0.99)
    (surrogate,) = experiment.surrogates
    assert isinstance(surrogate, Doubts)
    doubted = [measured[row] for row in numpy.flatnonzero(surrogate.contradicted())]
    return Outcome(
        r2=1 - float(numpy.mean(error**2) / case.truth[unseen].var()),
        covered_95=float(numpy.mean(numpy.abs(error) < 1.96 * sigma[unseen])),
        found=float(top[measured].sum() / top.sum()),
        in_top=float(top[measured[SEEDS:]].mean()),
        false=int(case.false[measured].sum()),
        near_false=near / CHOSEN,
        false_best=bool(case.false[experiment.best.proposal.candidate]),
        false_steps=wrong / CHOSEN,
        doubted_false=sum(bool(case.false[candidate]) for candidate in doubted),
        doubted_true=sum(not case.false[candidate] for candidate in doubted),
        unconfirmed_true=sum(not case.false[measured[row]] for row in numpy.flatnonzero(surrogate.unconfirmed())),
        confirmations=sum(m.proposal.origin is Origin.CONFIRMATION for m in experiment.measurements),
        unchanged=not touched,
        milliseconds=1e3 * seconds / len(measured),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+", metavar="FILE")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="random seed of the first run")
    parser.add_argument("--disturbance", action="append", choices=list(DISTURBANCES))
    options = parser.parse_args()
    for name in options.sets:
        case = simulated(int(name.partition(":")[2])) if name.startswith("simulated:") else recorded(pathlib.Path(name))
        for disturbance in options.disturbance or DISTURBANCES:
            seeds = range(options.first, options.first + options.runs)
            rows = []
            for seed in seeds:
                rows.append(outcome(DISTURBANCES[disturbance](case, numpy.random.default_rng((seed, 1))), seed))
                print("   ", disturbance, seed, dataclasses.astuple(rows[-1]), flush=True)
            mean = numpy.mean([dataclasses.astuple(row) for row in rows], axis=0)
            names = [field.name for field in dataclasses.fields(Outcome)]
            text = ", ".join(f"{field} {value:.3g}" for field, value in zip(names, mean, strict=True))
            print(f"{pathlib.Path(name).stem:16} {disturbance:10} {text}", flush=True)


if __name__ == "__main__":
    main()
