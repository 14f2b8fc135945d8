"""Small files in the formats of others, as their own programs write them: by their writers where there are any."""

from __future__ import annotations

import io
import json
import pathlib
import shutil
import struct
import zipfile
from typing import Any

import h5py
import numpy

Array = numpy.ndarray[Any, Any]
Units = tuple[tuple[float, str], ...]
"""Scale and units of each axis."""

NM_AND_RECIPROCAL: Units = ((0.5, "Å"), (0.5, "Å"), (0.2, "1/nm"), (0.3, "1/nm"))


def hyperspy_signal(
    data: Array, units: Units, title: str = "4D", beam_energy_kev: float | None = None
) -> dict[str, Any]:
    """What writers of RosettaSciIO want of a signal."""
    axes = [
        {
            "_type": "UniformDataAxis",
            "name": f"axis {place}",
            "scale": scale,
            "offset": 0.0,
            "units": unit,
            "size": data.shape[place],
            "index_in_array": place,
            "navigate": place < data.ndim - 2,
            "is_binned": False,
        }
        for place, (scale, unit) in enumerate(units)
    ]
    metadata: dict[str, Any] = {"General": {"title": title}, "Signal": {"signal_type": ""}}
    if beam_energy_kev is not None:
        metadata["Acquisition_instrument"] = {"TEM": {"beam_energy": beam_energy_kev}}
    return {
        "data": data,
        "axes": axes,
        "metadata": metadata,
        "original_metadata": {},
        "attributes": {"_lazy": False},
        "package_info": {"package": "hyperspy", "package_version": "2.5"},
        "tmp_parameters": {},
        "models": {},
        "learning_results": {},
    }


def write_hspy(file: pathlib.Path, *signals: dict[str, Any]) -> pathlib.Path:
    """Each signal becomes a group of the file; a second one is added as HyperSpy's users do, by another file."""
    from rsciio.hspy import file_writer

    for number, signal in enumerate(signals):
        part = file.with_name(f"part-{number}.hspy")
        file_writer(str(part), signal)
        with h5py.File(part) as source, h5py.File(file, "a") as target:
            target.attrs.update(source.attrs)
            for name, group in source["Experiments"].items():
                source.copy(group, target.require_group("Experiments"), name)
    return file


def write_zspy(file: pathlib.Path, signal: dict[str, Any], *, zipped: bool = False) -> pathlib.Path:
    """HyperSpy's HDF5 layout in Zarr's second format, which it writes with a Zarr that we do not ask for."""
    import zarr

    folder = file.with_suffix(".folder") if zipped else file
    root = zarr.open_group(folder, mode="w", zarr_format=2)
    with h5py.File(write_hspy(file.with_suffix(".hspy"), signal)) as source:
        names: list[str] = []
        source.visit(names.append)
        for name in names:
            if isinstance(source[name], h5py.Dataset):
                root.create_array(name, data=source[name][()], chunks=source[name].chunks or source[name].shape)
            else:
                root.require_group(name).attrs.update({key: _plain(value) for key, value in source[name].attrs.items()})
    if zipped:
        shutil.make_archive(str(file), "zip", folder)
        file.with_name(f"{file.name}.zip").rename(file)
    return file


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, numpy.generic) else value


def write_berkeley_emd(file: pathlib.Path, signal: dict[str, Any]) -> pathlib.Path:
    from rsciio.emd import file_writer

    file_writer(str(file), signal)
    return file


def write_py4dstem(file: pathlib.Path, data: Array, units: Units, **images: Array) -> pathlib.Path:
    """The layout of py4DSTEM 0.14 (EMD 1.0): each axis by its first two places."""
    with h5py.File(file, "w") as opened:
        opened.attrs.update({"emd_group_type": "file", "version_major": 1, "version_minor": 0})
        for name, array in {"": data, **images}.items():
            group = opened.create_group(f"datacube_root/datacube/{name}")
            group.attrs["emd_group_type"] = "array"
            group["data"] = array
            for place, (scale, unit) in enumerate(units[: array.ndim]):
                group[f"dim{place}"] = [0.0, scale]
                group[f"dim{place}"].attrs["units"] = unit.replace("Å", "A").replace("1/A", "A^-1")
    return file


def write_velox(file: pathlib.Path, frames: Array, detector: str) -> pathlib.Path:
    """One detector's image, or stack of images, shape (frames, H, W), at 0.05 nm and 200 kV."""
    metadata = {
        "Core": {"MetadataDefinitionVersion": "7.9"},
        "Instrument": {},
        "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "1600000000"}},
        "Optics": {"AccelerationVoltage": "200000"},
        "Scan": {"FrameTime": "1.0"},
        "BinaryResult": {
            "PixelSize": {"width": "5e-11", "height": "5e-11"},
            "Offset": {"x": "0", "y": "0"},
            "PixelUnitX": "m",
            "PixelUnitY": "m",
            "Detector": detector,
            "DetectorIndex": "0",
        },
        "Detectors": {"Detector-0": {"DetectorName": detector}},
    }
    text = numpy.frombuffer(json.dumps(metadata).encode(), numpy.uint8)
    with h5py.File(file, "w") as opened:
        opened["Version"] = numpy.array([json.dumps({"format": "Velox", "version": "1.12"}).encode()])
        group = opened.create_group("Data/Image/0123456789abcdef0123456789abcdef")
        group.create_dataset("Data", data=numpy.moveaxis(frames, 0, -1), chunks=(*frames.shape[1:], 1))
        group["Metadata"] = numpy.repeat(text[:, numpy.newaxis], len(frames), axis=1)
    return file


