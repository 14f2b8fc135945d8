"""What the panel asks for: the texts a user types and the keys a user chooses become a plan, and back."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping

from dkl_ae.experiment import ACQUISITIONS, require_known
from dkl_ae.records import UserError, centred_size
from dkl_ae.scalarizers import scalarizers_of
from dkl_ae.settings import SETTINGS, Plan, make_plan, present_keys, to_text, values_of


def texts_of(plan: Plan) -> dict[str, str]:
    """The text of each setting, by its key; `plan_of` gives the same plan back."""
    return {key: to_text(value) for key, value in values_of(plan).items()}


def plan_of(texts: Mapping[str, str]) -> Plan:
    """Read the texts; what is missing has its default.

    Raises UserError for the first text that cannot be used.
    """
    values = {key: SETTINGS[key].read(text) for key, text in texts.items() if key in SETTINGS}
    if values.get("patch_size", 0) > 0:
        values["patch_size"] = centred_size(values["patch_size"])
    return make_plan(**values)


def about_patch_size(plan: Plan, typed: str) -> str:
    """What to tell the user when another size is used than the one that was typed; else empty."""
    used = plan.search.patch_size
    if int(typed) == used:
        return ""
    return f"Ready. A patch of {int(typed)} px has no central pixel: {used} px are used."


def remembered_texts(text: str) -> dict[str, str]:
    """The texts of the last start, from what was stored; the defaults when that cannot be used.

    A file that is gone meanwhile costs only what depends on files.
    """
    usual = texts_of(make_plan())
    try:
        stored = {**usual, **present_keys({str(name): str(value) for name, value in json.loads(text).items()})}
    except (ValueError, AttributeError):
        return usual
    on_files = {key: usual[key] for key in _ON_FILES}
    for texts in (stored, stored | on_files):
        with contextlib.suppress(UserError):
            plan = plan_of(texts)
            require_known(plan, scalarizers_of(plan.objective))
            return {key: texts[key] for key in SETTINGS}
    return usual


_ON_FILES = ("scalarizer", "scalarizer_file", "expression", "reference", "reference_file")


def default_parameter(acquisition: str) -> str:
    """The text of an acquisition function's usual parameter."""
    return to_text(ACQUISITIONS[acquisition].default)
