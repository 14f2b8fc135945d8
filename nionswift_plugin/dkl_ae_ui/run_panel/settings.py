"""What the panel asks for: the texts a user types become validated settings, and back."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import typing
from collections.abc import Callable, Mapping

from dkl_ae.experiment import ACQUISITIONS, Plan
from dkl_ae.records import UserError, centred_size
from dkl_ae.settings import DARKEST, FILE, LARGEST, MEAN, NO_DESCAN, REGION, SMALLEST, VALUE

ACQUIRE_SURVEY = "acquire"
USE_SELECTED_SURVEY = "selected"
SURVEY_SOURCES: Mapping[str, str] = {
    ACQUIRE_SURVEY: "Acquire a new frame",
    USE_SELECTED_SURVEY: "Use the selected data item",
}
GOALS: Mapping[str, str] = {
    LARGEST: "The largest reading",
    SMALLEST: "The smallest reading",
    VALUE: "The value below",
}
EMBEDDING_LABELS: Mapping[str, str] = {
    "combined": "Patches and network",
    "patches": "Patches alone",
    "network": "Network alone",
}
DEVICE_LABELS: Mapping[str, str] = {
    "auto": "Automatic",
    "gpu": "GPU",
    "cpu": "CPU",
}
REFERENCE_LABELS: Mapping[str, str] = {
    DARKEST: "Darkest places of the survey",
    REGION: "Region drawn on the survey",
    MEAN: "Mean over the survey",
    FILE: "File",
}
DESCAN_LABELS: Mapping[str, str] = {
    NO_DESCAN: "Not corrected",
    "plane": "Fit a plane",
    "quadratic": "Fit a quadratic",
}
MIRRORED_LABELS: Mapping[str, str] = {
    str(False): "Not mirrored",
    str(True): "Mirrored",
}
TEXT_FIELDS = ("pretrained", "scalarizer_file", "expression", "reference_region", "reference_file")
"""Settings that are typed and are no numbers."""
_ON_FILES = ("scalarizer", "scalarizer_file", "expression", "reference", "reference_file")


@dataclasses.dataclass(frozen=True)
class NumberField:
    """One number that the user types."""

    name: str
    label: str
    unit: str
    tool_tip: str
    convert: Callable[[str], float]
    example: str


NUMBER_FIELDS = (
    NumberField(
        "exposure_ms",
        "Exposure",
        "ms",
        "How long the camera exposes each diffraction pattern.",
        float,
        "10",
    ),
    NumberField(
        "patch_size",
        "Patch size",
        "px",
        "Side of the square of survey pixels around each place that the model sees, a little wider than the "
        "structures that matter. An even number is met by the next odd one, which has a central pixel.",
        int,
        "13",
    ),
    NumberField(
        "seed_points",
        "Seed points",
        "",
        "Patterns measured at random places before the model begins to choose.",
        int,
        "10",
    ),
    NumberField(
        "goal_value",
        "Value sought",
        "",
        "In the scalarizer's unit; used when the run seeks a value. With the upper confidence bound the run traces "
        "the contour of this value.",
        float,
        "0.5",
    ),
    NumberField(
        "batch_size",
        "Batch",
        "",
        "Patterns chosen together before the model learns from them; 1 learns from each.",
        int,
        "1",
    ),
    NumberField(
        "travel_cost",
        "Travel cost",
        "per nm",
        "How much a nanometre of the probe's way counts against a place: 1 makes a place one nanometre away worth "
        "2.7 times less. 0 ignores the way.",
        float,
        "0",
    ),
    NumberField(
        "least_spacing_nm",
        "Least spacing",
        "nm",
        "No two exposures are nearer to each other than this, to spare the specimen; 0 allows neighbouring pixels.",
        float,
        "0",
    ),
    NumberField("steps", "Steps", "", "Patterns measured where the model chooses.", int, "60"),
    NumberField(
        "acquisition_parameter",
        "Acquisition parameter",
        "",
        "The number that weighs exploring the unknown against exploiting what is known; see the acquisition "
        "function's own explanation.",
        float,
        "0.01",
    ),
    NumberField(
        "reference_frames",
        "Reference frames",
        "",
        "Exposures whose mean pattern is the reference; a fit of the descan takes nine, all over the survey.",
        int,
        "4",
    ),
    NumberField(
        "detector_rotation_deg",
        "Detector rotation",
        "deg",
        "What a deflection on the detector must be turned by, from +x towards +y, to point in the scan's axes.",
        float,
        "0",
    ),
    NumberField(
        "cross_arm_nm",
        "Cross arm",
        "nm",
        "How far the ends of the cross are from its centre. A run that is driven by the charge density or the curl "
        "exposes five patterns at each place.",
        float,
        "0.06",
    ),
    NumberField(
        "mask_inner",
        "Mask's inner radius",
        "",
        "The ring in which the centre of mass is taken, in radii of the bright-field disc: from 0 to 1.1 keeps nearly "
        "all of the signal and shuts out most of the camera's noise; inf takes the whole detector.",
        float,
        "0",
    ),
    NumberField(
        "mask_radius",
        "Mask's outer radius",
        "",
        "Where the ring of the centre of mass ends, in radii of the bright-field disc; inf for the whole detector.",
        float,
        "1.1",
    ),
    NumberField(
        "random_seed",
        "Random seed",
        "",
        "The same seed, survey and settings give the same seed points.",
        int,
        "0",
    ),
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything a run needs from the user. Raises UserError, one sentence, for what cannot work."""

    plan: Plan = dataclasses.field(default_factory=Plan)
    exposure_ms: float = 10.0
    survey_source: str = ACQUIRE_SURVEY
    instrument_id: str = ""
    """Empty for the one that Swift prefers; likewise the camera."""
    camera_id: str = ""
    channel: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.exposure_ms <= 60_000:
            raise UserError(f"The exposure is {self.exposure_ms:g} ms: choose more than 0 and at most 60,000 ms.")
        if self.survey_source not in SURVEY_SOURCES:
            raise UserError(
                f"There is no survey source '{self.survey_source}': choose one of {', '.join(SURVEY_SOURCES)}."
            )

    def to_texts(self) -> dict[str, str]:
        """The text of each setting, by its name."""
        values = {**dataclasses.asdict(self), **dataclasses.asdict(self.plan)}
        del values["plan"]
        return {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in values.items()}

    def about_patch_size(self, typed: str) -> str:
        """What to tell the user when another size is used than the one that was typed; else empty."""
        used = self.plan.patch_size
        if int(typed) == used:
            return ""
        return f"Ready. A patch of {int(typed)} px has no central pixel: {used} px are used."

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Settings:
        """Read the texts; what is missing has its default.

        Raises UserError for the first text that cannot be used.
        """
        known: dict[str, typing.Any] = {**cls().to_texts(), **texts}
        for field in NUMBER_FIELDS:
            known[field.name] = _number(field, known[field.name])
        if known["patch_size"] > 0:
            known["patch_size"] = centred_size(known["patch_size"])
        known["channel"] = int(known["channel"])
        known["detector_mirrored"] = known["detector_mirrored"] == str(True)
        plan_names = {field.name for field in dataclasses.fields(Plan)}
        own_names = {field.name for field in dataclasses.fields(cls)} - {"plan"}
        return cls(
            plan=Plan(**{name: known[name] for name in plan_names}),
            **{name: known[name] for name in own_names},
        )


def remembered_texts(text: str) -> dict[str, str]:
    """The texts of the last start, from what was stored; the defaults when that cannot be used.

    A file that is gone meanwhile costs only what depends on files.
    """
    usual = Settings().to_texts()
    try:
        stored = {**usual, **{str(name): str(value) for name, value in json.loads(text).items()}}
    except (ValueError, AttributeError):
        return usual
    for texts in (stored, stored | {name: usual[name] for name in _ON_FILES}):
        with contextlib.suppress(ValueError):
            Settings.from_texts(texts)
            return texts
    return usual


def default_parameter(acquisition: str) -> str:
    """The text of an acquisition function's usual parameter."""
    return f"{ACQUISITIONS[acquisition].default:g}"


def _number(field: NumberField, text: str) -> float:
    try:
        return field.convert(text.strip())
    except ValueError:
        kind = "a whole number" if field.convert is int else "a number"
        raise UserError(f"The {field.label.lower()} is '{text}': type {kind} such as {field.example}.") from None
