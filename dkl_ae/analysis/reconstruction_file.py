"""Reconstructed maps in an HDF5 file."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import typing

from dkl_ae.analysis.reconstruction import ReconstructionResult
from dkl_ae.outputs import new_hdf5
from dkl_ae.patterns import reference_as_dict
from dkl_ae.records import FloatArray, program_version


def write_reconstruction(file: pathlib.Path, result: ReconstructionResult) -> None:
    """Write `/<scalarizer>/truth` and `/<scalarizer>/<fraction>/{prediction,uncertainty,measured}` as HDF5, each of the
    survey's shape with its unit; what is known of them is in attributes.

    Raises OSError when the file cannot be written.
    """
    with new_hdf5(file) as (opened, _):
        opened.attrs["recording"] = result.request.file.name
        opened.attrs["program"] = program_version()
        opened.attrs["nm_per_pixel"] = result.survey.pixel_size_nm
        opened.attrs["patch_size"] = result.settings.patch_size
        opened.attrs["random_seed"] = result.settings.random_seed
        if result.electrons is not None:
            opened.attrs["electrons"] = result.electrons
        opened.attrs["reference"] = json.dumps(reference_as_dict(result.reference))
        for reconstruction in result.reconstructions:
            scalarizer = reconstruction.scalarizer
            group = opened.create_group(scalarizer.name, track_order=True)
            group.attrs.update(
                {
                    "label": scalarizer.label,
                    "description": scalarizer.description,
                    "circular": scalarizer.circular,
                }
            )
            if reconstruction.truth is not None:
                _write_map(group, "truth", reconstruction.truth, scalarizer.unit)
            for part in reconstruction.parts:
                own = group.create_group(f"{part.fraction:g}")
                own.attrs.update({"fraction": part.fraction, "places": part.places, "learned": part.learned})
                if part.quality is not None:
                    own.attrs.update(dataclasses.asdict(part.quality))
                for name in ("prediction", "uncertainty", "measured"):
                    _write_map(own, name, getattr(part, name), scalarizer.unit)


def _write_map(group: typing.Any, name: str, image: FloatArray, unit: str) -> None:
    group.create_dataset(name, data=image, compression="gzip").attrs["unit"] = unit
