"""The files in tests/data, and what is made of them."""

from __future__ import annotations

import json
import pathlib

import h5py
import numpy

DATA = pathlib.Path(__file__).parents[1] / "data"
GRAPHENE = DATA / "fixture_graphene_si_24x24_1e5e.npz"
"""Multislice patterns (abTEM 1.0.11) of graphene with silicon, 1e5 electrons of Poisson noise each."""


def graphene_recording(file: pathlib.Path, rows: int = 24, columns: int = 24, *, vacuum: bool = False) -> pathlib.Path:
    """Graphene with counting noise as a recording in HDF5: so many of its places, and what the beam is in vacuum."""
    with numpy.load(GRAPHENE) as data, h5py.File(file, "w") as opened:
        opened["patterns"] = data["counts"][:rows, :columns]
        opened["haadf"] = data["haadf"][:rows, :columns]
        if vacuum:
            opened["vacuum"] = data["vacuum"] * 1e5
        opened.attrs["metadata"] = json.dumps({"scan_step_A": float(data["step_A"]), "detector_mrad_per_px": 2.5})
    return file
