"""Chooses the next candidates: at random, or where the acquisition function is largest, as far as they are allowed."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Collection, Sequence

import numpy

from dkl_ae.experiment.acquisition import (
    EXCLUDED,
    ObjectivePosterior,
    acquisition_of,
    choose,
    exploration_fraction,
    likely,
    score,
    times_probability,
)
from dkl_ae.records import BoolArray, Candidates, FloatArray, IntArray, UserError
from dkl_ae.settings import SearchSettings

_SAMPLED: typing.Final = 500
"""A sampled map has this many candidates, chosen at random: its cost grows with their cube."""

Covariance = typing.Callable[[IntArray, IntArray], FloatArray]
"""Of the objective between two sets of candidates, shape (rows, columns)."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """A candidate that the model has chosen."""

    candidate: int
    score: float
    exploration: float
    """See `exploration_fraction`."""


class Chooser:
    """Knows which candidates may still be measured.

    Raises UserError, one sentence, for an acquisition function that there is not.
    """

    def __init__(self, search: SearchSettings, candidates: Candidates) -> None:
        self._search = search
        self._acquisition = acquisition_of(search)
        self._candidates = candidates
        self.allowed = numpy.ones(candidates.count, numpy.bool_)
        """Which candidates may be measured, shape (candidates,)."""

    def exclude(self, candidate: int) -> None:
        """One is measured: neither it nor what is too near to it may be measured any more."""
        self.allowed &= self._far_from(candidate)

    def seeds(self) -> list[int]:
        """Candidates at random, as many as the search begins with.

        Raises UserError when there is no room for them.
        """
        wanted = self._search.seed_points
        free = self.allowed.copy()
        seeds: list[int] = []
        for candidate in numpy.random.default_rng(self._search.random_seed).permutation(self._candidates.count):
            if len(seeds) == wanted:
                break
            if free[candidate]:
                free &= self._far_from(int(candidate))
                seeds.append(int(candidate))
        if len(seeds) < wanted:
            raise UserError(
                f"There is room for {len(seeds)} of {wanted} seed points {self._search.minimum_spacing_nm:g} nm apart: "
                "choose a smaller minimum spacing or fewer seed points."
            )
        return seeds

    def random_candidate(self, measured: int) -> int | None:
        """One at random after so many measurements; None when none is allowed."""
        random = numpy.random.default_rng((self._search.random_seed, measured))
        free = numpy.flatnonzero(self.allowed)
        return int(random.choice(free)) if free.size else None

    def beside(self, candidate: int, reach_nm: float, taken: Collection[int] = ()) -> int | None:
        """The nearest candidate that may be measured; None when there is none within reach.

        taken: candidates that will be measured before.
        """
        free = self.allowed.copy()
        for other in taken:
            free &= self._far_from(other)
        distances = numpy.where(free, self._candidates.distances_nm(candidate), numpy.inf)
        nearest = int(numpy.argmin(distances))
        return nearest if distances[nearest] <= reach_nm else None

    def batch(
        self,
        posterior: ObjectivePosterior,
        covariance: Covariance,
        *,
        size: int,
        first: Sequence[int] = (),
        measured: Sequence[int],
        error: float,
        reading_probability: FloatArray,
    ) -> tuple[list[Choice], FloatArray]:
        """Choose what to measure next; returns the choices, and the scores of all candidates before the first.

        Each choice but the first takes the one before for read as predicted: that tells nothing of the readings but
        lessens what is unknown around it (a fantasy; the kriging believer of Ginsbourger et al., "Kriging is
        well-suited to parallelize optimization", 2010).

        size: how many to choose; 0 to score only.
        first: candidates that are measured first of these, whatever their scores; at most as many.
        measured: the candidates that are measured, in their order.
        error: usual standard deviation of a reading.
        reading_probability: that each candidate gives a number, shape (candidates,).
        """
        allowed = likely(self.allowed.copy(), reading_probability)
        fantasies: list[FloatArray] = []
        choices: list[Choice] = []
        latest = measured[-1] if measured else None
        before: FloatArray | None = None
        for number in range(max(size, 1)):
            if self._acquisition.needs_sample:
                sample = self._sample(posterior, covariance, allowed, (len(measured), number))
                posterior = dataclasses.replace(posterior, sample=sample)
            scores = self._scores(posterior, latest, reading_probability)
            before = scores if before is None else before
            if number < len(first):
                latest = first[number]
            elif size and allowed.any():
                latest = choose(scores, allowed)
            else:
                break
            parameter = self._search.acquisition_parameter
            fraction = exploration_fraction(self._acquisition.name, posterior, parameter, latest)
            choices.append(Choice(latest, float(scores[latest]), fraction))
            allowed &= self._far_from(latest)
            if self._search.batch_size > 1 and not self._acquisition.needs_sample:
                posterior = self._fantasize(posterior, covariance, latest, error, fantasies)
        assert before is not None
        return choices, before

    def _far_from(self, candidate: int) -> BoolArray:
        """Which candidates may be measured once this one is."""
        away: BoolArray = self._candidates.distances_nm(candidate) >= self._search.minimum_spacing_nm
        away[candidate] = False
        return away

    def _scores(self, posterior: ObjectivePosterior, latest: int | None, reading_probability: FloatArray) -> FloatArray:
        """Of every candidate, times the probability that it gives a number, less the cost of the way from the latest
        one."""
        scores = score(self._acquisition.name, posterior, self._search.acquisition_parameter)
        scores = times_probability(self._acquisition.name, scores, reading_probability)
        if latest is None:
            return numpy.maximum(scores, EXCLUDED)
        unit = 1.0 if self._acquisition.logarithmic else posterior.scale
        cost = self._search.travel_cost * unit * self._candidates.distances_nm(latest)
        less: FloatArray = numpy.maximum(scores - cost, EXCLUDED)
        return less

    def _sample(
        self, posterior: ObjectivePosterior, covariance: Covariance, allowed: BoolArray, key: tuple[int, int]
    ) -> FloatArray:
        """A map drawn from the posterior, NaN but at some candidates."""
        random = numpy.random.default_rng((self._search.random_seed, *key))
        free = numpy.flatnonzero(allowed) if allowed.any() else numpy.arange(allowed.size)
        chosen = random.permutation(free)[:_SAMPLED]
        among = covariance(chosen, chosen)
        # What features do not tell differs from candidate to candidate.
        among[numpy.diag_indices(chosen.size)] = posterior.sigma[chosen] ** 2
        sample = numpy.full(posterior.mean.size, numpy.nan)
        # By eigenvalues: rounding makes some of a well-known map's slightly negative.
        sample[chosen] = random.multivariate_normal(posterior.mean[chosen], among, method="eigh", check_valid="ignore")
        return sample

    def _fantasize(
        self,
        posterior: ObjectivePosterior,
        covariance: Covariance,
        candidate: int,
        error: float,
        fantasies: list[FloatArray],
    ) -> ObjectivePosterior:
        """The posterior after the predicted reading was read at a candidate.

        fantasies: what each one before explained of every candidate, in deviations; this one's is appended.
        """
        explained = covariance(numpy.array([candidate]), numpy.arange(self._candidates.count))[0]
        for earlier in fantasies:
            explained = explained - earlier[candidate] * earlier
        fantasies.append(explained / numpy.sqrt(posterior.sigma[candidate] ** 2 + error**2))
        readings = numpy.array([posterior.best_observed, posterior.mean[candidate]])
        return dataclasses.replace(
            posterior,
            sigma=numpy.sqrt(numpy.maximum(posterior.sigma**2 - fantasies[-1] ** 2, 1e-6 * posterior.sigma**2)),
            best_observed=float(readings[numpy.argmax(posterior.utility(readings))]),
        )