def write_blockfile(file: pathlib.Path, signal: dict[str, Any]) -> pathlib.Path:
    from rsciio.blockfile import file_writer

    file_writer(str(file), signal, show_progressbar=False)
    return file


def write_merlin(file: pathlib.Path, frames: Array, **header: int) -> pathlib.Path:
    """Frames of shape (n, ky, kx), as the camera counts their rows, and the lines of the header file beside them."""
    height, width = frames.shape[1:]
    first = f"MQ1,000001,00384,01,{width:04d},{height:04d},U16,   1x1,01,2024-05-18 16:51:49.971626,0.000555,0,0,0"
    first += ",MQ1A,2024-05-18T14:51:49.971626178Z,555000ns,12,"
    with file.open("wb") as opened:
        for frame in frames:
            opened.write(first.ljust(384).encode() + frame.astype(">u2").tobytes())
    if header:
        lines = ["HDR,", *(f"{name.replace('_', ' ')}:\t{value}" for name, value in header.items()), "End\t"]
        file.with_suffix(".hdr").write_text("\n".join(lines))
    return file


def write_empad(file: pathlib.Path, frames: Array, scan_shape: tuple[int, int] | None = None) -> pathlib.Path:
    """Frames of shape (n, 128, 128), each with two more rows; and their description, of a field of view of 2 nm."""
    with file.open("wb") as opened:
        for frame in frames.astype("<f4"):
            opened.write(frame.tobytes() + numpy.zeros((2, 128), "<f4").tobytes())
    if scan_shape is not None:
        file.with_name("acquisition.xml").write_text(
            f"<root><raw_file filename='{file.name}'/><pix_x>{scan_shape[1]}</pix_x><pix_y>{scan_shape[0]}</pix_y>"
            "<iom_measurements><optics><get_full_scan_field_of_view>(2e-9, 2e-9)</get_full_scan_field_of_view></optics>"
            "<calibrated_pixelsize>3e-10</calibrated_pixelsize></iom_measurements></root>"
        )
    return file


def write_ndata(
    file: pathlib.Path, data: Array, units: Units, compression: int = zipfile.ZIP_STORED, title: str = ""
) -> pathlib.Path:
    """Swift's own file of a data item."""
    calibrations = [{"scale": scale, "offset": 0.0, "units": unit} for scale, unit in units]
    saved = io.BytesIO()
    numpy.save(saved, data)
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("data.npy", saved.getvalue())
        archive.writestr("metadata.json", json.dumps({"title": title, "dimensional_calibrations": calibrations}))
    return file


def write_dm4(file: pathlib.Path, data: Array, units: Units, voltage: float | None = None) -> pathlib.Path:
    """Tags and what they hold, the first axis fastest: Gatan's format, of which there is no public writer."""
    image = {
        "ImageData": {
            "Calibrations": {
                "Dimension": [{"Origin": 0.0, "Scale": scale, "Units": unit} for scale, unit in reversed(units)]
            },
            "Data": data,
            "DataType": 10,
            "Dimensions": list(reversed(data.shape)),
        },
        "ImageTags": {"Microscope Info": {} if voltage is None else {"Voltage": voltage}},
        "Name": "4D",
    }
    root = _dm4_group({"ImageList": [image]})
    file.write_bytes(struct.pack(">iQi", 4, len(root), 1) + root)
    return file


def _dm4_group(content: dict[str, Any] | list[Any]) -> bytes:
    named = content.items() if isinstance(content, dict) else [("", value) for value in content]
    return struct.pack(">bbQ", 1, 0, len(content)) + b"".join(_dm4_tag(name, value) for name, value in named)


def _dm4_tag(name: str, value: Any) -> bytes:
    if isinstance(value, dict | list):
        kind, body = 20, _dm4_group(value)
    else:
        match value:
            case int():
                description, raw = [5], struct.pack("<I", value)
            case float():
                description, raw = [7], struct.pack("<d", value)
            case str():
                description, raw = [20, 4, len(value)], value.encode("utf-16-le")
            case _:
                description, raw = [20, 4, value.size], value.tobytes()
        kind, body = 21, b"%%%%" + struct.pack(f">Q{len(description)}Q", len(description), *description) + raw
    return struct.pack(">bH", kind, len(name)) + name.encode() + struct.pack(">Q", len(body)) + body
