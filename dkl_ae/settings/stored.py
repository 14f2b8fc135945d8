"""Plans as text, for sessions and data items: JSON, exact for every number, and as earlier versions wrote them."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping

from dkl_ae.records import UserError
from dkl_ae.settings.plan import SETTINGS, Plan, make_plan, values_of
from dkl_ae.settings.setting import Value

_RENAMED: typing.Final = {
    "steps": "model_points",
    "least_spacing_nm": "minimum_spacing_nm",
    "embedding": "kernel_input",
    "device": "compute_device",
    "mask_radius": "mask_outer",
    "detector_mirrored": "flip_x",
}
"""Keys of version 0.1 and their present names."""


def to_json(plan: Plan) -> str:
    """A plan as text; `from_json` gives the same plan back."""
    return json.dumps(values_of(plan))


def from_json(text: str) -> Plan:
    """Read a plan, of this version or an earlier one; raises UserError for a text that is not one."""
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"This is not a plan: {error}.") from error
    if not isinstance(values, dict):
        raise UserError(f"This is not a plan: it is a {type(values).__name__}.")
    present = present_keys(values)
    if unknown := sorted(present.keys() - SETTINGS.keys()):
        raise UserError(f"This is not a plan of this version: it has {', '.join(unknown)}. Update dkl-ae.")
    return make_plan(**present)


def present_keys(values: Mapping[str, Value]) -> dict[str, Value]:
    """Values by the settings' present keys, where an earlier version had others."""
    return {_RENAMED.get(key, key): value for key, value in values.items()}
