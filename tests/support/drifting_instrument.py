"""A microscope whose undeflected beam drifts over the camera while it measures, as a lens that creeps makes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy
import scipy.ndimage

from dkl_ae.instruments import Frame
from dkl_ae.instruments.column_instrument import ColumnInstrument
from dkl_ae.patterns import Patterns, Reference
from dkl_ae.records import FloatArray, Measurement, Position
from dkl_ae.run import Event, PointMeasured, ReadingsRevised
from dkl_ae.simulation import Specimen, VirtualColumn

EXPOSURE_S = 0.01
STEP_S = 1.0
"""Of its clock, from one exposure to the next: it does not wait for it."""
START_S = 1.7e9

TROUBLE = "The probe was moved during the exposure: leave it to the run."
"""What is told of an exposure that is disturbed."""

_ALL_ELECTRONS = 1e12
"""So many leave no counting error in the truth."""

Drift = Callable[[float], tuple[float, float]]
"""Seconds since the first exposure -> the beam's place on the camera (y, x), mrad."""


class DriftingInstrument(ColumnInstrument):
    """See `dkl_ae.instruments.Instrument`.

    seed: of the counting noise.
    untrusted: numbers of exposures, from 0, that are disturbed.
    """

    def __init__(
        self, column: VirtualColumn, drift: Drift, seed: int = 0, untrusted: frozenset[int] = frozenset()
    ) -> None:
        super().__init__(column, exposure_s=EXPOSURE_S)
        self.column = column
        self.exposed: list[Position] = []
        self._drift = drift
        self._seed = seed
        self.untrusted = untrusted

    def acquire_pattern(self, position: Position) -> Frame:
        number = len(self.exposed)
        self.exposed.append(position)
        exact = self.exact(position)
        shift = numpy.array(self._drift(number * STEP_S)) / self.column.mrad_per_pixel
        # A mean of neighbours moves the centre of mass by exactly as much.
        moved = scipy.ndimage.shift(exact, shift, order=1, mode="grid-wrap")
        random = numpy.random.default_rng((self._seed, number))
        counts = random.poisson(numpy.maximum(moved, 0)).astype(numpy.float32)
        frame = super().acquire_pattern(position)
        trouble = TROUBLE if number in self.untrusted else ""
        return dataclasses.replace(frame, pattern=counts, time=START_S + number * STEP_S, untrusted=trouble)

    def exact(self, position: Position) -> FloatArray:
        """Electrons that are expected in each pixel where nothing drifts."""
        height, width = self.column.extent_nm
        pattern: FloatArray = self.column.patterns.pattern(position.y * height, position.x * width)
        return pattern * self._electrons_per_s * EXPOSURE_S


def linear(mrad_per_exposure: float) -> Drift:
    """Along a direction between the axes."""
    return lambda seconds: (0.6 * mrad_per_exposure * seconds, 0.8 * mrad_per_exposure * seconds)


def at_rest(seconds: float) -> tuple[float, float]:
    return 0.0, 0.0


def known_at_the_end(events: Iterable[Event]) -> list[Measurement]:
    """The measurements of a run, as they were revised last."""
    known: dict[int, Measurement] = {}
    for event in events:
        match event:
            case PointMeasured(measurement=measurement):
                known[measurement.proposal.candidate] = measurement
            case ReadingsRevised(measurements=measurements):
                known |= {measurement.proposal.candidate: measurement for measurement in measurements}
    return list(known.values())


def errors_mrad(
    instrument: DriftingInstrument, reference: Reference, measurements: Sequence[Measurement]
) -> tuple[FloatArray, FloatArray]:
    """Of the shifts along y and x, and one standard deviation as the readings tell it: shape (n, 2) each."""
    height, width = instrument.column.extent_nm
    vacuum = VirtualColumn(Specimen("vacuum", numpy.zeros((0, 3)), numpy.zeros(0, numpy.int64), height))
    undeflected = vacuum.patterns.pattern(height / 2, width / 2)
    exact = numpy.stack([undeflected, *(instrument.exact(m.position_asked) for m in measurements)])
    truth = Patterns(_ALL_ELECTRONS * exact, reference).moments
    true = numpy.stack([truth.y[1:] - truth.y[0], truth.x[1:] - truth.x[0]], axis=-1)
    readings = [[measurement.readings[name] for name in ("com_y", "com_x")] for measurement in measurements]
    read = numpy.array([[reading.value for reading in pair] for pair in readings])
    return read - true, numpy.array([[reading.total_sigma for reading in pair] for pair in readings])
