"""What is exported of a saved session, whatever the format: calibrated images, and tables with units."""

from __future__ import annotations

import dataclasses
import functools
import json
import typing
from collections.abc import Iterator, Mapping

import numpy
import numpy.typing

from dkl_ae.experiment import map_title
from dkl_ae.records import AnyArray, FloatArray, UserError
from dkl_ae.session import MAPS, MAPS_IN_UNIT, MEASUREMENTS, Session
from dkl_ae.settings import to_json

PATTERNS: typing.Final = "patterns"
_COLUMN_NAMES: typing.Final = {"step", "y", "x", "scalarizer", *(column.name for column in MEASUREMENTS)}
_OF_OBJECTIVE: typing.Final = "of the optimized reading"
"""What a session has for a unit that may change with what is optimized."""


@dataclasses.dataclass(frozen=True, eq=False)
class Axis:
    """One axis of an array."""

    name: str
    units: str
    values: FloatArray
    """Of each of its pixels, at their centres."""

    @property
    def size(self) -> int:
        return len(self.values)

    @property
    def offset(self) -> float:
        return float(self.values[0])

    @property
    def scale(self) -> float:
        """From one pixel to the next."""
        return float(self.values[-1] - self.values[0]) / (self.size - 1) if self.size > 1 else 1.0

    @property
    def is_even(self) -> bool:
        return numpy.allclose(numpy.diff(self.values), self.scale)


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
    """An image, or a stack of them, in which each is read when it is asked for."""

    name: str
    description: str
    units: str
    axes: tuple[Axis, ...]
    """Those of the stack, and then the image's own two."""
    stored: typing.Any
    """An array or a dataset; beyond the axes' sizes it may hold more."""

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(axis.size for axis in self.axes)

    @property
    def dtype(self) -> numpy.dtype[typing.Any]:
        dtype: numpy.dtype[typing.Any] = self.stored.dtype
        return dtype

    def each(self) -> Iterator[tuple[tuple[int, ...], AnyArray]]:
        """Each image with its place in the stack, in order."""
        for place in numpy.ndindex(self.shape[:-2]):
            yield place, self.stored[place]


@dataclasses.dataclass(frozen=True, eq=False)
class Column:
    """One number, or word, of each measurement."""

    name: str
    units: str
    description: str
    values: AnyArray
    """Shape (measurements,); words are bytes."""
    sigmas: FloatArray | None = None
    """Their standard deviations, where they have any."""
    common_sigmas: FloatArray | None = None
    """Standard deviations of the error that all of them have in common; None where there is none."""

    @property
    def common(self) -> tuple[Column, ...]:
        """A column of their own for the deviations that all have in common; none where there are none."""
        if self.common_sigmas is None:
            return ()
        description = f"Standard deviation of the error that all readings of {self.name} have in common."
        return (Column(f"{self.name}_common_sigma", self.units, description, self.common_sigmas),)


@dataclasses.dataclass(frozen=True, eq=False)
class Content:
    """All that is exported of one session."""

    title: str
    created: str
    """When the run began, ISO 8601, UTC."""
    scalarizer: str
    """The one that was optimized last."""
    images: tuple[Images, ...]
    """The patterns are the first."""
    measurements: tuple[Column, ...]
    """How and where the patterns were measured."""
    readings: tuple[Column, ...]
    """Of each scalarizer, with their standard deviations."""
    settings: Mapping[str, str]
    """Plan, instrument and software as JSON, by name."""

    @property
    def table(self) -> tuple[Column, ...]:
        """All columns, for formats that know no deviations: those are columns of their own."""
        found = list(self.measurements)
        for reading in self.readings:
            found.append(dataclasses.replace(reading, sigmas=None, common_sigmas=None))
            if reading.sigmas is not None:
                description = f"Standard deviation of {reading.name}."
                found.append(Column(f"{reading.name}_sigma", reading.units, description, reading.sigmas))
            found += reading.common
        return tuple(found)


def content_of(session: Session) -> Content:
    """What there is to be exported; patterns and maps stay in the session's file, which must be open while they are
    written elsewhere.

    Raises UserError, one sentence, when nothing was measured.
    """
    if session.count == 0:
        raise UserError(f"{session.file.name} has no measured patterns: there is nothing to export.")
    return Content(
        title=session.title or session.file.stem,
        created=session.created,
        scalarizer=_name(session.objective(session.count).scalarizer.name),
        images=tuple(images for images in _images(session) if 0 not in images.shape),
        measurements=_measurements(session),
        readings=_readings(session),
        settings={
            "plan": to_json(session.plan),
            "instrument": json.dumps(dict(session.instrument)),
            "software": json.dumps(dict(session.software)),
        },
    )


