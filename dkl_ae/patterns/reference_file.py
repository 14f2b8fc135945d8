"""A reference as a file: written by one run, or a vacuum pattern of your own, read by the next."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import typing
import zipfile

import numpy

from dkl_ae.patterns.geometry import Descan, DetectorGeometry
from dkl_ae.patterns.reference import Reference, find_reference
from dkl_ae.records import DEFAULT_MASK_OUTER, UserError

_ARRAYS: typing.Final = ("dark", "bad_pixels", "pattern")
_FORMAT: typing.Final = "dkl-ae reference 1"


def reference_as_dict(reference: Reference) -> dict[str, typing.Any]:
    """Everything but the arrays, as JSON takes it."""
    without_arrays = dataclasses.replace(reference, dark=None, bad_pixels=None, pattern=None)
    return {name: value for name, value in dataclasses.asdict(without_arrays).items() if name not in _ARRAYS}


def save_reference(reference: Reference, file: pathlib.Path) -> None:
    """Write a reference as a NumPy archive (.npz); raises OSError when it cannot be written."""
    arrays = {name: value for name in _ARRAYS if (value := getattr(reference, name)) is not None}
    header = json.dumps({"format": _FORMAT, **reference_as_dict(reference)})
    with file.open("wb") as stream:
        numpy.savez_compressed(stream, reference=numpy.array(header), **arrays)


def load_reference(
    file: pathlib.Path,
    mrad_per_pixel: tuple[float, float],
    counts_per_electron: float,
    geometry: DetectorGeometry | None = None,
    mask: tuple[float, float] = (0.0, DEFAULT_MASK_OUTER),
) -> Reference:
    """Read a saved reference (.npz), or find the disc in a vacuum pattern (.npy, shape (ky, kx), counts).

    The others are for a vacuum pattern, and a saved reference has its own: mask, inner and outer radius of that of the
    centre of mass, in disc radii.

    Raises UserError, one sentence, for a file that is neither.
    """
    try:
        # NumPy leaves a file open that it opened itself and cannot read.
        with file.open("rb") as stream:
            loaded = numpy.load(stream, allow_pickle=False)
            if not isinstance(loaded, numpy.ndarray):
                return _from_archive(loaded)
        if loaded.ndim != 2:
            raise UserError(f"it has {loaded.ndim} axes")
        reference = find_reference(loaded, mrad_per_pixel, counts_per_electron, mask=mask, geometry=geometry)
        return dataclasses.replace(reference, is_vacuum=True)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"The reference {file} cannot be used ({error}): choose a saved reference (.npz) or a vacuum pattern "
            "(.npy)."
        ) from error


def reference_from_dict(header: typing.Mapping[str, typing.Any], arrays: typing.Mapping[str, typing.Any]) -> Reference:
    """A reference from what `reference_as_dict` gave, and its arrays by name.

    Raises KeyError or TypeError for what is no description.
    """
    given = dict(header)
    if "rest_mrad" in given:  # its name in files of earlier versions
        given["zero_mrad"] = given.pop("rest_mrad")
    pairs = ("shape", "mrad_per_pixel", "centre", "zero_mrad", "zero_sigma_mrad")
    given |= {name: tuple(given[name]) for name in pairs if name in given}
    given["geometry"] = geometry_from_dict(given["geometry"])
    if given["descan"] is not None:
        given["descan"] = Descan(**{name: tuple(value) for name, value in given["descan"].items()})
    if given["lattice_mrad"] is not None:
        given["lattice_mrad"] = tuple(tuple(vector) for vector in given["lattice_mrad"])
    return Reference(**given, **{name: arrays[name] for name in _ARRAYS if name in arrays})


def geometry_from_dict(values: typing.Mapping[str, typing.Any]) -> DetectorGeometry:
    """A detector's geometry from its fields by name, as a reference and Swift's items store them.

    Raises TypeError for what is no description.
    """
    given = dict(values)
    if "mirrored" in given:  # its name in files of earlier versions
        given["flip_x"] = given.pop("mirrored")
    return DetectorGeometry(**given)


def _from_archive(archive: typing.Any) -> Reference:
    header = json.loads(str(archive["reference"]))
    if header.pop("format") != _FORMAT:
        raise UserError("it is of another version")
    return reference_from_dict(header, archive)
