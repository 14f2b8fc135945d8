"""How far each measurement is believed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy
import torch

from dkl_ae.model.deep_kernel.contradictions import doubts_of
from dkl_ae.model.deep_kernel.exactness import left_out_of_all
from dkl_ae.model.deep_kernel.kernel import DeepKernelModel
from dkl_ae.model.deep_kernel.standardization import Standardization, Targets
from dkl_ae.model.deep_kernel.transfer import Measurements
from dkl_ae.records import BoolArray, FloatArray

_DOUBTS, _OUTLYING = "doubts", "outlying"


@dataclasses.dataclass(frozen=True, eq=False)
class Trust:
    """What is known of a model's own measurements; of those that came after it was found there is no doubt."""

    first: int
    """So many measurements come before its own: those that are transferred."""
    doubts: FloatArray = dataclasses.field(default_factory=lambda: numpy.empty(0))
    """One standard deviation by which each is doubted, in the reading's unit."""
    outlying: BoolArray = dataclasses.field(default_factory=lambda: numpy.empty(0, numpy.bool_))
    """Which the model was not trained on."""

    @classmethod
    def kept(cls, first: int, parameters: Mapping[str, FloatArray]) -> Trust:
        """As it is among a model's parameters."""
        nothing = numpy.empty(0)
        return cls(first, parameters.get(_DOUBTS, nothing), parameters.get(_OUTLYING, nothing) > 0)

    def parameters(self) -> dict[str, FloatArray]:
        """To be kept; nothing where all are believed."""
        both = {_DOUBTS: self.doubts, _OUTLYING: self.outlying.astype(numpy.float64)}
        return {name: values for name, values in both.items() if values.any()}

    def doubts_of_all(self, count: int) -> FloatArray:
        """Of so many measurements, the transferred ones included."""
        return self._of_all(self.doubts, count)

    def outlying_of_all(self, count: int) -> BoolArray:
        """Likewise."""
        return self._of_all(self.outlying, count) > 0

    def believed(self, measurements: Measurements) -> Measurements:
        """With larger errors, as far as they are doubted."""
        candidates, values, sigmas = measurements
        return candidates, values, numpy.hypot(sigmas, self.doubts_of_all(len(values)))

    def without_least_doubt(self) -> Trust:
        """The same with the measurement that is doubted least, of those that are, believed again."""
        doubts = self.doubts.copy()
        doubts[numpy.argmin(numpy.where(doubts > 0, doubts, numpy.inf))] = 0.0
        return dataclasses.replace(self, doubts=doubts)

    def standardization(self, measurements: Measurements, *, centred: bool) -> Standardization:
        """By those that are believed and were trained on."""
        values = measurements[1]
        usual = (self.doubts_of_all(len(values)) == 0) & ~self.outlying_of_all(len(values))
        return Standardization.of(values[usual], centred=centred)

    def split(
        self, measurements: Measurements, standardization: Standardization, device: torch.device
    ) -> tuple[Targets, torch.Tensor, torch.Tensor]:
        """The measurements as they are, the variances by which they are doubted, in the model's units, and which are
        outlying."""
        targets = standardization.targets(*measurements, device=device)
        doubts = (self.doubts_of_all(len(targets)) / standardization.scale) ** 2
        outlying = self.outlying_of_all(len(targets))
        return targets, torch.as_tensor(doubts, device=device), torch.as_tensor(outlying, device=device)

    def revised(
        self,
        model: DeepKernelModel,
        coordinates: torch.Tensor,
        measurements: Measurements,
        standardization: Standardization,
    ) -> Trust:
        """By what a model contradicts and confirms; itself where nothing changes."""
        targets, doubts, outlying = self.split(measurements, standardization, coordinates.device)
        found = doubts_of(left_out_of_all(model, coordinates, targets, outlying), doubts, self.first)
        if torch.equal(found > 0, doubts > 0):
            return self
        return dataclasses.replace(self, doubts=found[self.first :].sqrt().cpu().numpy() * standardization.scale)

    def _of_all(self, own: FloatArray | BoolArray, count: int) -> FloatArray:
        every = numpy.zeros(count)
        known = min(max(count - self.first, 0), len(own))
        every[self.first : self.first + known] = own[:known]
        return every