def _images(session: Session) -> Iterator[Images]:
    detector, scan = _detector(session), _scan(session)
    steps = functools.partial(Axis, "step", "")
    numbers = numpy.arange(1.0, session.count + 1)
    yield Images(
        PATTERNS, "Measured diffraction patterns", "counts", (steps(numbers), *detector), session.stored("patterns")
    )
    ends = session.stored("cross_ends/patterns")
    around = session.stored("cross_ends/measurement")[: len(ends)]
    around = around[around < session.count]
    yield Images(
        "cross_ends",
        "Patterns right, left, below and above the places of those steps; zero where none was exposed",
        "counts",
        (steps(around + 1.0), Axis("end", "", numpy.arange(4.0)), *detector),
        ends,
    )
    for name in (name for name in MAPS if name in session.opened["maps"]):
        yield Images(
            name,
            f"{map_title(name)} after those steps; NaN where no patch fits",
            _units(session, _OF_OBJECTIVE if name in MAPS_IN_UNIT else ""),
            (steps(session.map_steps.astype(numpy.float64)), *scan),
            session.stored(f"maps/{name}"),
        )
    yield Images("survey", "Survey", "", scan, session.survey.image)
    if session.reference_pattern is not None:
        yield Images("reference", "Mean pattern of the reference", "counts", detector, session.reference_pattern)


def _detector(session: Session) -> tuple[Axis, Axis]:
    """In mrad from the centre of the bright-field disc."""
    assert session.reference is not None
    patterns = session.stored("patterns")
    ky, kx = (
        Axis(name, "mrad", (numpy.arange(side) - centre) * mrad)
        for name, side, centre, mrad in zip(
            ("ky", "kx"),
            patterns.shape[1:],
            session.reference.centre,
            patterns.attribute("mrad_per_pixel"),
            strict=True,
        )
    )
    return ky, kx


def _scan(session: Session) -> tuple[Axis, Axis]:
    """In nm from the survey's top left corner."""
    y, x = (
        Axis(name, "nm", (numpy.arange(side, dtype=numpy.float64) + 0.5) * session.survey.pixel_size_nm)
        for name, side in zip("yx", session.survey.shape, strict=True)
    )
    return y, x


def _units(session: Session, units: str) -> str:
    """The unit of the optimized reading, where it was one and the same in the whole run."""
    if units != _OF_OBJECTIVE:
        return units
    followed = {session.objective(number).scalarizer.unit for number in range(session.count + 1)}
    return followed.pop() if len(followed) == 1 else units


def _measurements(session: Session) -> tuple[Column, ...]:
    # Whoever chose is a word of the program's: what damage made of it is told here.
    columns = {**session.columns, "origin": numpy.array([m.proposal.origin.encode() for m in session.measurements])}
    optimized = [_name(session.objective(number).scalarizer.name).encode() for number in range(session.count)]
    return (
        Column("step", "", "Number of the measurement, from 1.", numpy.arange(1, session.count + 1)),
        *(
            Column(
                name,
                "nm",
                "Where the probe was, from the survey's top left corner.",
                session.columns[f"read_back_{name}"] * side * session.survey.pixel_size_nm,
            )
            for name, side in zip("yx", session.survey.shape, strict=True)
        ),
        *(
            Column(column.name, _units(session, column.unit), column.description, columns[column.name])
            for column in MEASUREMENTS
        ),
        Column("scalarizer", "", "The scalarizer that was optimized.", numpy.array(optimized)),
    )


def _readings(session: Session) -> tuple[Column, ...]:
    scalarizers = session.scalarizers
    return tuple(
        Column(
            _name(name),
            scalarizers[name].unit,
            scalarizers[name].description,
            values,
            sigmas,
            common if numpy.any(common := session.common_sigmas[name]) else None,
        )
        for name, (values, sigmas) in session.readings.items()
    )


def _name(scalarizer: str) -> str:
    """A scalarizer of the user's own may be named like a column."""
    return f"{scalarizer}_reading" if scalarizer in _COLUMN_NAMES else scalarizer
