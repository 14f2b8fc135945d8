"""The settings of a run, in groups.

To add a setting, add a line to its group: the panel, the command line, the session and the report then have it.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping

from dkl_ae.records import DEFAULT_CROSS_ARM_NM, DEFAULT_EXPOSURE_S, DEFAULT_MASK_OUTER
from dkl_ae.settings.choices import (
    ACQUIRE_SURVEY,
    COMPUTE_DEVICES,
    DARKEST,
    DESCANS,
    GOALS,
    KERNEL_INPUTS,
    LARGEST,
    NO_DESCAN,
    REFERENCES,
    SURVEY_SOURCES,
    KernelInput,
)
from dkl_ae.settings.setting import setting


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
    candidate_spacing: int = setting(
        0,
        "Candidate spacing",
        "Every so many pixels of the survey, along rows and columns, there is a place that may be measured; 0 takes "
        "every pixel of a small survey, and of a large one as many as the model can keep up with.",
        unit="px",
        minimum=0,
        is_advanced=True,
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
    confirm_surprising: bool = setting(
        True,
        "Confirm surprising readings",
        "Whether a reading that the model and all other readings do not confirm is measured once more, right beside, "
        "before it leads. Such points count among the model points.",
        is_advanced=True,
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
    slow_variation: bool = setting(
        True,
        "Slow variation",
        "Whether the model also learns what changes slowly over the survey whatever the patches show, such as strain, "
        "a bent specimen or a drifting beam.",
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
    repeated_percent: float = setting(
        10.0,
        "Repeat reference",
        "Reference exposures repeated for every 100 points at most, as its zero drifts: all shifts are read again.",
        key="reference_repeated",
        unit="%",
        minimum=0,
        maximum=100,
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


GROUPS: typing.Final[Mapping[str, type]] = {
    "objective": ObjectiveSettings,
    "search": SearchSettings,
    "model": ModelSettings,
    "exposure": ExposureSettings,
    "reference": ReferenceSettings,
    "detector": DetectorSettings,
    "devices": DeviceSettings,
}
"""Each kind of settings, by its name in a plan."""
