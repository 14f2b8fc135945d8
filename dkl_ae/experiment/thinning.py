"""The candidates of a plan on a survey: every pixel of a small one, every few of a large one."""

from __future__ import annotations

import dataclasses
import math

from dkl_ae.model import most_candidates
from dkl_ae.records import Patches, Survey
from dkl_ae.settings import Plan


def patches_for(plan: Plan, survey: Survey) -> Patches:
    """All candidates of a run; the same for the same plan and size of the survey.

    Raises
    ------
    UserError
        When the survey is smaller than one patch.
    """
    patches = Patches(survey, plan.search.patch_size, plan.search.candidate_spacing or 1)
    if plan.search.candidate_spacing:
        return patches
    most = most_candidates(plan.search.points)
    spacing = max(math.isqrt(patches.count // most), 1)
    while dataclasses.replace(patches, spacing=spacing).count > most:
        spacing += 1
    return dataclasses.replace(patches, spacing=spacing)


def candidates_text(patches: Patches) -> str:
    """How many candidates there are, and which pixels of the survey they are."""
    rows, columns = patches.inner_shape
    if patches.spacing == 1:
        return f"{patches.count:,} candidates"
    return f"{patches.count:,} candidates, every {_ordinal(patches.spacing)} of {rows} x {columns} pixels each way"


def _ordinal(number: int) -> str:
    ending = {2: "nd", 3: "rd"}.get(number % 10 if number // 10 % 10 != 1 else 0, "st" if number % 10 == 1 else "th")
    return f"{number}{ending}"
