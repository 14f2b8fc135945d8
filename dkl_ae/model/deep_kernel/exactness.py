"""What is solved for exactly, and what approximately."""

from __future__ import annotations

from collections.abc import Callable

import torch

from dkl_ae.model.cost import MOST_INDUCING
from dkl_ae.model.deep_kernel.conditioning import Conditioned
from dkl_ae.model.deep_kernel.contradictions import LeftOut
from dkl_ae.model.deep_kernel.exact import ExactlyConditioned, exactly_left_out
from dkl_ae.model.deep_kernel.inducing import SparselyConditioned, sparsely_left_out
from dkl_ae.model.deep_kernel.kernel import DeepKernelModel
from dkl_ae.model.deep_kernel.standardization import Targets


def conditioned_on(model: DeepKernelModel, coordinates: torch.Tensor, targets: Targets) -> Conditioned:
    """The model conditioned on measurements: exactly, as long as there are no more than inducing points.

    Raises torch.linalg.LinAlgError when the covariance cannot be factorised.
    """
    form = ExactlyConditioned if is_exact(len(targets)) else SparselyConditioned
    return form(model, coordinates, targets)


def left_out_of_all(
    model: DeepKernelModel, coordinates: torch.Tensor, targets: Targets, outlying: torch.Tensor
) -> Callable[[torch.Tensor], LeftOut]:
    """See `exactly_left_out`."""
    form = exactly_left_out if is_exact(len(targets)) else sparsely_left_out
    return form(model, coordinates, targets, outlying)


def is_exact(count: int) -> bool:
    """Whether so many measurements are solved for exactly, rather than through inducing points."""
    return count <= MOST_INDUCING
