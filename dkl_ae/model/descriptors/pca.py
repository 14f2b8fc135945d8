"""How a patch becomes the coordinates on which a kernel acts, and from which a network learns features.

A patch has one point for each symmetry of its reading: its own, and those of its turned and mirrored images.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy
import numpy.typing

from dkl_ae.records import SymmetryOperation

COMPONENTS = 12
"""At most so many principal components of the windowed patches are kept: in more there is little but the survey's
noise."""
_EQUAL_EIGENVALUES = 1e-6
"""Eigenvalues this close, beside the largest, are equal."""
_AT_ONCE = 4096
"""Patches that are looked at together."""
_MOST_PRODUCTS = 10**10
"""Products of pixels that the components are found from: about a second."""
WINDOW = 0.22
"""Standard deviation of the Gaussian window, in patch sizes."""


@dataclasses.dataclass(frozen=True, eq=False)
class PatchPCA:
    """Principal components of windowed patches and of all their images.

    A Gaussian window weighs the patch's centre more than its rim, so distances in this space are distances of the
    local structure. The distance of two images is that of two patches changed alike: the components of all images
    together are those of any one of them.
    """

    mean: numpy.typing.NDArray[numpy.float64]
    """Shape (patch_size ** 2,)."""
    directions: numpy.typing.NDArray[numpy.float64]
    """Shape (patch_size ** 2, components)."""
    norm: float
    """Root of the mean squared norm of the patches that the components are of."""

    @classmethod
    def fit(
        cls, features: numpy.typing.NDArray[numpy.float32], patch_size: int, symmetries: Sequence[SymmetryOperation]
    ) -> PatchPCA:
        """That of some patches, shape (candidates, patch_size ** 2); of a part of them, spread over all, where they are
        so many and so large that it would take seconds."""
        count, pixels = features.shape
        part = features[:: -(-count * pixels**2 // _MOST_PRODUCTS)]
        mean_patch = part.mean(axis=0, dtype=numpy.float64) * _window(patch_size)
        mean = numpy.mean([mean_patch[operation.pixels] for operation in symmetries], axis=0)
        products = numpy.zeros((pixels, pixels))
        for some in _pieces(len(part)):
            windowed = _windowed(part[some], patch_size) - mean
            products += windowed.T @ windowed
        together = numpy.sum(
            [products[numpy.ix_(operation.pixels, operation.pixels)] for operation in symmetries], axis=0
        )
        directions = _leading_directions(together)
        # Every image has the same components, in another order.
        norm = float(numpy.sqrt(numpy.sum(directions * (products @ directions)) / len(part)))
        return cls(mean, directions, norm if norm > 0 else 1.0)

    def transform(
        self, features: numpy.typing.NDArray[numpy.float32], patch_size: int, symmetries: Sequence[SymmetryOperation]
    ) -> numpy.typing.NDArray[numpy.float64]:
        """The components of each image of some patches, shape (symmetries, candidates, components)."""
        directions = self.directions / self.norm
        of_images = [directions[numpy.argsort(operation.pixels)] for operation in symmetries]
        components = numpy.empty((len(of_images), len(features), directions.shape[1]))
        for some in _pieces(len(features)):
            windowed = _windowed(features[some], patch_size) - self.mean
            for image, of_image in zip(components, of_images, strict=True):
                image[some] = windowed @ of_image
        return components


def pca_coordinates(
    features: numpy.typing.NDArray[numpy.float32], patch_size: int, symmetries: Sequence[SymmetryOperation]
) -> numpy.typing.NDArray[numpy.float64]:
    """The components of each image of some patches in their own basis, shape (symmetries, candidates, components), of
    mean squared norm 1.

    features: shape (candidates, patch_size ** 2).
    """
    return PatchPCA.fit(features, patch_size, symmetries).transform(features, patch_size, symmetries)


def _window(patch_size: int) -> numpy.typing.NDArray[numpy.float64]:
    offset = numpy.arange(patch_size) - patch_size // 2
    window = numpy.exp(-0.5 * (offset / (WINDOW * patch_size)) ** 2)
    return numpy.outer(window, window).ravel()


def _windowed(features: numpy.typing.NDArray[numpy.float32], patch_size: int) -> numpy.typing.NDArray[numpy.float64]:
    windowed: numpy.typing.NDArray[numpy.float64] = features * _window(patch_size)
    return windowed


def _pieces(count: int) -> Iterator[slice]:
    """Slices of so many patches: all of them in double precision would take more memory than all the rest."""
    return (slice(start, start + _AT_ONCE) for start in range(0, count, _AT_ONCE))


def _leading_directions(products: numpy.typing.NDArray[numpy.float64]) -> numpy.typing.NDArray[numpy.float64]:
    """Eigenvectors of the largest eigenvalues, shape (pixels, at most COMPONENTS).

    By symmetry many eigenvalues come in pairs. Of a pair both are kept or none: images would not keep their distances
    in half of the plane in which they turn.
    """
    values, directions = numpy.linalg.eigh(products)
    values, directions = values[::-1], directions[:, ::-1]
    count = min(COMPONENTS, len(values))
    while 1 < count < len(values) and values[count - 1] - values[count] < _EQUAL_EIGENVALUES * values[0]:
        count -= 1
    return directions[:, :count]
