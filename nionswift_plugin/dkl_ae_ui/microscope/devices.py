"""The microscopes that Swift knows, each with its own scan and cameras."""

from __future__ import annotations

import dataclasses
import typing

from nion.instrumentation import camera_base, scan_base, stem_controller
from nion.utils import Registry


@dataclasses.dataclass(frozen=True)
class Microscope:
    """One instrument with its own scan and camera, as the user chose them."""

    stem: stem_controller.STEMController
    scan: typing.Any
    """A scan hardware source; its declared protocol lacks methods that every one has."""
    camera: camera_base.CameraHardwareSource


def instruments() -> list[stem_controller.STEMController]:
    """Every registered microscope, the one that Swift prefers first."""
    return sorted(
        typing.cast(
            list[stem_controller.STEMController],
            list(Registry.get_components_by_type("stem_controller")),
        ),
        key=lambda stem: (-getattr(stem, "priority", 50), identifier(stem)),
    )


def identifier(stem: stem_controller.STEMController) -> str:
    """The id under which an instrument is registered; Swift's base class does not declare it."""
    return str(getattr(stem, "instrument_id", ""))


def scan_of(stem: stem_controller.STEMController) -> scan_base.ScanHardwareSource | None:
    """The scan of an instrument; Swift's own default may belong to another one."""
    for source in Registry.get_components_by_type("scan_hardware_source"):
        scan = typing.cast(scan_base.ScanHardwareSource, source)
        if getattr(scan, "stem_controller", None) is stem:
            return scan
    return None


def cameras_of(stem: stem_controller.STEMController) -> list[camera_base.CameraHardwareSource]:
    """The cameras of an instrument that may record patterns, its ronchigram cameras first.

    A camera module that names no instrument serves every one.
    """
    found = []
    for module in Registry.get_components_by_type("camera_module"):
        owner = getattr(module, "instrument_controller_id", None) or getattr(module, "stem_controller_id", None)
        camera = getattr(module, "hardware_source", None)
        if camera is not None and owner in (None, identifier(stem)):
            found.append(typing.cast(camera_base.CameraHardwareSource, camera))
    return sorted(
        found,
        key=lambda c: (not c.features.get("is_ronchigram_camera", False), c.display_name),
    )
