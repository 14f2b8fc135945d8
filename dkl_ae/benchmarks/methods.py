"""The methods of learning a map that are compared: ours, its parts, the published one and plain Gaussian processes."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping

import numpy
import scipy.linalg
import scipy.optimize

from dkl_ae.benchmarks.published import AtomAIDKL
from dkl_ae.benchmarks.recorded import Target
from dkl_ae.model import ExactGP, Posterior, interval_scale, rescaled
from dkl_ae.model.deep_kernel import DeepKernel
from dkl_ae.model.descriptors import pca_coordinates
from dkl_ae.records import FloatArray, IntArray, Patches, Symmetry, symmetry_operations


class Method(typing.Protocol):
    def learn(self, measured: IntArray, random: int) -> Posterior:
        """Predict every candidate from some, of which the first `random` were chosen at random."""


class Ours:
    """The deep kernel, with its intervals widened as in a run."""

    def __init__(self, patches: Patches, target: Target, seed: int, kernel_input: str) -> None:
        self._target = target
        self._model = DeepKernel(
            patches.features,
            patch_size=patches.size,
            seed=seed,
            symmetry=target.symmetry,
            kernel_input=kernel_input,
            device="cpu",
        )

    def learn(self, measured: IntArray, random: int) -> Posterior:
        self._model.fit(measured, self._target.values[measured], self._target.sigmas[measured])
        return rescaled(self._model.predict(), interval_scale(self._model, numpy.arange(random)))


class Published:
    """The published method, from scratch each time."""

    def __init__(self, patches: Patches, target: Target) -> None:
        self._target = target
        self._model = AtomAIDKL(patches.features, interpolated=False)

    def learn(self, measured: IntArray, random: int) -> Posterior:
        self._model.fit(measured, self._target.values[measured])
        return self._model.predict()


class PlainGP:
    """A Gaussian process without a network: Matern 3/2 of some points, averaged over their images, whose length,
    strength and noise have the most evidence.

    points: shape (images, candidates, dimensions), of mean squared norm about 1.
    """

    def __init__(self, points: FloatArray, signs: FloatArray, target: Target) -> None:
        self._points = points
        self._signs = signs
        self._target = target
        self._logarithms = numpy.log([1.0, 1.0, 0.01])

    def learn(self, measured: IntArray, random: int) -> Posterior:
        values = self._target.values[measured]
        centre = float(values.mean()) if self._signs.min() > 0 else 0.0
        scale = float(numpy.sqrt(numpy.mean((values - centre) ** 2)))
        own, images = self._points[0, measured], self._points[:, measured]
        squares = numpy.sum(own**2, axis=1)[:, None] + numpy.sum(images**2, axis=2)[:, None]
        distances = numpy.sqrt(numpy.maximum(squares - 2 * own @ images.transpose(0, 2, 1), 0))
        standardised = (values - centre) / scale
        known = (self._target.sigmas[measured] / scale) ** 2 + 1e-6

        def loss(logarithms: FloatArray) -> float:
            length, strength, noise = numpy.exp(logarithms)
            scaled = distances * (numpy.sqrt(3) / length)
            local = numpy.tensordot(self._signs / len(self._signs), (1 + scaled) * numpy.exp(-scaled), 1)
            factor = scipy.linalg.cholesky(strength * local + numpy.diag(known + noise), lower=True)
            whitened = scipy.linalg.solve_triangular(factor, standardised, lower=True)
            # A weak prior, as ours has.
            prior = 0.5 * numpy.sum((logarithms - numpy.log([0.6, 1.0, 0.01])) ** 2)
            return float(0.5 * whitened @ whitened + numpy.log(factor.diagonal()).sum() + prior)

        bounds = [(-3.0, 3.0), (-5.0, 5.0), (-13.0, 1.0)]
        self._logarithms = scipy.optimize.minimize(loss, self._logarithms, method="L-BFGS-B", bounds=bounds).x
        length, strength, noise = numpy.exp(self._logarithms)
        process = ExactGP(
            self._points,
            length=length,
            output_scale=strength * scale**2,
            mean=centre,
            noise=(noise + 1e-6) * scale**2,
            signs=self._signs,
        )
        process.fit(measured, values, self._target.sigmas[measured])
        posterior = process.predict()
        return Posterior(posterior.mean, numpy.sqrt(posterior.sigma**2 + noise * scale**2))


def _places(patches: Patches, target: Target) -> Method:
    pixels = numpy.array([patches.pixel(candidate) for candidate in range(patches.count)], float)
    pixels -= pixels.mean(axis=0)
    points = pixels / numpy.sqrt(numpy.mean(numpy.sum(pixels**2, axis=1)))
    return PlainGP(points[None], numpy.ones(1), target)


def _patches(patches: Patches, target: Target, symmetry: Symmetry) -> Method:
    images = symmetry_operations(symmetry, patches.size)
    points = pca_coordinates(patches.features, patches.size, images)
    return PlainGP(points, numpy.array([image.sign for image in images]), target)


METHODS: Mapping[str, Callable[[Patches, Target, int], Method]] = {
    "dkl-ae": lambda patches, target, seed: Ours(patches, target, seed, "combined"),
    "dkl-ae, patches alone": lambda patches, target, seed: Ours(patches, target, seed, "patches"),
    "dkl-ae, network alone": lambda patches, target, seed: Ours(patches, target, seed, "network"),
    "published": lambda patches, target, seed: Published(patches, target),
    "plain GP on patches": lambda patches, target, seed: _patches(patches, target, Symmetry.NONE),
    "plain GP, symmetrised": lambda patches, target, seed: _patches(patches, target, target.symmetry),
    "plain GP on (x, y)": lambda patches, target, seed: _places(patches, target),
}
