"""The settings of a run, in groups. Pure data: making a plan runs no code and looks at no file.

To add a setting, add a line to its group: the panel, the command line, the session and the report then have it.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping

from dkl_ae.records import DEFAULT_CROSS_ARM_NM, DEFAULT_EXPOSURE_S, DEFAULT_MASK_OUTER, UserError, parse_region
from dkl_ae.settings.choices import (
    ACQUIRE_SURVEY,
    COMPUTE_DEVICES,
    DARKEST,
    DESCANS,
    FILE,
    GOALS,
    KERNEL_INPUTS,
    LARGEST,
    NO_DESCAN,
    REFERENCES,
    REGION,
    SURVEY_SOURCES,
    KernelInput,
)
from dkl_ae.settings.setting import Setting, Value, setting, settings_of


@dataclasses.dataclass(frozen=True)
class ObjectiveSettings:
    """What the run looks for."""

    scalarizer: str = setting(
        "com_magnitude", "Scalarizer", "The reading that the run optimizes; all the others are logged."
    )
    goal: str = setting(
        LARGEST,
        "Optimize",
        "What the run looks for; of an angle the largest is the direction +x, the smallest -x.",
        choices=GOALS,
    )
    goal_value: float = setting(
        0.0,
        "Target value",
        "In the scalarizer's unit; used when the run looks for a value. With the upper confidence bound the run traces "
        "the contour of this value.",
    )
    expression: str = setting(
        "",
        "Expression",
        "Gives the reading Composite of other readings and of virtual detectors, such as com_magnitude / abf, "
        "annulus(1.2, 2.5) / bf, segment(0, 1, -45, 45) - segment(0, 1, 135, 225), ellipse(21, 0, 10, 10), "
        'correlation("picked.npy"). Empty for none.',
        is_advanced=True,
    )
    scalarizer_file: str = setting(
        "",
        "Custom scalarizers",
        "A Python file with functions marked @scalarizer(unit=...). It is run. Empty for none.",
        is_file=True,
        is_advanced=True,
    )


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """Where the run measures, and how often."""

    patch_size: int = setting(
        13,
        "Patch size",
        "Side of the square of survey pixels around each pixel that the model sees, a little wider than the structures "
        "that matter. An even number is rounded up to the next odd one, which has a central pixel.",
        unit="px",
        minimum=1,
    )
    seed_points: int = setting(
        10, "Seed points", "Patterns measured at random positions before the model begins to choose.", minimum=0
    )
    model_points: int = setting(60, "Model points", "Patterns measured where the model chooses.", minimum=0)
    acquisition: str = setting(
        "expected_improvement", "Acquisition", "The function of the prediction whose maximum is measured next."
    )
    acquisition_parameter: float = setting(
        0.01,
        "Acquisition parameter",
        "The number that weighs exploring the unknown against exploiting what is known; see the acquisition function's "
        "own explanation.",
        minimum=0,
    )
    batch_size: int = setting(
        1,
        "Batch size",
        "Patterns chosen together before the model learns from them; 1 learns from each.",
        minimum=1,
        is_advanced=True,
    )
    travel_cost: float = setting(
        0.0,
        "Travel cost",
        "How much a nanometre of the probe's way counts against a position: 1 makes a position one nanometre away "
        "score 2.7 times less. 0 ignores the way.",
        unit="per nm",
        minimum=0,
        is_advanced=True,
    )
    minimum_spacing_nm: float = setting(
        0.0,
        "Minimum spacing",
        "No two exposures are nearer to each other than this, to spare the specimen; 0 allows neighbouring pixels.",
        unit="nm",
        minimum=0,
        is_advanced=True,
    )
    random_seed: int = setting(
        0,
        "Random seed",
        "The same seed, survey and settings give the same seed points.",
        minimum=0,
        is_advanced=True,
    )

    @property
    def points(self) -> int:
        """Seed points and model points together."""
        return self.seed_points + self.model_points


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """What learns."""

    kernel_input: str = setting(
        KernelInput.COMBINED.value,
        "Model",
        "What the deep kernel looks at. With both, the readings decide how much the network has to say.",
        choices=KERNEL_INPUTS,
        is_advanced=True,
    )
    pretrained: str = setting(
        "",
        "Pretrained model",
        "A saved model of the same scalarizer, patch size and pixel size: the run begins with what it knows, and needs "
        "no seed points. Empty to learn from nothing.",
        is_file=True,
        is_advanced=True,
    )
    compute_device: str = setting(
        "auto",
        "Compute device",
        "Where the model is trained; Automatic takes the GPU when there is one.",
        choices=COMPUTE_DEVICES,
    )


@dataclasses.dataclass(frozen=True)
class ExposureSettings:
    """How each position is exposed."""

    exposure_ms: float = setting(
        DEFAULT_EXPOSURE_S * 1000,
        "Exposure",
        "How long the camera exposes each diffraction pattern.",
        unit="ms",
        above=0,
        maximum=60_000,
    )
    cross_arm_nm: float = setting(
        DEFAULT_CROSS_ARM_NM,
        "Cross arm",
        "How far the ends of the cross are from its centre. A run that optimizes the charge density or the curl "
        "exposes five patterns at each position.",
        unit="nm",
        above=0,
        is_advanced=True,
    )


@dataclasses.dataclass(frozen=True)
class ReferenceSettings:
    """What a deflection is measured against."""

    source: str = setting(
        DARKEST,
        "Reference",
        "Where the beam is taken for undeflected. The darkest pixels are vacuum where there is any; the mean over the "
        "survey suits a specimen that fills it; a file costs no dose.",
        key="reference",
        choices=REFERENCES,
    )
    frames: int = setting(
        4,
        "Reference frames",
        "Exposures whose mean pattern is the reference; a fit of the descan takes nine, all over the survey.",
        key="reference_frames",
        minimum=1,
    )
    region: str = setting(
        "",
        "Region",
        "Top, left, height and width as fractions of the survey, such as 0.8, 0, 0.2, 0.3.",
        key="reference_region",
    )
    file: str = setting(
        "",
        "Reference file",
        "A saved reference (.npz), which brings its own mask, descan and geometry, or a pattern of vacuum (.npy).",
        key="reference_file",
        is_file=True,
    )
    descan: str = setting(
        NO_DESCAN,
        "Descan",
        "How the undeflected beam wanders on the camera over the survey. It is measured at the darkest pixel in each "
        "of nine parts of the survey.",
        choices=DESCANS,
    )


@dataclasses.dataclass(frozen=True)
class DetectorSettings:
    """How the camera lies, and which of its pixels count."""

    rotation_deg: float = setting(
        0.0,
        "Detector rotation",
        "What a deflection on the detector must be turned by, from +x towards +y, to point in the scan's axes.",
        key="detector_rotation_deg",
        unit="deg",
    )
    flip_x: bool = setting(
        False,
        "Detector flipped",
        "Whether the detector's x axis is reversed, before it is turned. A transposed detector is flipped and turned "
        "by -90 degrees.",
    )
    mask_inner: float = setting(
        0.0,
        "Inner mask radius",
        "The ring in which the centre of mass is taken, in radii of the bright-field disc: from 0 to 1.1 keeps nearly "
        "all of the signal and shuts out most of the camera's noise; inf takes the whole detector.",
        unit="disc radii",
        minimum=0,
    )
    mask_outer: float = setting(
        DEFAULT_MASK_OUTER,
        "Outer mask radius",
        "Where the ring of the centre of mass ends, in radii of the bright-field disc; inf for the whole detector.",
        unit="disc radii",
        above=0,
        may_be_infinite=True,
    )


@dataclasses.dataclass(frozen=True)
class DeviceSettings:
    """What the run is carried out on. An empty name takes the one that Swift prefers."""

    instrument_id: str = setting("", "Microscope", "The instrument that is driven.")
    camera_id: str = setting("", "Camera", "The camera of the diffraction patterns.")
    channel: int = setting(0, "Scan channel", "The detector of the survey, counted from 0.", minimum=0)
    survey_source: str = setting(
        ACQUIRE_SURVEY,
        "Survey",
        "Acquire a new frame with the scan's current settings, or use the selected data item when it is a frame of the "
        "scan as it is set now.",
        choices=SURVEY_SOURCES,
    )


@dataclasses.dataclass(frozen=True)
class Plan:
    """Every setting of a run, in groups; `make_plan` makes one by the settings' keys.

    Attributes
    ----------
    objective : ObjectiveSettings
        What the run looks for.
    search : SearchSettings
        Where the run measures, and how often.
    model : ModelSettings
        What learns.
    exposure : ExposureSettings
        How each pattern is exposed.
    reference : ReferenceSettings
        Where the beam is taken for undeflected.
    detector : DetectorSettings
        How the detector lies over the scan, and which part of it is read.
    devices : DeviceSettings
        What is driven, in Swift.

    Raises
    ------
    UserError
        For settings that cannot work.
    """

    objective: ObjectiveSettings = dataclasses.field(default_factory=ObjectiveSettings)
    search: SearchSettings = dataclasses.field(default_factory=SearchSettings)
    model: ModelSettings = dataclasses.field(default_factory=ModelSettings)
    exposure: ExposureSettings = dataclasses.field(default_factory=ExposureSettings)
    reference: ReferenceSettings = dataclasses.field(default_factory=ReferenceSettings)
    detector: DetectorSettings = dataclasses.field(default_factory=DetectorSettings)
    devices: DeviceSettings = dataclasses.field(default_factory=DeviceSettings)

    def __post_init__(self) -> None:
        for known in SETTINGS.values():
            known.check(getattr(getattr(self, known.group), known.name))
        self._check_points()
        self._check_reference()
        if self.detector.mask_inner >= self.detector.mask_outer:
            raise UserError(
                f"The mask of the centre of mass goes from {self.detector.mask_inner:g} to "
                f"{self.detector.mask_outer:g} disc radii: choose a ring, such as 0 to 1.1."
            )

    def _check_points(self) -> None:
        search = self.search
        if search.seed_points == 0 and not self.model.pretrained:
            raise UserError("The number of seed points is 0: choose 1 or more, or a saved model to start from.")
        if search.points == 0:
            raise UserError("The run has no seed points and no model points: ask for some.")
        if search.patch_size % 2 == 0:
            raise UserError(
                f"The patch size is {search.patch_size} px, which has no central pixel: choose {search.patch_size + 1}."
            )

    def _check_reference(self) -> None:
        if self.reference.source == REGION:
            parse_region(self.reference.region)
        if self.reference.source != FILE:
            return
        if not self.reference.file:
            raise UserError("The reference comes from a file but none is named: choose one, or another reference.")
        if self.reference.descan != NO_DESCAN:
            raise UserError(
                "A reference from a file brings its own descan: choose no correction, or another reference."
            )


GROUPS: typing.Final[Mapping[str, type]] = {
    "objective": ObjectiveSettings,
    "search": SearchSettings,
    "model": ModelSettings,
    "exposure": ExposureSettings,
    "reference": ReferenceSettings,
    "detector": DetectorSettings,
    "devices": DeviceSettings,
}

SETTINGS: typing.Final[Mapping[str, Setting]] = {
    known.key: known for group, kind in GROUPS.items() for known in settings_of(group, kind)
}
"""Every setting of a plan, by its key."""


def make_plan(**values: Value) -> Plan:
    """The plan with these values; what is missing has its default.

    Parameters
    ----------
    **values
        By the settings' keys, such as ``patch_size=13``; `SETTINGS` has them all, with unit and help.

    Returns
    -------
    Plan

    Raises
    ------
    UserError
        For a setting that there is not, and for one that cannot work.
    """
    return changed(Plan(), **values)


def changed(plan: Plan, **values: Value) -> Plan:
    """The same plan with other values, by the settings' keys; raises as `make_plan` does."""
    groups: dict[str, dict[str, Value]] = {}
    for key, value in values.items():
        if key not in SETTINGS:
            raise UserError(f"There is no setting '{key}': choose one of {', '.join(SETTINGS)}.")
        known = SETTINGS[key]
        groups.setdefault(known.group, {})[known.name] = value
    parts = {group: dataclasses.replace(getattr(plan, group), **part) for group, part in groups.items()}
    return dataclasses.replace(plan, **parts)


def values_of(plan: Plan) -> dict[str, Value]:
    """The value of every setting, by its key."""
    return {key: getattr(getattr(plan, known.group), known.name) for key, known in SETTINGS.items()}
