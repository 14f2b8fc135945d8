"""The model that a plan asks for."""

from __future__ import annotations

import typing

from dkl_ae.records import Patches, Symmetry
from dkl_ae.settings import Plan

if typing.TYPE_CHECKING:
    from dkl_ae.model.deep_kernel import DeepKernel
    from dkl_ae.model.saved_model import SavedModel

_SEEDS: typing.Final = 2**63
"""torch takes so many; a plan may have any."""


def deep_kernel_for(
    plan: Plan,
    patches: Patches,
    component: int,
    symmetry: Symmetry,
    saved_model: SavedModel | None = None,
) -> DeepKernel:
    """See `dkl_ae.model.deep_kernel.DeepKernel`; after the plan it has the arguments of `MakeSurrogate`.

    saved_model: what it starts from.
    """
    # torch takes seconds to import: neither the panel nor a command may wait for it before it is needed.
    from dkl_ae.model.deep_kernel import DeepKernel

    return DeepKernel(
        patches.features,
        patch_size=patches.size,
        seed=(plan.search.random_seed + component) % _SEEDS,
        symmetry=symmetry,
        kernel_input=plan.model.kernel_input,
        transferred=saved_model.components[component] if saved_model else None,
        device=plan.model.compute_device,
        positions=patches.relative_positions if plan.model.slow_variation else None,
    )
