"""The covariance of a model whose parameters are fixed: what `dkl_ae.model.deep_kernel.kernel` says, without gradients.

Most of a step's time goes into this. What can be written over is, and one image of the patches is seen after the other,
so that all of it stays in the processor's cache: half the time of the same with gradients.
"""

from __future__ import annotations

import torch

from dkl_ae.model.deep_kernel.kernel import DeepKernelModel, covariance, matern_scale, norms, structure_and_position

_SMALL = 10_000
"""Fewer numbers than these are quicker all at once."""


@torch.no_grad()
def fixed_covariance(model: DeepKernelModel, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Prior covariance of latent points, shape (n, m).

    left, right: shape (symmetries, n or m, latent dimensions).
    """
    if left.shape[1] * right.shape[1] < _SMALL:
        return covariance(model, left, right)
    (left, left_positions), (right, right_positions) = (structure_and_position(model, part) for part in (left, right))
    # Images have one norm.
    own, own_squares, squares = left[0], left[0].square().sum(1, keepdim=True), right[0].square().sum(1)
    local, linear = model.local_kernel.outputscale.item(), model.linear_kernel.variance.item()
    symmetry_breaking, scale = (
        model.symmetry_breaking_kernel.outputscale.item(),
        float(matern_scale(model.local_kernel)),
    )
    total = torch.zeros((own.shape[0], right.shape[1]), dtype=own.dtype, device=own.device)
    quadratic = torch.zeros_like(total)
    for number, (image, sign) in enumerate(zip(right, model.signs.tolist(), strict=True)):
        share = sign / len(right)
        products = own @ image.T
        squared_distances = torch.add(own_squares, squares).sub_(products, alpha=2)
        matern = _matern_of(squared_distances.clamp_min_(0).sqrt_().mul_(scale))
        total.add_(matern, alpha=local * share + (symmetry_breaking if number == 0 else 0.0))
        total.add_(products, alpha=linear * share)
        quadratic.addcmul_(products, products, value=share)
    size = torch.outer(norms(own_squares.squeeze(1)), norms(squares))
    total.addcdiv_(quadratic, size, value=model.quadratic_kernel.variance.item())
    if left_positions.shape[-1]:
        kernel = model.position_kernel
        # From differences: the products of positions far outside, which belong to another survey, would round others.
        exactly = "donot_use_mm_for_euclid_dist"
        distances = torch.cdist(left_positions, right_positions, compute_mode=exactly)
        total.add_(_matern_of(distances.mul_(matern_scale(kernel))), alpha=kernel.outputscale.item())
    return total


def _matern_of(distances: torch.Tensor) -> torch.Tensor:
    """Matern 3/2 of distances in units of its length over the root of three, which are written over."""
    decay = torch.neg(distances).exp_()
    return decay.addcmul_(distances, decay)
