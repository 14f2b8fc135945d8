"""Maps of a recorded 4D-STEM set, reconstructed from a fraction of its patterns and the survey.

The question of figures 3 and 4 of Roccapriore et al. (ACS Nano 16 (2022) 7605): what would a run have known of the
whole scan, had it measured so many places at random? The model is that of a run whose points are all seeds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import math
import typing
from collections.abc import Callable, Mapping

import numpy
import numpy.typing

from dkl_ae.analysis.scalarized_maps import Map, Request, require_some, scalarize_recording
from dkl_ae.experiment import deep_kernel_for
from dkl_ae.model import ReadingModel, Readings
from dkl_ae.patterns import Reference
from dkl_ae.recordings import Recording, recorded_reference
from dkl_ae.records import (
    BoolArray,
    FloatArray,
    IntArray,
    Patches,
    Survey,
    UserError,
)
from dkl_ae.scalarizers import Scalarizer
from dkl_ae.settings import make_plan
from dkl_ae.simulation import ReplayColumn

MAX_TRAINING_POINTS: typing.Final = 2000
"""A model learns from at most so many of the measured places, the first at random: the time that it takes grows with
their cube, and its memory with their number times that of the candidates."""

SMALL_SCAN: typing.Final = 128 * 128
"""The truth of a scan with no more pixels is read without being asked for."""

Progress = Callable[[float, str], None]
"""Called with the fraction done, and what is being done."""


_READING = 0.2
"""Of all work; the rest is learning."""


@dataclasses.dataclass(frozen=True)
class ReconstructionSettings:
    """How a set is reconstructed. Raises UserError, one sentence, for what cannot be."""

    fractions: tuple[float, ...] = (1.0, 0.1, 0.01, 0.001)
    """Of the candidates, measured at random; at least one place each. Smaller ones are parts of larger ones."""
    patch_size: int = 13
    random_seed: int = 0
    """Of the places, the model, and the counting noise of a recording that has none."""
    truth: bool = False
    """Whether all patterns are read to compare with, also of a large scan and where no fraction is 1."""

    def __post_init__(self) -> None:
        for fraction in self.fractions:
            if not 0 < fraction <= 1:
                raise UserError(f"The fraction is {fraction:g}: give numbers above 0, and 1 for all places.")
        if not self.fractions or len(set(self.fractions)) < len(self.fractions):
            given = ", ".join(f"{fraction:g}" for fraction in self.fractions) or "none"
            raise UserError(f"The fractions are {given}: give one or more that differ.")
        if self.random_seed < 0:
            raise UserError(f"The random seed is {self.random_seed}: give 0 or a larger number.")


@dataclasses.dataclass(frozen=True)
class Quality:
    """How a prediction compares with the truth at the candidates that it did not learn from; at all when there are no
    others."""

    r2: float
    """Share of the truth's variance that is predicted; of angles, of their squared distance from the mean direction."""
    covered_68: float
    covered_95: float
    """How often the truth was within 1 and within 1.96 of the standard deviations that were predicted."""


@dataclasses.dataclass(frozen=True, eq=False)
class FractionResult:
    """One reading, predicted everywhere from a fraction of the candidates. Arrays have the survey's shape."""

    fraction: float
    measured: FloatArray
    """What was read, NaN where nothing was measured or the reading is undefined."""
    places: int
    """How many were measured."""
    learned: int
    """At how many of them the reading is defined, and was learned from."""
    prediction: FloatArray
    uncertainty: FloatArray
    """Its standard deviation. Both NaN where no patch fits, and everywhere when all measured readings are undefined."""
    quality: Quality | None
    """None where the truth is not known."""

    @property
    def mean_uncertainty(self) -> float:
        """Over all candidates, in the reading's unit; NaN when nothing is predicted."""
        predicted = self.uncertainty[numpy.isfinite(self.uncertainty)]
        return float(predicted.mean()) if predicted.size else math.nan


