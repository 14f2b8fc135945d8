"""What the review shows of a step."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence

import numpy
import numpy.typing
from nion.data import Calibration

from dkl_ae.analysis import View, curves, share_promised, share_within, surprises
from dkl_ae.experiment import Plan
from dkl_ae.records import AnyArray, FloatArray, Proposal
from dkl_ae.session import MAPS, Session
from nionswift_plugin.dkl_ae_ui.project import axes as calibrations
from nionswift_plugin.dkl_ae_ui.project.path_picture import PathPicture

_DEVIATIONS: FloatArray = numpy.linspace(0, 3, 31)
"""Within how many standard deviations readings are counted."""


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """What one data item shows."""

    role: str
    title: str
    data: AnyArray
    axes: Sequence[Calibration.Calibration]
    unit: str
    about: Mapping[str, typing.Any]
    """For the item's metadata."""
    y_range: tuple[float, float] | None = None
    """Of curves: what their axis spans at every step alike, with room for the legend; None where no number is shown."""


class Images:
    """Makes the pictures of one session. Steps are numbered from 1."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.surprises = surprises(session)
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
        image = self._path.image(upcoming, measurements[picked - 1].proposal)
        pixel_nm = self._session.survey.pixel_size_nm / self._path.enlargement
        axes = calibrations.of_survey(image.shape, pixel_nm)
        return self._picture("path", f"Path to step {number}", image, axes, step=number)

    def pattern(self, number: int) -> Picture:
        reference = self._session.reference
        assert reference is not None  # nothing is read before there is one
        return self._picture(
            "pattern",
            f"Pattern of step {number}",
            self._session.pattern(number - 1),
            calibrations.of_pattern(reference),
            "counts",
            step=number,
            geometry=dataclasses.asdict(reference.geometry),
        )

    def maps(self, view: View | None) -> list[Picture]:
        """Prediction, uncertainty and acquisition; zeros where the model says nothing."""
        shape = self._session.survey.shape
        if view is None:
            nothing = numpy.zeros(shape)
            return [self._map(role, f"{role.capitalize()}: none yet", nothing) for role in MAPS]
        # Swift finds no display range where pixels are NaN: not in the margin, where no patch fits.
        margin = view.plan.patch_size // 2
        inside = tuple(slice(margin, side - margin) for side in shape)
        driver = view.plan.driver
        about = {"step": view.measured, "plan": dataclasses.asdict(view.plan)}
        return [
            self._map(
                role,
                f"{role.capitalize()} of {driver.label}, step {view.measured}",
                getattr(view.maps, role)[inside],
                "" if role == "acquisition" else driver.unit,
                **about,
            )
            for role in MAPS
        ]

    def curves(self, number: int, plan: Plan) -> list[Picture]:
        """Readings and the best of them against the step, and how far the model was right."""
        found = curves(self._session, plan)
        label, unit, steps = plan.driver.label, plan.driver.unit, calibrations.steps()
        readings = [found.readings, _until(number, found.readings), _until(number, found.expected)]
        best = [found.best, _until(number, found.best)]
        shares = [share_promised(_DEVIATIONS), share_within(self.surprises[:number], _DEVIATIONS)]
        percent = [100 * share for share in shares]
        deviations = Calibration.Calibration(0, float(_DEVIATIONS[1]), "sigma")
        drawn = (
            ("readings", f"{label} against step", readings, steps, unit, _spanned(found.readings, found.expected)),
            ("learning", f"Best {label} so far", best, steps, unit, _spanned(found.best)),
            ("calibration", "Readings within sigma", percent, deviations, "%", (0.0, 145.0)),
        )
        return [
            self._picture(
                role, title, numpy.stack(rows), [Calibration.Calibration(), axis], unit, y_range=y_range, step=number
            )
            for role, title, rows, axis, unit, y_range in drawn
        ]

    def _map(self, role: str, title: str, image: AnyArray, unit: str = "", **about: typing.Any) -> Picture:
        axes = calibrations.of_survey(image.shape, self._session.survey.pixel_size_nm)
        return self._picture(role, title, image.astype(numpy.float32), axes, unit, **about)

    def _picture(
        self,
        role: str,
        title: str,
        data: AnyArray,
        axes: Sequence[Calibration.Calibration],
        unit: str = "",
        y_range: tuple[float, float] | None = None,
        **about: typing.Any,
    ) -> Picture:
        described = {"run": self._session.title, "session": str(self._session.file), "role": role, **about}
        return Picture(role, title, data, axes, unit, described, y_range)


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
