"""The settings of a run together. Pure data: making a plan runs no code and looks at no file."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping

from dkl_ae.records import UserError, parse_region
from dkl_ae.settings.choices import FILE, NO_DESCAN, REGION
from dkl_ae.settings.groups import (
    GROUPS,
    DetectorSettings,
    DeviceSettings,
    ExposureSettings,
    ModelSettings,
    ObjectiveSettings,
    ReferenceSettings,
    SearchSettings,
)
from dkl_ae.settings.setting import Setting, Value, settings_of


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
