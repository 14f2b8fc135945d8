"""Where a run exposes its reference, and what it makes of those patterns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from dkl_ae.instruments import Frame
from dkl_ae.patterns import DetectorGeometry, Patterns, Reference, find_reference, with_descan, with_zero_error
from dkl_ae.records import (
    IntArray,
    Survey,
    darkest_pixel_of_each_part,
    darkest_pixels,
    darkest_pixels_in,
    parse_region,
    spread_pixels,
)
from dkl_ae.settings import DESCAN_ORDERS, MEAN, REGION, Plan


def reference_pixels(survey: Survey, plan: Plan) -> IntArray:
    """Row and column of the survey pixels where the reference is exposed, shape (n, 2).

    They are the darkest pixels of the survey or of the plan's region; or, for a mean over all, spread evenly. Where the
    descan is to be fitted, they are the darkest pixel in each of nine parts of the survey.
    """
    if DESCAN_ORDERS[plan.reference.descan]:
        return darkest_pixel_of_each_part(survey)
    if plan.reference.source == MEAN:
        return spread_pixels(survey.shape, plan.reference.frames)
    if plan.reference.source == REGION:
        return darkest_pixels_in(survey, parse_region(plan.reference.region), plan.reference.frames)
    return darkest_pixels(survey, plan.reference.frames)


def reference_from(frames: Sequence[Frame], plan: Plan) -> Reference:
    """The reference that patterns of the undeflected beam give.

    Raises UserError when they hold no beam.
    """
    patterns = numpy.stack([frame.pattern for frame in frames])
    reference = find_reference(
        patterns.mean(axis=0, dtype=numpy.float64),
        frames[0].mrad_per_pixel,
        frames[0].counts_per_electron,
        exposures=len(frames),
        vacuum=plan.reference.source != MEAN,
        mask=(plan.detector.mask_inner, plan.detector.mask_outer),
        geometry=geometry_of(plan),
    )
    order = DESCAN_ORDERS[plan.reference.descan]
    positions = numpy.array([(frame.position_read_back.y, frame.position_read_back.x) for frame in frames])
    if order:
        reference = with_descan(reference, patterns, positions, order)
    return with_zero_error(reference, Patterns(patterns, reference, positions=positions))


def geometry_of(plan: Plan) -> DetectorGeometry:
    """How the detector lies over the scan, as the plan says."""
    return DetectorGeometry(plan.detector.rotation_deg, plan.detector.flip_x)