@dataclasses.dataclass(frozen=True, eq=False)
class Reconstruction:
    """One reading, from all fractions."""

    scalarizer: Scalarizer
    truth: FloatArray | None
    """Every reading there is, of the survey's shape; None where it was not read."""
    parts: tuple[FractionResult, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class ReconstructionResult:
    """All that was made of a recording."""

    request: Request
    settings: ReconstructionSettings
    survey: Survey
    reference: Reference
    electrons: float | None
    """Of a pattern, for a recording without noise; None for one that has its own."""
    reconstructions: tuple[Reconstruction, ...]


def reconstruct(
    request: Request, settings: ReconstructionSettings, progress: Progress = lambda done, text: None
) -> ReconstructionResult:
    """Measure random parts of a recorded set, and predict the rest of it.

    Patterns that were not drawn are read only where the truth is asked for, the scan is small, or a fraction is 1. A
    recording without noise is measured with the counting noise that a replay of it has; its truth has none.

    Raises UserError, one sentence, for what cannot be used.
    """
    scalarizers = request.chosen()
    source = _read(request, settings, scalarizers, lambda done: progress(_READING * done, "reading the patterns"))
    require_some(source.readings)
    reconstructions: list[Reconstruction] = []
    for scalarizer in scalarizers.values():
        parts: list[FractionResult] = []
        for fraction in settings.fractions:
            done = (len(reconstructions) + len(parts) / len(settings.fractions)) / len(scalarizers)
            progress(_READING + (1 - _READING) * done, f"learning {scalarizer.label} from {100 * fraction:.4g} %")
            parts.append(_part(request, settings, source, scalarizer, fraction))
        truth = None if source.truths is None else source.truths[scalarizer.name].value
        reconstructions.append(Reconstruction(scalarizer, truth, tuple(parts)))
    progress(1.0, "done")
    electrons = request.electrons if source.is_noise_free else None
    return ReconstructionResult(
        request, settings, source.patches.survey, source.reference, electrons, tuple(reconstructions)
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Source:
    """What was read of a recording."""

    patches: Patches
    order: IntArray
    """All candidates in the random order in which they are measured."""
    reference: Reference
    is_noise_free: bool
    readings: Mapping[str, Map]
    """Of the places that are measured, by the scalarizer's name."""
    truths: Mapping[str, Map] | None
    """Of all places, where they are wanted; without an error where the recording has no noise."""

    def measured(self, fraction: float) -> IntArray:
        """The candidates of a fraction, at least one."""
        return self.order[: max(1, round(fraction * len(self.order)))]

    def mask(self, candidates: IntArray) -> BoolArray:
        """Where they are in the survey, shape (H, W)."""
        chosen = numpy.zeros(len(self.order))
        chosen[candidates] = 1
        mask: BoolArray = self.patches.to_map(chosen) == 1
        return mask


def _read(
    request: Request,
    settings: ReconstructionSettings,
    scalarizers: Mapping[str, Scalarizer],
    progress: Callable[[float], None],
) -> _Source:
    with contextlib.closing(request.open()) as recording:
        if recording.survey is None:
            raise UserError(f"{recording.name} has no survey of its scan: name an image of it with --survey.")
        patches = Patches(Survey(recording.survey, recording.nm_per_pixel), settings.patch_size)
        order = numpy.random.default_rng(settings.random_seed).permutation(patches.count)
        reference = recorded_reference(recording, request.reference, request.electrons)
        source = _Source(patches, order, reference, recording.is_noise_free, {}, None)
        drawn = source.mask(source.measured(max(settings.fractions)))
        read = functools.partial(
            scalarize_recording,
            reference=reference,
            scalarizers=scalarizers,
            electrons=request.electrons,
            arm_nm=request.arm_nm,
        )
        is_truth_wanted = settings.truth or 1 in settings.fractions or drawn.size <= SMALL_SCAN
        truths = read(recording, progress=lambda done: progress(done / 2)) if is_truth_wanted else None
        if truths is not None and not recording.is_noise_free:
            return dataclasses.replace(source, readings=truths, truths=truths)
        exposed = _counted(recording, request.electrons, settings.random_seed) if recording.is_noise_free else recording
        readings = read(exposed, places=drawn, progress=lambda done: progress((1 + done) / 2))
        if truths is not None:
            truths = {name: _without_error(truth) for name, truth in truths.items()}
        return dataclasses.replace(source, readings=readings, truths=truths)


def _without_error(found: Map) -> Map:
    return dataclasses.replace(found, sigma=numpy.zeros_like(found.value))


def _counted(recording: Recording, electrons: float, seed: int) -> Recording:
    """A recording without noise as a replay of it counts."""
    return dataclasses.replace(
        recording, stored_patterns=_Counts(recording, electrons, seed), square_root_scale=None, vacuum=None
    )


class _Counts:
    """Patterns, shape (H, W, ky, kx), of which parts of the scan are counted when they are asked for."""

    def __init__(self, recording: Recording, electrons: float, seed: int) -> None:
        self.shape = (*recording.scan_shape, *recording.detector_shape)
        self._column = ReplayColumn(recording, seed=seed)
        self._nm_per_pixel = recording.nm_per_pixel
        self._electrons = electrons

    def __getitem__(self, place: tuple[slice, slice]) -> numpy.typing.NDArray[numpy.float32]:
        rows, columns = (numpy.arange(side)[part] for side, part in zip(self.shape, place, strict=False))
        counts = [self._expose(row, column) for row, column in itertools.product(rows, columns)]
        return numpy.stack(counts).reshape(len(rows), len(columns), *self.shape[2:])

    def _expose(self, row: int, column: int) -> numpy.typing.NDArray[numpy.float32]:
        y_nm, x_nm = ((index + 0.5) * self._nm_per_pixel for index in (row, column))
        return self._column.expose(y_nm, x_nm, self._electrons, exposure_s=1.0)


def _part(
    request: Request, settings: ReconstructionSettings, source: _Source, scalarizer: Scalarizer, fraction: float
) -> FractionResult:
    measured = source.measured(fraction)
    learned = measured[:MAX_TRAINING_POINTS]
    readings = source.readings[scalarizer.name]
    maps = _learned_maps(settings, source.patches, scalarizer, learned, readings)
    quality = None
    if source.truths is not None:
        others = source.order[len(learned) :]
        compared = source.mask(others if others.size else source.order)
        quality = _quality(scalarizer, maps, source.truths[scalarizer.name], compared)
    return FractionResult(
        fraction=fraction,
        measured=numpy.where(source.mask(measured), readings.value, numpy.nan),
        places=len(measured),
        learned=int(numpy.isfinite(readings.value[source.mask(learned)]).sum()),
        prediction=maps[0],
        uncertainty=maps[1],
        quality=quality,
    )


def _learned_maps(
    settings: ReconstructionSettings, patches: Patches, scalarizer: Scalarizer, candidates: IntArray, readings: Map
) -> tuple[FloatArray, FloatArray]:
    """Prediction and uncertainty over the survey; NaN where nothing could be learned."""
    pixels = tuple(numpy.array([patches.pixel(int(candidate)) for candidate in candidates]).T)
    values, sigmas = readings.value[pixels], readings.sigma[pixels]
    known = Readings(
        candidates, scalarizer.without_excess(values, sigmas), sigmas, numpy.ones(len(candidates), numpy.bool_)
    ).known()
    if not known.values.size:
        nothing = numpy.full(patches.survey.shape, numpy.nan)
        return nothing, nothing
    plan = make_plan(patch_size=settings.patch_size, random_seed=settings.random_seed)
    model = ReadingModel(
        patches,
        functools.partial(deep_kernel_for, plan),
        symmetry=scalarizer.symmetry,
        circular=scalarizer.circular,
    )
    prediction = model.fit(known, len(candidates)).prediction
    return patches.to_map(prediction.mean), patches.to_map(prediction.sigma)


def _quality(
    scalarizer: Scalarizer, maps: tuple[FloatArray, FloatArray], truth: Map, places: BoolArray
) -> Quality | None:
    """None where fewer than two places have both a prediction and a truth."""
    prediction, uncertainty = maps
    true = scalarizer.without_excess(truth.value, truth.sigma)
    compared = places & numpy.isfinite(true) & numpy.isfinite(prediction)
    if numpy.count_nonzero(compared) < 2:
        return None
    true, predicted = true[compared], prediction[compared]
    sigma = numpy.hypot(uncertainty[compared], truth.sigma[compared])
    if scalarizer.circular:
        middle = math.atan2(numpy.sin(true).mean(), numpy.cos(true).mean())
        error, spread = _shorter(predicted - true), _shorter(true - middle)
    else:
        error, spread = predicted - true, true - true.mean()
    covered_68, covered_95 = (float(numpy.mean(numpy.abs(error) <= times * sigma)) for times in (1.0, 1.96))
    variance = float(numpy.mean(spread**2))
    r2 = 1 - float(numpy.mean(error**2)) / variance if variance > 0 else math.nan
    return Quality(r2, covered_68, covered_95)


def _shorter(angles: FloatArray) -> FloatArray:
    """Between -pi and pi."""
    shorter: FloatArray = (angles + math.pi) % (2 * math.pi) - math.pi
    return shorter
