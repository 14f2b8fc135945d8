"""Readings of the Bragg discs: the lattice's spacing, strain and symmetry, and whether there is a lattice at all."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy

from dkl_ae.patterns import Lattice, Patterns, Reference, strain
from dkl_ae.records import Symmetry
from dkl_ae.scalarizers.scalarizer import Scalarizer, ScalarizerResult

ValueAndSigma = tuple[float, float]


class _UndefinedError(Exception):
    """The reading of a lattice is undefined; the message says why."""


MAX_STRAIN = 0.15
"""No crystal stands more: what is strained by more is another lattice."""


def _of_lattices(
    measure: Callable[[Lattice, Reference], ValueAndSigma], patterns: Patterns, *, needs_undeformed: bool = False
) -> ScalarizerResult:
    value, sigma = numpy.full((2, len(patterns)), numpy.nan)
    reasons = {}
    for index, lattice in enumerate(patterns.lattices):
        if lattice.reason:
            reasons[index] = lattice.reason
        elif needs_undeformed and patterns.reference.lattice_mrad is None:
            reasons[index] = "the undeformed lattice is not known: it is that of the first pattern with one."
        else:
            try:
                value[index], sigma[index] = measure(lattice, patterns.reference)
            except _UndefinedError as error:
                reasons[index] = str(error)
    return ScalarizerResult(value, sigma, reasons)


def _spacing(lattice: Lattice, reference: Reference) -> ValueAndSigma:
    return lattice.spacing_mrad, lattice.spacing_sigma_mrad


def _strain(component: int, lattice: Lattice, reference: Reference) -> ValueAndSigma:
    found = strain(lattice, numpy.array(reference.lattice_mrad))
    most = max(map(abs, found.values[:3]))
    if most > MAX_STRAIN:
        raise _UndefinedError(f"another lattice is here: it differs from the undeformed one by {100 * most:.0f} %.")
    return found.values[component], found.sigmas[component]


def _strain_reading(component: int, name: str, label: str, unit: str, description: str) -> Scalarizer:
    measure = functools.partial(_strain, component)
    return Scalarizer(
        name, label, unit, description, functools.partial(_of_lattices, measure, needs_undeformed=True), Symmetry.NONE
    )


def _count(patterns: Patterns) -> ScalarizerResult:
    """Also where there is no lattice: none is an answer."""
    discs = numpy.array([float(lattice.discs) for lattice in patterns.lattices])
    return ScalarizerResult(discs, numpy.zeros_like(discs))


def with_undeformed(reference: Reference, pattern: Patterns) -> Reference:
    """The reference, and the first pattern's lattice as the one that strain is measured against, where it has one."""
    lattice = pattern.lattices[0]
    if lattice.reason:
        return reference
    first, second = ((float(y), float(x)) for y, x in lattice.vectors)
    return dataclasses.replace(reference, lattice_mrad=(first, second))


DIFFRACTION = (
    Scalarizer(
        "bragg_spacing",
        "Bragg spacing",
        "mrad",
        "Mean distance of the first-order Bragg discs from the central disc; larger where the lattice is compressed.",
        functools.partial(_of_lattices, _spacing),
        Symmetry.SCALAR,
    ),
    _strain_reading(0, "strain_xx", "Strain xx", "", "Extension of the lattice along the scan's x."),
    _strain_reading(1, "strain_yy", "Strain yy", "", "Extension of the lattice along the scan's y."),
    _strain_reading(
        2, "strain_xy", "Strain xy", "", "Shear of the lattice: half the change of the angle between x and y."
    ),
    _strain_reading(
        3, "lattice_rotation", "Lattice rotation", "rad", "How far the lattice is turned, from +x towards +y."
    ),
    Scalarizer(
        "bragg_discs",
        "Bragg discs",
        "discs",
        "How many first-order discs stand out; none in vacuum.",
        _count,
        Symmetry.SCALAR,
    ),
    Scalarizer(
        "lattice_symmetry",
        "Lattice symmetry",
        "fold",
        "Of how many parts of a full turn each takes the lattice to itself: 2, 4 or 6.",
        functools.partial(_of_lattices, lambda lattice, reference: (float(lattice.order), 0.0)),
        Symmetry.SCALAR,
    ),
)
