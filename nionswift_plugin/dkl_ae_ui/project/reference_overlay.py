"""What the reference was found to be, drawn over its pattern for the user to check."""

from __future__ import annotations

import math

import numpy
from nion.swift.model import Graphics
from nion.utils import Geometry

from dkl_ae.patterns import Reference

_DISC_COLOUR = "#F80"
_MASK_COLOUR = "#0CF"


def reference_graphics(reference: Reference) -> list[Graphics.Graphic]:
    """The bright-field disc, the mask of the centre of mass where there is one, and the zero of the centre of mass."""
    masked = math.isfinite(reference.mask_radius)
    disc = _circle(reference, reference.radius_mrad, _DISC_COLOUR)
    graphics: list[Graphics.Graphic] = [disc]
    if reference.mask_inner:
        graphics.append(_circle(reference, reference.mask_inner * reference.radius_mrad, _MASK_COLOUR))
    if masked:
        graphics.append(_circle(reference, reference.mask_radius * reference.radius_mrad, _MASK_COLOUR))
    # Two labels would hide each other: Swift puts them above the circles, which are a few pixels apart.
    graphics[-1].label = "bright-field disc, in its mask" if masked else "bright-field disc"
    zero = Graphics.PointGraphic()
    zero.position = _place(reference, *_on_detector(reference, reference.zero_mrad))
    zero.label = "zero"
    return [_locked(graphic) for graphic in [*graphics, zero]]


def _circle(reference: Reference, radius_mrad: float, colour: str) -> Graphics.EllipseGraphic:
    (rows, columns), (y_mrad, x_mrad) = reference.shape, reference.mrad_per_pixel
    height, width = 2 * radius_mrad / y_mrad / rows, 2 * radius_mrad / x_mrad / columns
    circle = Graphics.EllipseGraphic()
    circle.bounds = Geometry.FloatRect.from_center_and_size(
        _place(reference, 0.0, 0.0), Geometry.FloatSize(height, width)
    ).as_tuple()
    circle.stroke_color = colour
    return circle


def _on_detector(reference: Reference, scan_mrad: tuple[float, float]) -> tuple[float, float]:
    y, x = numpy.linalg.solve(reference.geometry.to_scan, scan_mrad)
    return float(y), float(x)


def _place(reference: Reference, y_mrad: float, x_mrad: float) -> Geometry.FloatPoint:
    """As a fraction of the pattern: Swift counts from a pixel's edge, the reference from its centre."""
    y, x = (
        (centre + 0.5 + mrad / scale) / side
        for centre, mrad, scale, side in zip(
            reference.centre, (y_mrad, x_mrad), reference.mrad_per_pixel, reference.shape, strict=True
        )
    )
    return Geometry.FloatPoint(y, x)


def _locked(graphic: Graphics.Graphic) -> Graphics.Graphic:
    graphic.is_position_locked = True
    graphic.is_shape_locked = True
    graphic.is_rotation_locked = True
    return graphic
