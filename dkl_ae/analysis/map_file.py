"""Scalarized maps of a recording in an HDF5 file."""

from __future__ import annotations

import contextlib
import json
import pathlib
from collections.abc import Callable, Mapping

import numpy
import numpy.typing

from dkl_ae.analysis.scalarized_maps import (
    NEIGHBOUR_SCALARIZERS,
    Executor,
    Map,
    Request,
    arm_in_pixels,
    require_some,
    scalarize_recording,
)
from dkl_ae.outputs import finished_file, new_hdf5, require_place
from dkl_ae.patterns import Reference, reference_as_dict, zero_notice
from dkl_ae.recordings import Recording, recorded_reference
from dkl_ae.records import program_version
from dkl_ae.scalarizers import ANGSTROM_PER_NM, Scalarizer


def make_maps(
    request: Request,
    file: pathlib.Path,
    spread: Executor | None,
    progress: Callable[[float], None],
    *,
    overwrite: bool = False,
) -> list[str]:
    """Scalarize a recorded set into an HDF5 file: `/<scalarizer>/{value,sigma,common_sigma}`, each (H, W) with a unit.

    overwrite: whether an earlier file may be replaced; it stays until the maps are written.

    Returns sentences on what was done.

    Raises UserError, one sentence, for what cannot be used, and for a place that is taken, and when no
    pattern gives a reading; OSError when the file cannot be written.
    """
    require_place(file, request.inputs, overwrite=overwrite)
    scalarizers = request.chosen()
    with contextlib.closing(request.open()) as recording:
        reference = recorded_reference(recording, request.reference, request.electrons)
        with finished_file(file, request.inputs, overwrite=overwrite) as unfinished:
            maps = scalarize_recording(
                recording,
                reference,
                scalarizers,
                electrons=request.electrons,
                arm_nm=request.arm_nm,
                spread=spread,
                progress=progress,
            )
            require_some(maps)
            write_maps(unfinished, request, recording, reference, scalarizers, maps)
    return [
        f"The bright-field disc is {reference.radius_mrad:.2f} mrad around pixel ({reference.centre[0]:.2f}, "
        f"{reference.centre[1]:.2f}).",
        *filter(None, [zero_notice(reference)]),
        *(
            f"{name}: undefined at {numpy.count_nonzero(numpy.isnan(found.value)):,} of {found.value.size:,} patterns, "
            f"{found.reasons.most_common(1)[0][1]:,} of them: {found.reasons.most_common(1)[0][0]}"
            for name, found in maps.items()
            if found.reasons
        ),
    ]


def write_maps(
    file: pathlib.Path,
    request: Request,
    recording: Recording,
    reference: Reference,
    scalarizers: Mapping[str, Scalarizer],
    maps: Mapping[str, Map],
) -> None:
    """Write maps, with what is needed to know how they came about."""
    with new_hdf5(file) as (opened, _):
        opened.attrs["recording"] = str(request.file.name)
        opened.attrs["program"] = program_version()
        opened.attrs["nm_per_pixel"] = recording.nm_per_pixel
        opened.attrs["reference"] = json.dumps(reference_as_dict(reference))
        if recording.is_noise_free:
            opened.attrs["electrons"] = request.electrons
        if reference.pattern is not None:
            opened["reference/pattern"] = reference.pattern
            opened["reference/pattern"].attrs["unit"] = "electrons"
        for name, found in maps.items():
            group = opened.create_group(name)
            group.attrs["label"] = scalarizers[name].label
            group.attrs["description"] = scalarizers[name].description
            group.attrs["circular"] = scalarizers[name].circular
            if name in NEIGHBOUR_SCALARIZERS:
                arm = arm_in_pixels(request.arm_nm, recording.nm_per_pixel) * recording.nm_per_pixel
                group.attrs["arm_angstrom"] = arm * ANGSTROM_PER_NM
            images = {"value": found.value, "sigma": found.sigma, "common_sigma": found.common_sigma}
            for kind, image in images.items():
                group.create_dataset(kind, data=image, compression="gzip").attrs["unit"] = scalarizers[name].unit
