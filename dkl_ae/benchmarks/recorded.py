"""Recorded sets whose truth is known: every number that a run could follow, at every candidate."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy

from dkl_ae.patterns import find_reference
from dkl_ae.recordings import open_recording
from dkl_ae.records import DEFAULT_ELECTRONS, FloatArray, Patches, Survey, Symmetry, UserError
from dkl_ae.scalarizers import SCALARIZERS, scalarize

FOLLOWED = ("com_magnitude", "com_x", "com_y", "com_angle", "abf")
"""The scalarizers of the benchmark."""
PATCH_SIZE = 13


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """One number at every candidate."""

    name: str
    symmetry: Symmetry
    values: FloatArray
    """From patterns with counting noise."""
    sigmas: FloatArray
    truth: FloatArray
    """From patterns without noise."""


def targets(file: pathlib.Path) -> tuple[Patches, list[Target]]:
    """The survey's patches, and each number that a run could follow; of an angle its cosine and its sine.

    Raises UserError for a file that cannot be used.
    """
    recording = open_recording(file)
    if recording.vacuum is None or recording.survey is None or not recording.is_noise_free:
        raise UserError(f"{file.name} is not a noise-free set with a pattern of vacuum: choose another.")
    reference = find_reference(recording.vacuum * DEFAULT_ELECTRONS, recording.mrad_per_pixel)
    patches = Patches(Survey(recording.survey, recording.nm_per_pixel), PATCH_SIZE)
    random = numpy.random.default_rng(0)
    columns: dict[str, list[tuple[float, float, float]]] = {name: [] for name in FOLLOWED}
    for candidate in range(patches.count):
        expected = DEFAULT_ELECTRONS * recording.pattern(*patches.pixel(candidate))
        seen, true = (
            scalarize(pattern, reference, [SCALARIZERS[name] for name in FOLLOWED])
            for pattern in (random.poisson(expected), expected)
        )
        for name, column in columns.items():
            column.append((seen[name].value, seen[name].sigma, true[name].value))
    recording.close()
    found = []
    for name, column in columns.items():
        values, sigmas, truth = numpy.array(column).T
        if not SCALARIZERS[name].circular:
            found.append(Target(name, SCALARIZERS[name].symmetry, values, sigmas, truth))
            continue
        cosine, sine = numpy.cos(values), numpy.sin(values)
        found.append(Target(f"cos {name}", Symmetry.X, cosine, numpy.abs(sine) * sigmas, numpy.cos(truth)))
        found.append(Target(f"sin {name}", Symmetry.Y, sine, numpy.abs(cosine) * sigmas, numpy.sin(truth)))
    return patches, found
