"""The probabilistic model of the deep kernel: its mean, covariance, likelihood and priors.

gpytorch defines it; the functions below evaluate the same without its overhead.

The kernel is averaged over the symmetries of the reading: sum over g of sign(g) k(p, g p') / |G| (Haasdonk and
Burkhardt, "Invariant kernel functions for pattern analysis and machine learning", Machine Learning 68 (2007) 35).
"""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping

import gpytorch
import torch

from dkl_ae.model.descriptors.network import LearnedFeatures
from dkl_ae.model.surrogate import VarianceFractions

WEIGHT_PRECISION = 3.0
"""Precision of the Gaussian prior on the network's weights: with less the network overfits few points."""


_FORMER_PREFIXES = {"free_kernel.": "symmetry_breaking_kernel."}
"""Of parameters in files of before 0.1.0."""


class ImageKernel(gpytorch.kernels.Kernel):  # type: ignore[misc]
    """Average of a kernel over the images of a patch, each with its sign. Inputs: (n, images * dimensions).

    position_dimensions: the last of the dimensions, which are not seen.
    """

    def __init__(self, base_kernel: gpytorch.kernels.Kernel, signs: torch.Tensor, position_dimensions: int) -> None:
        super().__init__()
        self.base_kernel = base_kernel
        self._position_dimensions = position_dimensions
        self.register_buffer("signs", signs)

    def forward(self, x1: torch.Tensor, x2: torch.Tensor, diag: bool = False, **parameters: typing.Any) -> typing.Any:
        own = self._images(x1)[:, 0]
        images = self._images(x2).unbind(1)
        terms = []
        for sign, image in zip(self.signs, images, strict=True):
            term = self.base_kernel(own, image, diag=diag, **parameters)
            terms.append(sign * (term if diag else term.to_dense()))
        return torch.stack(terms).mean(0)

    def _images(self, x: torch.Tensor) -> torch.Tensor:
        images = x.reshape(len(x), len(self.signs), -1)
        return images[..., : images.shape[-1] - self._position_dimensions]


class PositionKernel(gpytorch.kernels.Kernel):  # type: ignore[misc]
    """A kernel of the last dimensions of its inputs: where the candidates lie."""

    def __init__(self, base_kernel: gpytorch.kernels.Kernel, position_dimensions: int) -> None:
        super().__init__()
        self.base_kernel = base_kernel
        self._position_dimensions = position_dimensions

    def forward(self, x1: torch.Tensor, x2: torch.Tensor, diag: bool = False, **parameters: typing.Any) -> typing.Any:
        first, second = (x[:, -self._position_dimensions :] for x in (x1, x2))
        covariance = self.base_kernel(first, second, diag=diag, **parameters)
        return covariance if diag else covariance.to_dense()


class QuadraticKernel(gpytorch.kernels.Kernel):  # type: ignore[misc]
    """variance * <x, x'>^2 / (|x| |x'|): functions that are even and grow in proportion to |x|, as |<w, x>| does."""

    def __init__(self, variance_prior: gpytorch.priors.Prior) -> None:
        super().__init__()
        self.register_parameter("raw_variance", torch.nn.Parameter(torch.zeros(1)))
        self.register_constraint("raw_variance", gpytorch.constraints.Positive())
        self.register_prior("variance_prior", variance_prior, lambda kernel: kernel.variance)

    @property
    def variance(self) -> torch.Tensor:
        return typing.cast(torch.Tensor, self.raw_variance_constraint.transform(self.raw_variance))

    @variance.setter
    def variance(self, value: float) -> None:
        self.initialize(raw_variance=self.raw_variance_constraint.inverse_transform(torch.tensor(value)))

    def forward(self, x1: torch.Tensor, x2: torch.Tensor, diag: bool = False, **unused: typing.Any) -> torch.Tensor:
        own, others = norms(x1.square().sum(1)), norms(x2.square().sum(1))
        if diag:
            return self.variance * (x1 * x2).sum(1).square() / (own * others)
        return self.variance * (x1 @ x2.T).square() / (own.unsqueeze(1) * others)


