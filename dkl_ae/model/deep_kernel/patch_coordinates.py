"""What a deep kernel sees of every candidate."""

from __future__ import annotations

import dataclasses

import gpytorch
import numpy
import numpy.typing
import torch

from dkl_ae.model.deep_kernel.kernel import DeepKernelModel
from dkl_ae.model.descriptors.network import LearnedFeatures
from dkl_ae.model.descriptors.pca import PatchPCA
from dkl_ae.model.saved_model import ModelState
from dkl_ae.records import FloatArray, IntArray, Symmetry, symmetry_operations
from dkl_ae.settings import KernelInput

_FAR = 1e3
"""In sizes of the survey: nothing is correlated over such a distance."""


@dataclasses.dataclass(frozen=True, eq=False)
class PatchCoordinates:
    """The coordinates of all candidates; the patches of measurements that are transferred come last."""

    kernel_input: KernelInput
    pca: PatchPCA
    features: numpy.typing.NDArray[numpy.float32]
    """Shape (candidates, patch_size ** 2)."""
    coordinates: torch.Tensor
    """Shape (symmetries, candidates, dimensions + position dimensions)."""
    position_dimensions: int
    """The last of the dimensions: where the candidates lie, the same for each image; 0 or 2."""
    signs: torch.Tensor
    """Of each symmetry."""
    centred: bool
    """Whether readings have a mean that symmetry does not tell: that of a vector's component is zero."""

    @classmethod
    def of(
        cls,
        features: numpy.typing.NDArray[numpy.float32],
        patch_size: int,
        symmetry: Symmetry,
        kernel_input: str,
        transferred: ModelState | None,
        positions: FloatArray | None = None,
    ) -> PatchCoordinates:
        """See `dkl_ae.model.deep_kernel.DeepKernel`."""
        chosen = KernelInput(kernel_input if transferred is None else transferred.kernel_input)
        if chosen is KernelInput.NETWORK:
            symmetry = Symmetry.NONE
        operations = symmetry_operations(symmetry, patch_size)
        pca = PatchPCA.fit(features, patch_size, operations) if transferred is None else transferred.pca
        if transferred is not None:
            features = numpy.concatenate([features, transferred.features])
        coordinates = pca.transform(features, patch_size, operations)
        if positions is not None:
            with_elsewhere = numpy.concatenate([positions, _elsewhere(len(features) - len(positions))])
            of_images = numpy.broadcast_to(with_elsewhere, (len(operations), *with_elsewhere.shape))
            coordinates = numpy.concatenate([coordinates, of_images], axis=-1)
        return cls(
            kernel_input=chosen,
            pca=pca,
            features=features,
            coordinates=torch.as_tensor(coordinates),
            position_dimensions=0 if positions is None else positions.shape[1],
            signs=torch.tensor([operation.sign for operation in operations], dtype=torch.float64),
            centred=symmetry not in (Symmetry.X, Symmetry.Y),
        )

    def fresh_model(self, seed: int) -> DeepKernelModel:
        """One that has learned nothing, on the same device."""
        generator = torch.Generator().manual_seed(seed)
        likelihood = gpytorch.likelihoods.FixedNoiseGaussianLikelihood(
            torch.ones(1, dtype=torch.float64), learn_additional_noise=True
        )
        dimensions = self.coordinates.shape[-1] - self.position_dimensions
        network = LearnedFeatures(dimensions, generator, self.kernel_input, self.position_dimensions)
        model = DeepKernelModel(network, self.signs, likelihood)
        model.to(self.coordinates.device)
        return model

    def to(self, device: torch.device) -> PatchCoordinates:
        """The same on a device."""
        return dataclasses.replace(self, coordinates=self.coordinates.to(device), signs=self.signs.to(device))


def coordinates_of(coordinates: torch.Tensor, candidates: IntArray) -> torch.Tensor:
    """The coordinates of some candidates."""
    return coordinates[:, torch.as_tensor(candidates, device=coordinates.device)]


def _elsewhere(count: int) -> FloatArray:
    """Positions of patches of another survey: far from all others and from each other."""
    return numpy.stack([_FAR * (1.0 + numpy.arange(count)), numpy.zeros(count)], axis=1)
