"""Which program computed, in which version, with which libraries."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import platform

_PACKAGE = "nionswift-dkl-ae"
_LIBRARIES = ("numpy", "scipy", "torch", "gpytorch", "h5py", "nionswift")


def program_version() -> str:
    """This program and its version, for the files that it writes."""
    return f"dkl-ae {importlib.metadata.version(_PACKAGE)}"


def software_versions() -> dict[str, str]:
    """Versions of this program, its libraries, Python and the operating system; what is not installed is left out."""
    versions = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for package in (_PACKAGE, *_LIBRARIES):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = _installed(package)
    return versions


@functools.cache
def _installed(package: str) -> str:
    """Finding out takes as long as measuring a point."""
    return importlib.metadata.version(package)