class DeepKernelModel(gpytorch.models.ExactGP):  # type: ignore[misc]
    """Constant mean; covariance of the latent points: Matern 3/2 plus a linear and a quadratic trend, averaged over a
    patch's images, plus Matern 3/2 of the patches as they are.

    The second Matern part is what breaks the symmetry (a tilted beam, an astigmatic probe); its strength is learned, so
    the evidence weighs how far the symmetry holds. The trends make the prior variance of a patch grow with its distance
    from the mean patch: the rare structures of a specimen are the uncertain ones, and are looked at. The quadratic one
    is that of a magnitude: the norm of a vector that is linear in the patch. It knows what is rare off the patch's
    centre, which a linear trend, averaged over the images, forgets.

    What changes slowly over the survey whatever the patch shows, such as strain, a bent specimen or a drifting beam, is
    a Matern 3/2 part of the position, where candidates have one.
    """

    def __init__(
        self,
        embedding: LearnedFeatures,
        signs: torch.Tensor,
        likelihood: gpytorch.likelihoods.FixedNoiseGaussianLikelihood,
    ) -> None:
        super().__init__(None, None, likelihood)
        self.embedding = embedding
        self.register_buffer("signs", signs)
        self.mean_module = gpytorch.means.ConstantMean(constant_prior=gpytorch.priors.NormalPrior(0.0, 0.3))
        matern = gpytorch.kernels.MaternKernel(nu=1.5, lengthscale_prior=_around(0.6, 0.5))
        self.local_kernel = gpytorch.kernels.ScaleKernel(matern, outputscale_prior=_around(1.0, 1.0))
        self.linear_kernel = gpytorch.kernels.LinearKernel(variance_prior=_around(0.1, 1.0))
        self.quadratic_kernel = QuadraticKernel(variance_prior=_around(0.3, 1.0))
        self.symmetry_breaking_kernel = gpytorch.kernels.ScaleKernel(matern, outputscale_prior=_around(0.03, 1.0))
        identity_weights = torch.eye(len(signs), dtype=torch.float64)[0] * len(signs)
        self.covar_module = ImageKernel(
            self.local_kernel + self.linear_kernel + self.quadratic_kernel, signs, embedding.position_dimensions
        ) + ImageKernel(self.symmetry_breaking_kernel, identity_weights, embedding.position_dimensions)
        if embedding.position_dimensions:
            self.position_kernel = gpytorch.kernels.ScaleKernel(
                gpytorch.kernels.MaternKernel(nu=1.5, lengthscale_prior=_around(0.5, 0.5)),
                outputscale_prior=_around(0.03, 1.0),
            )
            self.covar_module = self.covar_module + PositionKernel(self.position_kernel, embedding.position_dimensions)
        likelihood.second_noise_covar.register_prior("noise_prior", _around(1e-2, 2.0), lambda noise: noise.noise)
        self.to(torch.float64)
        self.local_kernel.outputscale = 1.0
        self.local_kernel.base_kernel.lengthscale = 0.6
        self.linear_kernel.variance = 0.1
        self.quadratic_kernel.variance = 0.3
        self.symmetry_breaking_kernel.outputscale = 0.03
        if embedding.position_dimensions:
            self.position_kernel.outputscale = 0.03
            self.position_kernel.base_kernel.lengthscale = 0.5
        likelihood.second_noise = 1e-2

    def forward(self, base: torch.Tensor) -> gpytorch.distributions.MultivariateNormal:
        """base: shape (symmetries, n, dimensions)."""
        latent = self.embedding(base)
        flat = latent.transpose(0, 1).flatten(1)
        return gpytorch.distributions.MultivariateNormal(self.mean_module(flat), self.covar_module(flat))


_Value = typing.TypeVar("_Value")


def by_present_names(parameters: Mapping[str, _Value]) -> dict[str, _Value]:
    """Parameters that were saved, by the names that `DeepKernelModel` has for them today."""
    renamed = dict(parameters)
    for former, present in _FORMER_PREFIXES.items():
        for name in parameters:
            if name.startswith(former):
                renamed[present + name.removeprefix(former)] = renamed.pop(name)
    return renamed


def _around(mode: float, spread: float) -> gpytorch.priors.LogNormalPrior:
    """A prior on a positive number, Gaussian in its logarithm but for the Jacobian, with its peak at the mode."""
    return gpytorch.priors.LogNormalPrior(math.log(mode) + spread**2, spread)


