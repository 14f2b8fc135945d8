"""What is where in a session file: see docs/session-format.md, which says the same to people."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable, Sequence

from dkl_ae.model import ModelSummary, VarianceFractions
from dkl_ae.records import Measurement, Origin, Position, Proposal, Reading
from dkl_ae.run import Dose, StepTimes
from dkl_ae.settings import Plan

FORMAT: typing.Final = "dkl-ae session"
VERSION: typing.Final = 2
SUFFIX: typing.Final = ".h5"
FORMAT_OF_1_10: typing.Final = ("v110", "v110")
"""The first version of HDF5 (2016) that can append while others read; every later one reads it."""

MAPS: typing.Final = ("prediction", "uncertainty", "acquisition", "reading_probability")
"""A file of before there was the last has none; nor has it the newest columns of `STEPS`."""
MAPS_IN_UNIT: typing.Final = ("prediction", "uncertainty")
"""Those in the unit of the optimized reading."""
MAX_MAPS_KEPT: typing.Final = 100
"""The maps of every k-th step are kept, with the smallest k for which there are no more than this, and the last."""
MAX_PIXELS_KEPT: typing.Final = 16_000_000
"""Nor have they more pixels than this, of each kind of map: those of a large survey take long to write."""

REPEATED: typing.Final = "reference_repeated"
"""Group of the reference's exposures that were repeated; a file of before runs repeated any has none."""
REPEATED_PATTERNS: typing.Final = f"{REPEATED}/patterns"

READING_COLUMNS: typing.Final = ("value", "sigma", "common_sigma")
"""Of each scalarizer; a file of before there was the last has none."""

TEXT: typing.Final = "S1000"
"""UTF-8, filled with zero bytes; a longer text goes on in the next rows, whose kind is empty."""

INPUTS: typing.Final = ("scalarizer_file", "pretrained", "reference_file")
"""Settings of a plan that name a file, which is kept whole."""


@dataclasses.dataclass(frozen=True)
class Column:
    """One dataset with a row for each measurement, or each completed step."""

    name: str
    unit: str
    description: str
    dtype: str = "f8"


@dataclasses.dataclass(frozen=True)
class About:
    """What a session tells of its run beside the plan."""

    title: str = ""
    instrument: typing.Mapping[str, typing.Any] = dataclasses.field(default_factory=dict)
    """What the run was driven on, as JSON takes it; resuming takes from it what to drive again."""


@dataclasses.dataclass(frozen=True)
class MeasurementColumn(Column):
    of: Callable[[Measurement, Dose], typing.Any] = lambda measurement, dose: math.nan


@dataclasses.dataclass(frozen=True)
class StepColumn(Column):
    of: Callable[[StepTimes | None, ModelSummary | None], typing.Any] = lambda times, summary: math.nan


def _number(value: float | None) -> float:
    return math.nan if value is None else value


MEASUREMENTS: typing.Final[Sequence[MeasurementColumn]] = (
    MeasurementColumn(
        "candidate", "", "Number of the candidate, row by row.", "i8", lambda m, dose: m.proposal.candidate
    ),
    MeasurementColumn("row", "px", "Survey pixel.", "i8", lambda m, dose: m.proposal.row),
    MeasurementColumn("column", "px", "Survey pixel.", "i8", lambda m, dose: m.proposal.column),
    MeasurementColumn(
        "origin",
        "",
        "Who chose the place: seed, model, or confirm: the model, to measure beside a reading that nothing confirmed.",
        "S8",
        lambda m, dose: m.proposal.origin.encode(),
    ),
    MeasurementColumn(
        "score",
        "",
        "Value of the acquisition function; of an improvement its logarithm.",
        of=lambda m, dose: _number(m.proposal.score),
    ),
    MeasurementColumn(
        "expected",
        "of the optimized reading",
        "What the model expected to read there before the exposure.",
        of=lambda m, dose: _number(m.proposal.expected),
    ),
    MeasurementColumn(
        "uncertainty",
        "of the optimized reading",
        "Standard deviation of what it expected.",
        of=lambda m, dose: _number(m.proposal.uncertainty),
    ),
    MeasurementColumn(
        "exploration",
        "",
        "Share of its attraction that is not knowing; see dkl_ae.experiment.acquisition.exploration.",
        of=lambda m, dose: _number(m.proposal.exploration),
    ),
    MeasurementColumn(
        "asked_y", "survey height", "Where the probe was sent, 0 at the top.", of=lambda m, dose: m.position_asked.y
    ),
    MeasurementColumn(
        "asked_x", "survey width", "Where the probe was sent, 0 at the left.", of=lambda m, dose: m.position_asked.x
    ),
    MeasurementColumn(
        "read_back_y", "survey height", "Where the probe was.", of=lambda m, dose: m.position_read_back.y
    ),
    MeasurementColumn("read_back_x", "survey width", "Where the probe was.", of=lambda m, dose: m.position_read_back.x),
    MeasurementColumn(
        "electrons", "e", "Electrons that the detector counted in the pattern.", of=lambda m, dose: m.electrons
    ),
    MeasurementColumn("exposure_s", "s", "Exposure of the pattern.", of=lambda m, dose: m.exposure_s),
    MeasurementColumn("time", "s", "End of the exposure, since 1970-01-01 UTC.", of=lambda m, dose: m.time),
    MeasurementColumn(
        "total_exposure_s",
        "s",
        "Beam on the specimen so far, survey, reference and crosses included.",
        of=lambda m, dose: dose.exposure_s,
    ),
    MeasurementColumn(
        "total_electrons",
        "e",
        "Electrons on the specimen so far, likewise: current times exposure over the elementary charge.",
        of=lambda m, dose: _number(dose.electrons),
    ),
)


