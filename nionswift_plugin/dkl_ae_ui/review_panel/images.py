"""What the review shows of a step."""

from __future__ import annotations

import dataclasses
import typing

import numpy
from nion.data import Calibration

from dkl_ae.analysis import ModelView, empirical_coverage, nominal_coverage, standardized_errors
from dkl_ae.analysis import curves as curves_of
from dkl_ae.experiment import Objective, patches_for
from dkl_ae.records import FloatArray, Proposal
from dkl_ae.session import Session
from nionswift_plugin.dkl_ae_ui.project.path_picture import PathPicture
from nionswift_plugin.dkl_ae_ui.project.pictures import (
    Picture,
    curves,
    map_pictures,
    path_over_survey,
    pattern_picture,
)

_DEVIATIONS: FloatArray = numpy.linspace(0, 3, 31)
"""Within how many standard deviations readings are counted."""


class Images:
    """Makes the pictures of one session. Steps are numbered from 1."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.standardized_errors = standardized_errors(session)
        self._patches = patches_for(session.plan, session.survey)
        self._path = PathPicture(session.survey.image)
        self._visited = 0

    def path(self, number: int, picked: int, upcoming: Proposal | None) -> Picture:
        """The path up to a step; picked: the step whose pattern is shown."""
        if number < self._visited:
            self._path, self._visited = PathPicture(self._session.survey.image), 0
        measurements = self._session.measurements
        for measurement in measurements[self._visited : number]:
            self._path.visit(measurement.proposal)
        self._visited = number
        picture = path_over_survey(self._path, self._session.survey, upcoming, measurements[picked - 1].proposal)
        return self._told(picture, f"Path to point {number}", step=number)

    def pattern(self, number: int) -> Picture:
        reference = self._session.reference
        assert reference is not None  # nothing is read before there is one
        picture = pattern_picture(self._session.pattern(number - 1), reference)
        return self._told(picture, f"Pattern of point {number}", step=number)

    def maps(self, view: ModelView | None) -> list[Picture]:
        """Every map; zeros where the model says nothing."""
        if view is None:
            pictures = map_pictures(None, self._patches, self._session.objective(0).scalarizer)
            return [self._told(picture, f"{picture.title}: none yet") for picture in pictures]
        scalarizer = view.objective.scalarizer
        of = f"of {scalarizer.label}, point {view.measured}"
        about = {"step": view.measured, "objective": view.objective.text()}
        return [
            self._told(picture, f"{picture.title} {of}", **about)
            for picture in map_pictures(view.maps, self._patches, scalarizer)
        ]

    def curves(self, number: int, objective: Objective) -> list[Picture]:
        """Readings and the best of them against the step, and how far the model was right."""
        found = curves_of(self._session, objective)
        label, unit = objective.scalarizer.label, objective.scalarizer.unit
        readings = [found.readings, _until(number, found.readings), _until(number, found.expected)]
        best = [found.best, _until(number, found.best)]
        shares = [nominal_coverage(_DEVIATIONS), empirical_coverage(self.standardized_errors[:number], _DEVIATIONS)]
        percent = [100 * share for share in shares]
        deviations = Calibration.Calibration(0, float(_DEVIATIONS[1]), "sigma")
        spanned = _spanned(found.readings, found.expected)
        drawn = (
            curves("readings", f"{label} of each point", numpy.stack(readings), unit, y_range=spanned),
            curves("learning", f"Best {label} so far", numpy.stack(best), unit, y_range=_spanned(found.best)),
            curves("calibration", "Readings within sigma", numpy.stack(percent), "%", deviations, (0.0, 145.0)),
        )
        return [self._told(picture, picture.title, step=number) for picture in drawn]

    def _told(self, picture: Picture, title: str, **about: typing.Any) -> Picture:
        """A picture with its title, and with what it is told for the metadata of its item."""
        of_run = {"run": self._session.title, "session": str(self._session.file)}
        return dataclasses.replace(picture, title=title, about={**of_run, **picture.about, **about})


def _until(number: int, values: FloatArray) -> FloatArray:
    return numpy.where(numpy.arange(values.size) < number, values, numpy.nan)


def _spanned(*curves: FloatArray) -> tuple[float, float] | None:
    """Swift finds no range by itself where some numbers are NaN."""
    values = numpy.concatenate(curves)
    values = values[numpy.isfinite(values)]
    if not values.size:
        return None
    low, high = float(values.min()), float(values.max())
    span = (high - low) or abs(high) / 10 or 1.0
    return low - 0.1 * span, high + 0.5 * span
