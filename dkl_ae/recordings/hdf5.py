"""Arrays in HDF5 and Zarr files: of HyperSpy, of py4DSTEM and other writers of EMD, of Swift, of this project."""

from __future__ import annotations

import contextlib
import json
import math
import pathlib
import typing
import zipfile
from collections.abc import Mapping

import numpy

from dkl_ae.recordings.arrays import Axis, KeptChunk, StoredArray, is_image_or_more

_CHUNK_CACHE_BYTES: typing.Final = 2**27
"""Holds a chunk of what is compressed: neighbouring patterns mostly share it."""


def read_hdf5(file: pathlib.Path, closing: contextlib.ExitStack) -> list[StoredArray]:
    """All arrays of two to four axes. closing: what closes the file."""
    import h5py

    opened = closing.enter_context(h5py.File(file, "r", rdcc_nbytes=_CHUNK_CACHE_BYTES))
    found: list[StoredArray] = []

    def visit(_: str, item: typing.Any) -> None:
        if isinstance(item, h5py.Dataset) and is_image_or_more(item):
            found.append(_described(opened, item))

    opened.visititems(visit)
    return found


def read_zarr(file: pathlib.Path, closing: contextlib.ExitStack) -> list[StoredArray]:
    """The arrays of a HyperSpy file in Zarr's format, a folder or a zip archive."""
    import zarr

    store: typing.Any = str(file)
    if zipfile.is_zipfile(file):
        store = zarr.storage.ZipStore(file, mode="r")
        closing.callback(store.close)
    experiments: typing.Any = zarr.open_group(store, mode="r")["Experiments"]
    return [
        _of_hyperspy(name, group, KeptChunk(group["data"]))
        for name, group in experiments.groups()
        if is_image_or_more(group["data"])
    ]


def axes_of_swift(properties: Mapping[str, typing.Any]) -> tuple[Axis, ...]:
    """From what Swift writes beside the data, of a library or exported, or none."""
    for name in ("dimensional_calibrations", "spatial_calibrations"):
        if name in properties:
            return tuple(Axis(float(axis["scale"]), axis["units"]) for axis in properties[name])
    return ()


def _described(opened: typing.Any, dataset: typing.Any) -> StoredArray:
    group = dataset.parent
    name, group_name = (path.rsplit("/", 1)[-1] for path in (dataset.name, group.name))
    axes: tuple[Axis, ...] = ()
    with contextlib.suppress(KeyError, ValueError, TypeError):
        if "axis-0" in group:
            return _of_hyperspy(group_name, group, dataset)
        if "dim0" in group or "dim1" in group:
            # HyperSpy, which alone names its group like this, writes the transposed array.
            return StoredArray(group_name, dataset, _axes_of_emd(group, dataset), group.name.startswith("/signals/"))
        if "properties" in dataset.attrs:
            axes = axes_of_swift(json.loads(dataset.attrs["properties"]))
        elif dataset.ndim == 4 and "metadata" in opened.attrs:
            axes = _axes_of_this_project(json.loads(opened.attrs["metadata"]))
    scale = dataset.attrs.get("scale")
    return StoredArray(name, dataset, axes, square_root_scale=None if scale is None else float(scale))


def _of_hyperspy(name: str, group: typing.Any, data: typing.Any) -> StoredArray:
    described = [group[f"axis-{number}"].attrs for number in range(len(data.shape))]
    axes = (
        Axis(float(axis.get("scale", math.nan)), _text(axis["units"]), bool(axis["navigate"])) for axis in described
    )
    energy = math.nan
    with contextlib.suppress(KeyError):
        energy = float(group["metadata/Acquisition_instrument/TEM"].attrs["beam_energy"])
    return StoredArray(name, data, tuple(axes), beam_energy_kev=energy)


def _axes_of_emd(group: typing.Any, dataset: typing.Any) -> tuple[Axis, ...]:
    first = 0 if "dim0" in group else 1
    axes = []
    for number in range(first, first + dataset.ndim):
        places = group[f"dim{number}"]
        step = float(places[1] - places[0]) if len(places) > 1 else math.nan
        axes.append(Axis(step, _text(places.attrs.get("units", ""))))
    return tuple(axes)


def _axes_of_this_project(described: Mapping[str, typing.Any]) -> tuple[Axis, ...]:
    scan, detector = Axis(float(described["scan_step_A"]), "A"), Axis(float(described["detector_mrad_per_px"]), "mrad")
    return scan, scan, detector, detector


def _text(value: typing.Any) -> str:
    return value.decode() if isinstance(value, bytes | numpy.bytes_) else str(value)