def _time_column(part: str, description: str) -> StepColumn:
    return StepColumn(
        f"{part}_s", "s", description, of=lambda times, summary: math.nan if times is None else getattr(times, part)
    )


TIME_COLUMNS: typing.Final[Sequence[StepColumn]] = (
    _time_column("camera", "Moving, exposing, reading out."),
    _time_column("scalarizer", "Reading the pattern."),
    _time_column("model", "Fitting, predicting and choosing."),
    _time_column("recorder", "Keeping the pattern."),
)
"""Of a step; NaN where the run was killed within it."""


def _summary_column(name: str, description: str) -> StepColumn:
    return StepColumn(name, "", description, of=lambda times, summary: summary_row(summary)[name])


SUMMARY_COLUMNS: typing.Final[Sequence[StepColumn]] = (
    _summary_column("local", "Fraction of the readings' variance: structure alike in turned and mirrored patches."),
    _summary_column("trend", "Likewise: what grows with the distance from the mean patch."),
    _summary_column("symmetry_breaking", "Likewise: what differs between turned and mirrored patches."),
    _summary_column("slow_variation", "Likewise: what changes slowly over the survey, whatever the patches show."),
    _summary_column("residual_noise", "Likewise: what neither patches nor positions tell."),
    _summary_column("network", "Fraction of the distances between patches that the network's features have."),
    _summary_column("interval_scale", "By what factor the model's intervals were widened."),
)
"""What the model says of itself after a step: NaN before it has learned."""

STEPS: typing.Final[Sequence[StepColumn]] = (*TIME_COLUMNS, *SUMMARY_COLUMNS)


EVENTS: typing.Final = (
    Column("time", "s", "Since 1970-01-01 UTC."),
    Column("measured", "", "Measurements so far.", "i8"),
    Column("kind", "", "What happened; empty where the text of the row before goes on.", "S16"),
    Column("text", "", "In words.", TEXT),
)


def measurement_from(row: typing.Mapping[str, typing.Any], readings: typing.Mapping[str, Reading]) -> Measurement:
    """A measurement from its row of each column."""

    def number(name: str) -> float | None:
        value = float(row[name])
        return None if math.isnan(value) else value

    proposal = Proposal(
        int(row["candidate"]),
        int(row["row"]),
        int(row["column"]),
        Origin(bytes(row["origin"]).decode()),
        *(number(name) for name in ("score", "expected", "uncertainty", "exploration")),
    )
    return Measurement(
        proposal=proposal,
        position_asked=Position(float(row["asked_y"]), float(row["asked_x"])),
        position_read_back=Position(float(row["read_back_y"]), float(row["read_back_x"])),
        readings=readings,
        electrons=float(row["electrons"]),
        exposure_s=float(row["exposure_s"]),
        time=float(row["time"]),
    )


def dose_from(exposure_s: float, electrons: float) -> Dose:
    """The ledger from its two numbers, of which the second may be unknown."""
    return Dose(float(exposure_s), None if math.isnan(electrons) else float(electrons))


def times_from(row: typing.Mapping[str, typing.Any]) -> StepTimes | None:
    """Times of a step from its row of each column; None where the run was killed within it."""
    seconds = [float(row[column.name]) for column in TIME_COLUMNS]
    return None if any(map(math.isnan, seconds)) else StepTimes(*seconds)


def summary_row(summary: ModelSummary | None) -> dict[str, float]:
    """What the model says of itself, by column; NaN for what it does not say."""
    names = [field.name for field in dataclasses.fields(VarianceFractions)]
    fractions = summary.fractions if summary is not None else None
    row = {name: math.nan if fractions is None else float(getattr(fractions, name)) for name in names}
    return {**row, "interval_scale": math.nan if summary is None else float(summary.interval_scale)}


def summary_from(row: typing.Mapping[str, typing.Any]) -> ModelSummary | None:
    """What the model said of itself, from its row of each column; None before it had learned."""
    numbers = {column.name: float(row.get(column.name, 0.0)) for column in SUMMARY_COLUMNS}
    scale = numbers.pop("interval_scale")
    if math.isnan(scale):
        return None
    return ModelSummary(None if any(map(math.isnan, numbers.values())) else VarianceFractions(**numbers), scale)


def kept_steps(plan: Plan, shape: tuple[int, int]) -> tuple[int, ...]:
    """The steps whose maps are kept: see MAX_MAPS_KEPT. The model speaks from the last seed on.

    shape: of the survey.
    """
    most = max(min(MAX_MAPS_KEPT, MAX_PIXELS_KEPT // math.prod(shape)), 1)
    first = max(plan.search.seed_points, 1)
    count = plan.search.points - first + 1
    stride = max(1, math.ceil(count / most))
    return tuple(range(plan.search.points, first - 1, -stride))[::-1]
