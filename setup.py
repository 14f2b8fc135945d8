"""Packaging of nionswift-dkl-ae: the Swift-free library, its command, and two Nion Swift plug-ins."""

import pathlib

from setuptools import find_packages, setup

SWIFT = [
    "nionswift>=16.16,<17",
    "nionswift-instrumentation>=23.6,<24",
    "nionswift-tool>=5.1,<6",
]
CLUSTER = ["distributed>=2024.1"]
TEST = [
    "emdfile",
    "grimp",
    "hyperspy>=2.5",
    "hypothesis",
    "import-linter",
    "mypy",
    "nionswift-usim>=5.4,<6",
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
    "rosettasciio[blockfile]",
    "ruff",
]

setup(
    name="nionswift-dkl-ae",
    version="0.1.0",
    description="Autonomous 4D-STEM in Nion Swift with deep-kernel learning",
    long_description=pathlib.Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="GPL-3.0-or-later",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    # nionswift_plugin is a namespace package shared with Nion's own plug-ins. It is listed although it
    # has no __init__.py: without it an editable install hides the plug-ins from Swift.
    packages=[
        *find_packages(include=["dkl_ae", "dkl_ae.*"]),
        "nionswift_plugin",
        "nionswift_plugin.dkl_ae_ui",
        "nionswift_plugin.dkl_ae_ui.launcher",
        "nionswift_plugin.dkl_ae_ui.review",
        "nionswift_plugin.dkl_ae_usim",
    ],
    package_data={
        "dkl_ae": ["py.typed"],
        "dkl_ae.simulation": ["lobato.csv"],
        "nionswift_plugin.dkl_ae_ui": ["manifest.json"],
        "nionswift_plugin.dkl_ae_usim": ["manifest.json"],
    },
    install_requires=[
        "ase>=3.23",
        "gpytorch>=1.14",
        "h5py>=3.10",
        "matplotlib>=3.8",
        "numpy>=2.0",
        "rosettasciio>=0.15",
        "scipy>=1.13",
        "threadpoolctl>=3.1",
        "tifffile>=2024.1",
        "torch>=2.4",
        "zarr>=2.18",
    ],
    extras_require={"swift": SWIFT, "cluster": CLUSTER, "test": [*SWIFT, *CLUSTER, *TEST]},
    entry_points={"console_scripts": ["dkl-ae = dkl_ae.commands.cli:main"]},
    classifiers=[
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Physics",
    ],
)