def covariance(model: DeepKernelModel, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Prior covariance of latent points, shape (n, m); equal to the model's own, without its overhead.

    left, right: shape (symmetries, n or m, latent dimensions).
    """
    (left, left_positions), (right, right_positions) = (structure_and_position(model, part) for part in (left, right))
    own = left[0]
    own_squares, squares = own.square().sum(1, keepdim=True), right.square().sum(2).unsqueeze(1)
    total = _of_products(model, own @ right.transpose(1, 2), own_squares, squares)
    if not left_positions.shape[-1]:
        return total
    kernel = model.position_kernel
    # From differences: the products of positions far outside, which belong to another survey, would round those within.
    exactly = "donot_use_mm_for_euclid_dist"
    distance = torch.cdist(left_positions, right_positions, compute_mode=exactly) * matern_scale(kernel)
    by_position: torch.Tensor = kernel.outputscale * (1 + distance) * torch.exp(-distance)
    return total + by_position


def prior_variance(model: DeepKernelModel, latent: torch.Tensor) -> torch.Tensor:
    """Diagonal of the prior covariance, shape (n,)."""
    latent, positions = structure_and_position(model, latent)
    squares = latent[:1].square().sum(-1)  # images have one norm
    variance = _of_products(model, (latent[0] * latent).sum(-1), squares[0], squares)
    return variance + model.position_kernel.outputscale if positions.shape[-1] else variance


def structure_and_position(model: DeepKernelModel, latent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Latent points without their positions, and these, which are those of every image alike: shape (n, 0 or 2)."""
    structure = latent.shape[-1] - model.embedding.position_dimensions
    return latent[..., :structure], latent[0, :, structure:]


def matern_scale(kernel: gpytorch.kernels.ScaleKernel) -> torch.Tensor:
    """What a distance is multiplied by in a Matern 3/2 kernel."""
    return typing.cast(torch.Tensor, math.sqrt(3) / kernel.base_kernel.lengthscale.squeeze())


def variance_fractions(model: DeepKernelModel, latent: torch.Tensor) -> VarianceFractions:
    """Fractions of the prior variance of readings over some latent points."""
    structure, _ = structure_and_position(model, latent)
    squares = structure[0].square().sum(-1).mean().item()
    local = model.local_kernel.outputscale.item()
    slow_variation = model.position_kernel.outputscale.item() if model.embedding.position_dimensions else 0.0
    trend = (model.linear_kernel.variance.item() + model.quadratic_kernel.variance.item()) * squares
    symmetry_breaking = model.symmetry_breaking_kernel.outputscale.item()
    noise = model.likelihood.second_noise.item()
    total = local + trend + symmetry_breaking + slow_variation + noise
    return VarianceFractions(
        local=local / total,
        trend=trend / total,
        symmetry_breaking=symmetry_breaking / total,
        slow_variation=slow_variation / total,
        residual_noise=noise / total,
        network=model.embedding.learned_share(structure),
    )


def _of_products(
    model: DeepKernelModel, products: torch.Tensor, own_squares: torch.Tensor, squares: torch.Tensor
) -> torch.Tensor:
    """Covariance from the inner products <p, g p'> and the squared norms of p and of g p', for each image g, the first
    axis of `products` and of `squares`.
    """
    share = model.signs / len(model.signs)
    # The root has no gradient at zero.
    distance = (own_squares + squares - 2 * products).clamp_min(1e-15).sqrt() * matern_scale(model.local_kernel)
    identity_weights = torch.nn.functional.pad(
        model.symmetry_breaking_kernel.outputscale.reshape(1), (0, len(share) - 1)
    )
    local = torch.tensordot(
        model.local_kernel.outputscale * share + identity_weights, (1 + distance) * torch.exp(-distance), 1
    )
    linear = torch.tensordot(model.linear_kernel.variance.squeeze() * share, products, 1)
    # Images have one norm.
    quadratic = torch.tensordot(model.quadratic_kernel.variance * share, products.square(), 1)
    total: torch.Tensor = local + linear + quadratic / (norms(own_squares) * norms(squares[0]))
    return total


def norms(squares: torch.Tensor) -> torch.Tensor:
    """Roots with a gradient at zero, and to divide by."""
    return (squares + 1e-9).sqrt()


def safe_cholesky(matrix: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Lower Cholesky factor of matrix + diag(noise), with as much jitter as it takes, up to 1e-2.

    Raises torch.linalg.LinAlgError when that is not enough.
    """
    for jitter in (0.0, 1e-8, 1e-6, 1e-4):
        factor: torch.Tensor
        factor, failed = torch.linalg.cholesky_ex(matrix + torch.diag(noise + jitter))
        if not failed:
            return factor
    factor = torch.linalg.cholesky(matrix + torch.diag(noise + 1e-2))
    return factor


def negative_log_posterior(
    model: DeepKernelModel, base: torch.Tensor, targets: torch.Tensor, known_noise: torch.Tensor
) -> torch.Tensor:
    """Minus the log marginal likelihood and the log priors of the parameters, for each point.

    -log p(y) = (y - m)' (K + D)^-1 (y - m) / 2 + log|K + D| / 2 + n log(2 pi) / 2
    (Rasmussen & Williams, equation 2.30).
    """
    latent = model.embedding(base)
    noise = known_noise + model.likelihood.second_noise
    factor = safe_cholesky(covariance(model, latent, latent), noise)
    residual = torch.linalg.solve_triangular(factor, (targets - model.mean_module.constant).unsqueeze(1), upper=False)
    likelihood = 0.5 * residual.square().sum() + factor.diagonal().log().sum()
    likelihood = likelihood + 0.5 * len(targets) * math.log(2 * math.pi)
    prior = 0.5 * WEIGHT_PRECISION * sum(p.square().sum() for p in model.embedding.parameters())
    return typing.cast(torch.Tensor, (likelihood + prior - _log_priors(model)) / len(targets))


def _log_priors(model: DeepKernelModel) -> torch.Tensor:
    """Of all parameters but the network's, together: one after the other they take as long as all the rest."""
    total = torch.zeros((), dtype=torch.float64, device=model.signs.device)
    values, modes, spreads = [], [], []
    for _, module, prior, value, _ in model.named_priors():
        if isinstance(prior, gpytorch.priors.LogNormalPrior):
            values.append(value(module).reshape(()))
            modes.append(prior.loc)
            spreads.append(prior.scale)
        else:
            total = total + prior.log_prob(value(module)).sum()
    logarithms, spread = torch.stack(values).log(), torch.stack(spreads)
    deviations = (logarithms - torch.stack(modes)) / spread
    densities = -0.5 * deviations.square() - logarithms - spread.log() - 0.5 * math.log(2 * math.pi)
    return total + densities.sum()
