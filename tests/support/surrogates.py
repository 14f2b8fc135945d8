"""Surrogates that learn at once."""

from __future__ import annotations

import numpy

from dkl_ae.model import Posterior
from dkl_ae.records import Symmetry


class NearestNeighbour:
    """The least surrogate that learns: the value of the nearest measured patch, its distance as sigma."""

    def __init__(self, features: numpy.ndarray, component: int, symmetry: Symmetry) -> None:
        self._features = features.astype(float)

    def fit(self, candidates: numpy.ndarray, values: numpy.ndarray, sigmas: numpy.ndarray) -> None:
        assert numpy.isfinite(values).all()
        assert numpy.isfinite(sigmas).all()
        self._candidates, self._values = candidates, values

    def predict(self) -> Posterior:
        measured = self._features[self._candidates]
        distance = numpy.linalg.norm(self._features[:, None] - measured[None], axis=2)
        return Posterior(self._values[distance.argmin(axis=1)], distance.min(axis=1) + 1e-3)

    def leave_one_out(self, rows: numpy.ndarray) -> tuple[numpy.ndarray, Posterior]:
        return self._values[rows], Posterior(self._values[rows], numpy.ones(rows.size))

    def covariance(self, rows: numpy.ndarray, columns: numpy.ndarray) -> numpy.ndarray:
        sigma = self.predict().sigma
        return sigma[rows][:, None] * sigma[columns] * (rows[:, None] == columns)

    notices: tuple[str, ...] = ()
