"""How the detector lies to the scan, and how the beam moves on it while it scans the vacuum."""

from __future__ import annotations

import dataclasses
import math

import numpy
import numpy.typing

from dkl_ae.records import FloatArray, UserError


@dataclasses.dataclass(frozen=True)
class DetectorGeometry:
    """How the detector lies over the scan. Raises UserError, one sentence, for what no detector has."""

    rotation_deg: float = 0.0
    """What a deflection on the detector must be turned by, from +x towards +y, to point in the scan's axes."""
    flip_x: bool = False
    """Whether the detector's x axis is reversed, before it is turned. A transposed detector is flipped and turned by
    -90 degrees."""
    ellipticity: float = 1.0
    """Long over short axis of what should be a circle."""
    long_axis_deg: float = 0.0
    """Direction of the long axis on the detector, from +x towards +y."""

    def __post_init__(self) -> None:
        if not 1 <= self.ellipticity < math.inf:
            raise UserError(
                f"The ellipticity is {self.ellipticity:g}: give the long over the short axis, which is 1 or more."
            )
        for what, value in (("rotation", self.rotation_deg), ("long axis", self.long_axis_deg)):
            if not math.isfinite(value):
                raise UserError(f"The detector's {what} is {value:g} degrees: give a number.")

    @property
    def to_circle(self) -> FloatArray:
        """Takes (y, x) on the detector to where it would be without ellipticity, shape (2, 2); areas are kept."""
        direction = math.radians(self.long_axis_deg)
        along = numpy.array([math.sin(direction), math.cos(direction)])
        stretch: FloatArray = math.sqrt(self.ellipticity) * (
            numpy.eye(2) + (1 / self.ellipticity - 1) * numpy.outer(along, along)
        )
        return stretch

    @property
    def to_scan(self) -> FloatArray:
        """Takes (y, x) on the detector to the axes of the scan, shape (2, 2)."""
        angle = math.radians(self.rotation_deg)
        turn = numpy.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        flip = numpy.diag([1.0, -1.0 if self.flip_x else 1.0])
        matrix: FloatArray = turn @ flip @ self.to_circle
        return matrix


@dataclasses.dataclass(frozen=True)
class Descan:
    """How the undeflected centre of mass on the detector wanders over the scan."""

    y_mrad: tuple[float, ...]
    x_mrad: tuple[float, ...]
    """Coefficients of 1, v, u and, where there are six, v^2, vu, u^2; v and u are the position along y and x as
    fractions of the scan, from its centre."""

    def zero_mrad(self, y: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Centre of mass of the undeflected beam along (y, x) at positions, which are fractions of the scan."""
        terms = _terms(y, x, len(self.y_mrad))
        return terms @ numpy.array(self.y_mrad), terms @ numpy.array(self.x_mrad)


def fit_descan(y: FloatArray, x: FloatArray, zero_y_mrad: FloatArray, zero_x_mrad: FloatArray, order: int) -> Descan:
    """Fit a plane (order 1) or a quadratic (order 2) to centres of mass where nothing deflects the beam.

    y, x: positions, shape (n,), fractions of the scan.

    Raises UserError when there are fewer places than coefficients, or they lie on one line.
    """
    count = {1: 3, 2: 6}[order]
    terms = _terms(y, x, count)
    if numpy.linalg.matrix_rank(terms) < count:
        raise UserError(
            f"The descan cannot be fitted to {len(y)} places that lie as they do: give {count} or more, spread over "
            "both directions of the scan."
        )
    solution = numpy.linalg.lstsq(terms, numpy.stack([zero_y_mrad, zero_x_mrad], axis=1))[0]
    return Descan(tuple(map(float, solution[:, 0])), tuple(map(float, solution[:, 1])))


def _terms(y: FloatArray, x: FloatArray, count: int) -> FloatArray:
    v, u = numpy.asarray(y, numpy.float64) - 0.5, numpy.asarray(x, numpy.float64) - 0.5
    return numpy.stack([numpy.ones_like(v), v, u, v * v, v * u, u * u][:count], axis=-1)
