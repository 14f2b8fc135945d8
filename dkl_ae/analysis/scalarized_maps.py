"""The maps of a whole recorded 4D-STEM set: every reading of every pattern, chunk by chunk in bounded memory."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import functools
import math
import os
import pathlib
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy
import numpy.typing
import threadpoolctl

from dkl_ae.patterns import PatternMemory, Patterns, Reference
from dkl_ae.recordings import Chunk, Recording, ReferenceChoice, chunks_of, files_of, open_recording
from dkl_ae.records import (
    DEFAULT_CROSS_ARM_NM,
    DEFAULT_ELECTRONS,
    BoolArray,
    FloatArray,
    IntArray,
    NumberArray,
    UserError,
    spread_pixels,
)
from dkl_ae.scalarizers import (
    ENDS,
    Scalarizer,
    catalogue,
    curl,
    minus_divergence,
    read,
)

ALL: typing.Final = "all"


_REMEMBERED = 64
"""So many patterns, spread over the scan, stand for what was seen before."""

NEIGHBOUR_SCALARIZERS = {"charge_density": minus_divergence, "com_curl": curl}


@dataclasses.dataclass(frozen=True)
class Request:
    """What to read of which recording: all that a worker on another computer needs to know.

    Raises UserError, one sentence, for a number that cannot be.
    """

    file: pathlib.Path
    scalarizers: tuple[str, ...] = (ALL,)
    """Names, or ALL."""
    survey_file: pathlib.Path | None = None
    scan_shape: tuple[int, int] | None = None
    nm_per_pixel: float | None = None
    mrad_per_pixel: float | None = None
    beam_energy_kev: float | None = None
    """Where the file does not tell; see `dkl_ae.recordings.open_recording`."""
    electrons: float = DEFAULT_ELECTRONS
    """Of a pattern of a recording without noise."""
    reference: ReferenceChoice = dataclasses.field(default_factory=ReferenceChoice)
    arm_nm: float = DEFAULT_CROSS_ARM_NM
    """Of the cross around each pixel; the nearest whole number of pixels is taken."""
    scalarizer_file: str = ""
    expression: str = ""

    def __post_init__(self) -> None:
        for what, value in (("number of electrons", self.electrons), ("cross's arm in nm", self.arm_nm)):
            if not 0 < value < math.inf:
                raise UserError(f"The {what} is {value:g}: give a positive number.")

    @property
    def inputs(self) -> tuple[pathlib.Path, ...]:
        """All files that are read."""
        others = [self.survey_file, self.scalarizer_file and pathlib.Path(self.scalarizer_file)]
        return *files_of(self.file), *(file for file in others if file), *self.reference.files

    def chosen(self) -> dict[str, Scalarizer]:
        """The scalarizers that are asked for, by name.

        Raises UserError, one sentence, for one that there is not.
        """
        known = catalogue(self.scalarizer_file, self.expression)
        names = tuple(known) if ALL in self.scalarizers else self.scalarizers
        for name in names:
            if name not in known:
                raise UserError(f"There is no scalarizer '{name}': choose {ALL} or some of {', '.join(known)}.")
            if known[name].needs_cross and name not in NEIGHBOUR_SCALARIZERS:
                raise UserError(
                    f"The expression of {name} reads a cross, which a recording has none of: use charge_density alone."
                )
        return {name: known[name] for name in names}

    def open(self) -> Recording:
        """Raises UserError, one sentence, when the file cannot be used."""
        return open_recording(
            self.file,
            self.survey_file,
            scan_shape=self.scan_shape,
            nm_per_pixel=self.nm_per_pixel,
            mrad_per_pixel=self.mrad_per_pixel,
            beam_energy_kev=self.beam_energy_kev,
            require_survey=False,
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Map:
    """One reading over the whole scan."""

    value: FloatArray
    """Shape (H, W), NaN where it is undefined."""
    sigma: FloatArray
    common_sigma: FloatArray
    """Of the error that all pixels have in common; likewise."""
    reasons: collections.Counter[str]
    """Why it is undefined, and at how many patterns."""


ReadingContext = tuple[Reference, PatternMemory]
"""What patterns are read against."""

ChunkResult = dict[str, tuple[FloatArray, FloatArray, FloatArray, collections.Counter[str]]]
"""Values, sigmas, common sigmas and reasons of a chunk's patterns, by the scalarizer's name."""

Executor = Callable[[Callable[[Chunk], ChunkResult], Sequence[Chunk]], Iterator[tuple[Chunk, ChunkResult]]]
"""A way of spreading work: a function and chunks -> each chunk with its result, in any order."""


def in_threads(workers: int | None = None) -> Executor:
    """Spread the work over threads of this process; as many as there are processors unless told."""

    def spread(work: Callable[[Chunk], ChunkResult], chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, ChunkResult]]:
        # Threads that each start threads for their matrix products are in each other's way.
        with (
            threadpoolctl.threadpool_limits(1),
            concurrent.futures.ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool,
        ):
            waiting = {pool.submit(work, chunk): chunk for chunk in chunks}
            try:
                for done in concurrent.futures.as_completed(waiting):
                    yield waiting[done], done.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    return spread


def scalarize_recording(
    recording: Recording,
    reference: Reference,
    scalarizers: Mapping[str, Scalarizer],
    *,
    electrons: float = DEFAULT_ELECTRONS,
    arm_nm: float = DEFAULT_CROSS_ARM_NM,
    places: BoolArray | None = None,
    spread: Executor | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> dict[str, Map]:
    """The map of every scalarizer.

    places: which pixels of the scan are read, shape (H, W); None for all. The others' patterns are not looked at, and
        their readings are undefined.
    progress: called with the fraction done.
    """
    wanted = required(scalarizers)
    needed = places
    if places is not None and scalarizers.keys() & NEIGHBOUR_SCALARIZERS.keys():
        needed = _with_ends(places, arm_in_pixels(arm_nm, recording.nm_per_pixel))
    chunks = [
        chunk
        for chunk in chunks_of(recording.scan_shape, recording.detector_shape)
        if needed is None or needed[chunk.slices].any()
    ]
    memory = _memory(recording, reference, electrons)
    work = functools.partial(read_chunk, recording, (reference, memory), wanted, electrons, places=needed)
    nothing = numpy.full(recording.scan_shape, numpy.nan)
    maps = {name: Map(nothing.copy(), nothing.copy(), nothing.copy(), collections.Counter()) for name in wanted}
    for count, (chunk, parts) in enumerate((spread or in_threads())(work, chunks), start=1):
        rows, columns = chunk.pixels(needed).T
        for name, (value, sigma, common_sigma, reasons) in parts.items():
            maps[name].value[rows, columns] = value
            maps[name].sigma[rows, columns] = sigma
            maps[name].common_sigma[rows, columns] = common_sigma
            maps[name].reasons.update(reasons)
        progress(count / len(chunks))
    for name in NEIGHBOUR_SCALARIZERS:
        if name in scalarizers:
            maps[name] = _of_neighbours(name, maps, recording.nm_per_pixel, arm_nm)
    if places is not None:
        for found in maps.values():
            found.value[~places] = found.sigma[~places] = found.common_sigma[~places] = numpy.nan
    return {name: maps[name] for name in scalarizers}


def require_some(maps: Mapping[str, Map]) -> None:
    """Raises UserError, one sentence, when none of the maps has a number."""
    if any(numpy.isfinite(found.value).any() for found in maps.values()):
        return
    reasons = sum((found.reasons for found in maps.values()), collections.Counter[str]())
    told = f" (mostly: {reasons.most_common(1)[0][0].rstrip('.')})" if reasons else ""
    raise UserError(f"No pattern gives a number of {', '.join(maps)}{told}: choose others with --scalarizer.")


def required(scalarizers: Mapping[str, Scalarizer]) -> dict[str, Scalarizer]:
    """What must be read of single patterns: readings of a cross follow from the centres of mass of the neighbours."""
    wanted = {name: scalarizer for name, scalarizer in scalarizers.items() if name not in NEIGHBOUR_SCALARIZERS}
    if len(wanted) < len(scalarizers):
        known = catalogue()
        wanted |= {name: known[name] for name in ("com_x", "com_y")}
    return wanted


def read_chunk(
    recording: Recording,
    against: ReadingContext,
    scalarizers: Mapping[str, Scalarizer],
    electrons: float,
    chunk: Chunk,
    *,
    places: BoolArray | None = None,
) -> ChunkResult:
    """Read the patterns of a chunk: all, or those of some places, shape (H, W), in the order of `Chunk.pixels`."""
    reference, memory = against
    pixels = chunk.pixels(places)
    counts = recording.counts(*chunk.slices, electrons) if places is None else _counts_at(recording, pixels, electrons)
    positions = (pixels + 0.5) / numpy.array(recording.scan_shape)
    patterns = Patterns(counts, reference, positions=positions, memory=memory)
    parts = {}
    for name, scalarizer in scalarizers.items():
        values = read(scalarizer, patterns)
        parts[name] = values.value, values.sigma, values.common_sigma, collections.Counter(values.reasons.values())
    return parts


def _memory(recording: Recording, reference: Reference, electrons: float) -> PatternMemory:
    """Patterns from all over the scan: in which order it was scanned does not matter."""
    memory = PatternMemory()
    places = spread_pixels(recording.scan_shape, _REMEMBERED)
    positions = (places + 0.5) / numpy.array(recording.scan_shape)
    Patterns(_counts_at(recording, places, electrons), reference, positions=positions).remember_in(memory)
    return memory


def _counts_at(recording: Recording, pixels: IntArray, electrons: float) -> NumberArray:
    """Of single pixels, shape (n, ky, kx)."""
    return numpy.concatenate(
        [recording.counts(slice(row, row + 1), slice(column, column + 1), electrons) for row, column in pixels]
    )


def _of_neighbours(name: str, maps: Mapping[str, Map], nm_per_pixel: float, arm_nm: float) -> Map:
    """A reading of a cross whose ends are pixels of the scan; at its edge, where an end is outside, there is none."""
    arm = arm_in_pixels(arm_nm, nm_per_pixel)
    com = numpy.stack([maps["com_y"].value, maps["com_x"].value], axis=-1)
    variance = numpy.stack([maps["com_y"].sigma, maps["com_x"].sigma], axis=-1) ** 2
    value, sigma = NEIGHBOUR_SCALARIZERS[name](_ends(com, arm), _ends(variance, arm), arm * nm_per_pixel)
    lost = int(numpy.count_nonzero(numpy.isnan(value)))
    sentence = "an end of the cross is outside of the scan, or its centre of mass is undefined."
    # A wrong zero moves all ends alike.
    nothing = numpy.where(numpy.isnan(value), numpy.nan, 0.0)
    return Map(value, sigma, nothing, collections.Counter({sentence: lost} if lost else {}))


def arm_in_pixels(arm_nm: float, nm_per_pixel: float) -> int:
    """The nearest whole number of pixels, at least one."""
    return max(1, round(arm_nm / nm_per_pixel))


def _with_ends(places: BoolArray, arm: int) -> BoolArray:
    """Places and the ends of the crosses around them, where they are inside of the scan."""
    wanted = places.copy()
    height, width = places.shape
    for pixels in (numpy.argwhere(places) + arm * numpy.array(end, numpy.int64) for end in ENDS):
        inside = ((pixels >= 0) & (pixels < (height, width))).all(axis=1)
        wanted[tuple(pixels[inside].T)] = True
    return wanted


def _ends(values: FloatArray, arm: int) -> FloatArray:
    """The values at the ends of a cross around each pixel, shape (4, H, W, 2); NaN outside of the scan."""
    height, width = values.shape[:2]
    padded = numpy.pad(values, ((arm, arm), (arm, arm), (0, 0)), constant_values=numpy.nan)
    return numpy.stack(
        [padded[arm + arm * y : arm + arm * y + height, arm + arm * x : arm + arm * x + width] for y, x in ENDS]
    )
