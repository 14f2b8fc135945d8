"""The settings of a run."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import math
import typing
from collections.abc import Mapping

from dkl_ae.experiment.acquisition import ACQUISITIONS
from dkl_ae.patterns import MASK_RADIUS
from dkl_ae.records import UserError, parse_region
from dkl_ae.scalarizers import DEFAULT_ARM_NM, Scalarizer, catalogue
from dkl_ae.settings import (
    DARKEST,
    DESCAN_ORDERS,
    DEVICES,
    FILE,
    GOALS,
    LARGEST,
    NO_DESCAN,
    REFERENCES,
    REGION,
    KernelInput,
)

_LOWEST: typing.Final = {
    "patch_size": ("patch size", 1),
    "seed_points": ("number of seed points", 0),
    "steps": ("number of steps", 0),
    "random_seed": ("random seed", 0),
    "reference_frames": ("number of reference frames", 1),
    "batch_size": ("batch", 1),
}


_NOT_NEGATIVE: typing.Final = {
    "acquisition_parameter": "acquisition parameter",
    "travel_cost": "travel cost",
    "least_spacing_nm": "least spacing",
}


@dataclasses.dataclass(frozen=True)
class Plan:
    """Every setting of a run. Raises UserError, one sentence, for a setting that cannot work."""

    scalarizer: str = "com_magnitude"
    """Name of the scalarizer that drives the run; the others are logged."""
    scalarizer_file: str = ""
    """A Python file with scalarizers of your own; empty for none."""
    expression: str = ""
    """Gives the reading `composite` of the others; empty for none."""
    cross_arm_nm: float = DEFAULT_ARM_NM
    """How far the ends of the cross are from its centre, for a scalarizer that needs one."""
    goal: str = LARGEST
    """Whether the run seeks the largest reading, the smallest, or those closest to `goal_value`."""
    goal_value: float = 0.0
    """In the driving scalarizer's unit."""
    patch_size: int = 13
    """Side of the patches in survey pixels, odd."""
    seed_points: int = 10
    """Points measured at random places before the model chooses."""
    steps: int = 60
    """Points that the model chooses."""
    acquisition: str = "expected_improvement"
    acquisition_parameter: float = 0.01
    batch_size: int = 1
    """Points that are chosen together, before the model learns from them."""
    travel_cost: float = 0.0
    """What a nanometre of the probe's way costs: an improvement's worth falls by this power of e, any other score by as
    many standard deviations of the readings."""
    least_spacing_nm: float = 0.0
    """No two exposures are nearer to each other than this."""
    embedding: str = "combined"
    """What the model looks at: the patches, the network's features of them, or both."""
    pretrained: str = ""
    """File of a saved model to start from; then no seed points are needed. Empty to learn from nothing."""
    random_seed: int = 0
    device: str = "auto"
    reference: str = DARKEST
    """Where the beam is taken for undeflected: at the darkest places of the survey, in a region of it, on average over
    all of it, or as a file says."""
    reference_frames: int = 4
    """Exposures whose mean pattern is the reference."""
    reference_region: str = ""
    """Top, left, height and width as fractions of the survey, for a reference from a region."""
    reference_file: str = ""
    """A saved reference, which brings its own mask, descan and geometry, or a pattern of vacuum; for a
    reference from a file."""
    descan: str = NO_DESCAN
    """How the beam's rest is fitted over the survey: not at all, as a plane or as a quadratic."""
    mask_inner: float = 0.0
    mask_radius: float = MASK_RADIUS
    """The ring in which the centre of mass is taken, in disc radii."""
    detector_rotation_deg: float = 0.0
    detector_mirrored: bool = False
    """See `dkl_ae.patterns.DetectorGeometry`."""

    def __post_init__(self) -> None:
        _require_choice("scalarizer", self.scalarizer, self.scalarizers)
        _require_choice("model", self.embedding, tuple(KernelInput))
        _require_choice("acquisition function", self.acquisition, ACQUISITIONS)
        _require_choice("device", self.device, DEVICES)
        _require_choice("reference", self.reference, REFERENCES)
        _require_choice("descan", self.descan, DESCAN_ORDERS)
        for name, (label, lowest) in _LOWEST.items():
            value = getattr(self, name)
            if value < lowest:
                raise UserError(f"The {label} is {value}: choose {lowest} or more.")
        if self.seed_points == 0 and not self.pretrained:
            raise UserError("The number of seed points is 0: choose 1 or more, or a saved model to start from.")
        if self.points == 0:
            raise UserError("The run has no seed points and no steps: ask for some.")
        if self.patch_size % 2 == 0:
            raise UserError(
                f"The patch size is {self.patch_size} px, which has no central pixel: choose {self.patch_size + 1}."
            )
        for name, label in _NOT_NEGATIVE.items():
            number = getattr(self, name)
            if not math.isfinite(number) or number < 0:
                raise UserError(f"The {label} is {number}: choose a number that is not negative.")
        self._require_goal()
        self._require_settings_of_patterns()

    def _require_goal(self) -> None:
        _require_choice("goal", self.goal, GOALS)
        if not math.isfinite(self.goal_value):
            raise UserError(f"The value sought is {self.goal_value}: choose a number.")

    def _require_settings_of_patterns(self) -> None:
        if not 0 < self.cross_arm_nm < math.inf:
            raise UserError(f"The cross's arm is {self.cross_arm_nm} nm: choose a positive length, such as 0.06.")
        if not 0 <= self.mask_inner < self.mask_radius:
            raise UserError(
                f"The mask of the centre of mass goes from {self.mask_inner:g} to {self.mask_radius:g} disc radii: "
                "choose a ring, such as 0 to 1.1."
            )
        if not math.isfinite(self.detector_rotation_deg):
            raise UserError(f"The detector's rotation is {self.detector_rotation_deg} degrees: choose a number.")
        if self.reference == REGION:
            parse_region(self.reference_region)
        if self.reference == FILE and not self.reference_file:
            raise UserError("The reference comes from a file but none is named: choose one, or another reference.")
        if self.reference == FILE and self.descan != NO_DESCAN:
            raise UserError(
                "A reference from a file brings its own descan: choose no correction, or another reference."
            )

    @functools.cached_property
    def scalarizers(self) -> dict[str, Scalarizer]:
        """Every scalarizer that reads the run's patterns, by name, as they were when the plan was made."""
        return catalogue(self.scalarizer_file, self.expression)

    def driven_by(self, scalarizer: str, goal: str, goal_value: float) -> Plan:
        """This plan with another driving scalarizer or goal; the scalarizers stay those that were, also when their file
        has been edited.

        Raises UserError, one sentence, for a scalarizer or a goal that there is not.
        """
        _require_choice("scalarizer", scalarizer, self.scalarizers)
        # Not made anew, which would read the file again.
        plan = copy.copy(self)
        for name, value in (("scalarizer", scalarizer), ("goal", goal), ("goal_value", goal_value)):
            object.__setattr__(plan, name, value)
        plan._require_goal()
        return plan

    @property
    def driver(self) -> Scalarizer:
        """The scalarizer that drives the run."""
        return self.scalarizers[self.scalarizer]

    @property
    def points(self) -> int:
        """Seeds and steps together."""
        return self.seed_points + self.steps

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str, scalarizers: Mapping[str, Scalarizer] | None = None) -> Plan:
        """Read a plan; raises UserError for a text that is not one.

        scalarizers: those that read the run's patterns, by name, where its own file of scalarizers is not to be run.
        """
        try:
            settings = json.loads(text)
            if scalarizers is None:
                return cls(**settings)
            plan = object.__new__(cls)
            # Where `scalarizers` looks first.
            vars(plan)["scalarizers"] = dict(scalarizers)
            plan.__init__(**settings)  # type: ignore[misc]
            return plan
        except (TypeError, json.JSONDecodeError) as error:
            raise UserError(f"This is not a plan: {error}.") from error


def _require_choice(label: str, value: str, choices: typing.Collection[str]) -> None:
    if value not in choices:
        raise UserError(f"There is no {label} '{value}': choose one of {', '.join(choices)}.")
