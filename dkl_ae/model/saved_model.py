"""What a model has learned, kept in a file to start another run from."""

from __future__ import annotations

import dataclasses
import pathlib
import pickle
import typing
from collections.abc import Mapping

import numpy
import numpy.typing
import torch

from dkl_ae.model.descriptors.pca import PatchPCA
from dkl_ae.records import FloatArray, UserError

FORMAT = "dkl-ae model"
VERSION = 1
_PIXEL_SIZE_TOLERANCE = 0.05
"""Pixel sizes that differ by less than this fraction show the same structures."""


@dataclasses.dataclass(frozen=True, eq=False)
class ModelState:
    """What the model of one number has learned."""

    kernel_input: str
    """See `dkl_ae.settings.KernelInput`."""
    pca: PatchPCA
    parameters: dict[str, torch.Tensor]
    """State of `dkl_ae.model.deep_kernel.kernel.DeepKernelModel`."""
    features: numpy.typing.NDArray[numpy.float32]
    """Shape (n, patch_size ** 2): the patches that were measured."""
    values: FloatArray
    """Shape (n,): what was read there, in the reading's unit."""
    sigmas: FloatArray
    """Shape (n,): the error of each value, one standard deviation, in the same unit."""


@dataclasses.dataclass(frozen=True, eq=False)
class SavedModel:
    """What the model of a scalarizer has learned."""

    scalarizer: str
    patch_size: int
    pixel_size_nm: float
    components: tuple[ModelState, ...]
    """One, or those of an angle's cosine and sine."""

    def require_scalarizer(self, scalarizer: str, patch_size: int) -> None:
        """Raises UserError, one sentence, when a run with these cannot start from this."""
        if scalarizer != self.scalarizer:
            raise UserError(
                f"The saved model predicts {self.scalarizer} but the run optimizes {scalarizer}: choose the same "
                "scalarizer or another model."
            )
        if patch_size != self.patch_size:
            raise UserError(
                f"The saved model sees patches of {self.patch_size} px but the run has {patch_size} px: choose "
                f"{self.patch_size} px or another model."
            )

    def require_pixel_size(self, pixel_size_nm: float) -> None:
        """Raises UserError, one sentence, when the pixels of a survey have another size."""
        if abs(pixel_size_nm / self.pixel_size_nm - 1) > _PIXEL_SIZE_TOLERANCE:
            raise UserError(
                f"The saved model was trained on pixels of {self.pixel_size_nm:.4g} nm but the survey has "
                f"{pixel_size_nm:.4g} nm: scan with the same pixel size or choose another model."
            )

    def save(self, file: pathlib.Path) -> None:
        """Raises OSError when it cannot be written."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "scalarizer": self.scalarizer,
            "patch_size": self.patch_size,
            "pixel_size_nm": self.pixel_size_nm,
            "parts": [_content(component) for component in self.components],
        }
        with file.open("wb") as stream:
            torch.save(_as_tensors(content), stream)

    @classmethod
    def load(cls, file: pathlib.Path) -> SavedModel:
        """Read a file; nothing in it is executed, whatever it holds.

        Raises UserError, one sentence, when it is not there or is no model.
        """
        try:
            with file.open("rb") as stream:
                content = torch.load(stream, map_location="cpu", weights_only=True)
        except OSError as error:
            raise UserError(f"The saved model {file} cannot be read ({error.strerror}): choose another.") from error
        except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
            raise UserError(f"{file} is not a saved model, or is damaged: choose another.") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise UserError(f"{file} is not a saved model: choose another.")
        if content["version"] > VERSION:
            raise UserError(f"{file} was saved by a newer version of dkl-ae: update it, or choose another model.")
        components = tuple(_state(part) for part in content["parts"])
        return cls(content["scalarizer"], content["patch_size"], content["pixel_size_nm"], components)


def _content(state: ModelState) -> dict[str, typing.Any]:
    """A state by the names that it has in a file."""
    return {
        "embedding": state.kernel_input,
        "basis": dataclasses.asdict(state.pca),
        "parameters": state.parameters,
        "features": state.features,
        "values": state.values,
        "sigmas": state.sigmas,
    }


def _state(part: Mapping[str, typing.Any]) -> ModelState:
    pca = part["basis"]
    return ModelState(
        kernel_input=part["embedding"],
        pca=PatchPCA(pca["mean"].numpy(), pca["directions"].numpy(), pca["norm"]),
        parameters=part["parameters"],
        features=part["features"].numpy(),
        values=part["values"].numpy(),
        sigmas=part["sigmas"].numpy(),
    )


def _as_tensors(content: typing.Any) -> typing.Any:
    """The same with tensors for arrays, which are all that is read back without trust."""
    if isinstance(content, dict):
        return {name: _as_tensors(value) for name, value in content.items()}
    if isinstance(content, tuple | list):
        return [_as_tensors(value) for value in content]
    return torch.from_numpy(numpy.ascontiguousarray(content)) if isinstance(content, numpy.ndarray) else content
