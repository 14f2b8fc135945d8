"""What a run's model has learned, for others to start from."""

from __future__ import annotations

import typing

from dkl_ae.experiment import Experiment

if typing.TYPE_CHECKING:
    from dkl_ae.model.saved_model import SavedModel


def pretrained_of(experiment: Experiment) -> SavedModel | None:
    """None when the model has not learned."""
    # torch takes seconds to import.
    from dkl_ae.model.deep_kernel import DeepKernel
    from dkl_ae.model.saved_model import SavedModel

    surrogates = experiment.surrogates
    learned = [
        surrogate.state()
        for surrogate in surrogates
        if isinstance(surrogate, DeepKernel) and surrogate.variance_fractions() is not None
    ]
    if not learned or len(learned) < len(surrogates):
        return None
    plan = experiment.plan
    return SavedModel(
        scalarizer=plan.objective.scalarizer,
        patch_size=plan.search.patch_size,
        pixel_size_nm=experiment.patches.survey.pixel_size_nm,
        components=tuple(learned),
    )
