"""Specimens that fill the survey, so that it shows no vacuum: graphene, molybdenum disulphide, and a film of gold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy

from dkl_ae.records import FloatArray
from dkl_ae.simulation import Specimen
from dkl_ae.simulation.lattice import GRAPHENE_ANGSTROM, graphene, hexagonal_vectors, tiled, turned

_MOS2_ANGSTROM = 3.16
_SULFUR_HEIGHT_ANGSTROM = 1.56
_GOLD_ANGSTROM = 4.08
_GOLD_LAYERS = 10


def graphene_sheet(seed: int, extent_nm: float = 3.0) -> Specimen:
    """One layer, turned and moved at random."""
    random, extent = numpy.random.default_rng(seed), 10 * extent_nm
    places = graphene(extent, random.uniform(0, math.pi / 3), random.uniform(0, GRAPHENE_ANGSTROM, 2) + extent / 2)
    return _specimen("graphene", extent_nm, [(places, 6, 0.0)])


def molybdenum_disulphide(seed: int, extent_nm: float = 3.0) -> Specimen:
    """One layer, likewise."""
    random, extent = numpy.random.default_rng(seed), 10 * extent_nm
    vectors = hexagonal_vectors(_MOS2_ANGSTROM, random.uniform(0, 2 * math.pi / 3))
    cells = tiled(vectors, random.uniform(0, _MOS2_ANGSTROM, 2) + extent / 2, extent)
    first, second = (2 * vectors[0] + vectors[1]) / 3, (vectors[0] + 2 * vectors[1]) / 3
    height = _SULFUR_HEIGHT_ANGSTROM
    return _specimen(
        "MoS2", extent_nm, [(cells + first, 42, 0.0), (cells + second, 16, -height), (cells + second, 16, height)]
    )


def gold_film(seed: int, extent_nm: float = 3.0) -> Specimen:
    """Ten atomic layers along [001], likewise."""
    random, extent = numpy.random.default_rng(seed), 10 * extent_nm
    vectors = turned(_GOLD_ANGSTROM / math.sqrt(2) * numpy.eye(2), random.uniform(0, math.pi / 2))
    cells = tiled(vectors, random.uniform(0, _GOLD_ANGSTROM, 2) + extent / 2, extent)
    layers = [
        (cells + (layer % 2) * vectors.sum(axis=0) / 2, 79, layer * _GOLD_ANGSTROM / 2) for layer in range(_GOLD_LAYERS)
    ]
    return _specimen("gold", extent_nm, layers)


SHEETS: Mapping[str, Callable[[int], Specimen]] = {
    "graphene": graphene_sheet,
    "MoS2": molybdenum_disulphide,
    "gold": gold_film,
}


def _specimen(name: str, extent_nm: float, parts: list[tuple[FloatArray, int, float]]) -> Specimen:
    """parts: x and y, atomic number and height of atoms."""
    atoms = numpy.concatenate([numpy.column_stack([places, numpy.full(len(places), z)]) for places, _, z in parts])
    numbers = numpy.concatenate([numpy.full(len(places), number) for places, number, _ in parts])
    return Specimen(name, atoms, numbers, extent_nm)
