"""The simulated microscope: how fast it is, and how well it agrees with independent multislice simulations.

Run as `OMP_NUM_THREADS=1 python tools/simulation.py [FOLDER]`. FOLDER holds reference sets: HDF5 files with
`patterns_code`, `com_full_mrad`, `atoms_xyz`, `atoms_z`, annular images, and their microscope in the attribute
`metadata`. A set that knows its Bragg vectors (`truth_g_vectors_layer1`) is compared by the places of its discs.
"""

from __future__ import annotations

import functools
import json
import pathlib
import statistics
import sys
import time
import typing
from collections.abc import Callable

import h5py
import numpy
import scipy.ndimage

from dkl_ae.records import DEFAULT_ELECTRONS, DEFAULT_EXPOSURE_S, FloatArray
from dkl_ae.simulation import (
    PRESETS,
    CameraGeometry,
    ImageSimulator,
    Optics,
    PatternSimulator,
    Specimen,
    VirtualColumn,
    graphene_with_silicon,
)

EDGE_PIXELS = 8
"""Left out around a set: the source blurs its deflection, and what is beyond the scan is not known."""
DISC_MRAD = 5.2
"""Radius within which a first-order disc of 5 mrad is centred."""


def main() -> None:
    print_speed()
    for file in sorted(pathlib.Path(sys.argv[1]).glob("*.h5")) if len(sys.argv) > 1 else []:
        with h5py.File(file) as opened:
            if "truth_g_vectors_layer1" in opened:
                print_discs(opened)
            else:
                print_agreement(opened)


def print_speed() -> None:
    specimen = graphene_with_silicon(20.0)
    print(f"A field of 20 nm, {len(specimen.atomic_numbers)} atoms, one thread; medians of 20, the first call beside")
    for pixels, mrad in ((64, 2.5), (128, 1.25), (256, 0.625)):
        simulator = PatternSimulator(specimen, geometry=CameraGeometry(pixels, mrad))
        report(f"pattern {pixels} x {pixels}", lambda: simulator.pattern(9.3, 8.1))  # noqa: B023
    places = (numpy.arange(512) + 0.5) * 20 / 512
    fresh = (ImageSimulator(specimen) for _ in iter(int, 1))
    report("HAADF 512 x 512, everything anew", lambda: next(fresh).image("HAADF", places[:, None], places), 5)
    images = ImageSimulator(specimen)
    report("HAADF 512 x 512, again", lambda: images.image("HAADF", places[:, None], places))
    y, x = numpy.meshgrid(places, places, indexing="ij")
    column = VirtualColumn(specimen)
    report("HAADF 512 x 512, counted", lambda: column.scan("HAADF", y, x, 1e4, 1e-5))
    for preset in PRESETS.values():
        column = VirtualColumn(preset.make(0), preset.optics, preset.geometry)
        expose = functools.partial(column.expose, 2.0, 2.0, DEFAULT_ELECTRONS, DEFAULT_EXPOSURE_S)
        report(f"a counted frame of {preset.name}", expose)


def report(name: str, call: Callable[[], object], times: int = 20) -> None:
    seconds = []
    for _ in range(times + 1):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    print(f"  {name:40} {1e3 * statistics.median(seconds[1:]):8.2f} ms {1e3 * seconds[0]:9.1f} ms")


def microscope_of(opened: typing.Any) -> tuple[Specimen, Optics, CameraGeometry, dict[str, typing.Any], FloatArray]:
    """The set's atoms and settings, and the scan's places in nm along each side."""
    known = json.loads(opened.attrs["metadata"])
    side = len(opened["com_full_mrad"])
    step = known["scan_step_A"] / 10
    specimen = Specimen(
        known["name"], numpy.array(opened["atoms_xyz"], float), numpy.array(opened["atoms_z"], int), side * step
    )
    optics = Optics(
        high_tension_v=1e3 * known["keV"],
        convergence_mrad=known["convergence_mrad"],
        source_sigma_angstrom=known["source_sigma_A"],
        haadf_mrad=tuple(known.get("haadf_mrad", (58.0, 200.0))),
    )
    pixels, mrad = opened["patterns_code"].shape[-1], round(known["detector_mrad_per_px"], 4)
    offset_y, offset_x = ((centre - (pixels - 1) / 2) * mrad for centre in known["beam_centre_px_yx"])
    geometry = CameraGeometry(pixels, mrad, offset_mrad=(offset_y, offset_x))
    return specimen, optics, geometry, known, numpy.arange(side) * step


def print_agreement(opened: typing.Any) -> None:
    specimen, optics, geometry, known, places = microscope_of(opened)
    truth = numpy.array(opened["com_full_mrad"], float)[..., ::-1]
    blur = known["source_sigma_A"] / known["scan_step_A"]
    inner = slice(EDGE_PIXELS, -EDGE_PIXELS)
    print(f"{known['name']}: correlation and scale of CoM x, CoM y, |CoM|")
    images = ImageSimulator(specimen, optics)
    ways: dict[str, Callable[[], FloatArray]] = {
        "without patterns (Ehrenfest)": lambda: images.deflection(places[:, None], places),
        "phase object": lambda: PatternSimulator(specimen, optics, geometry, slice_angstrom=0).com_map(places, places),
        "multislice, 3 angstrom": lambda: PatternSimulator(specimen, optics, geometry, slice_angstrom=3).com_map(
            places, places
        ),
    }
    for name, compute in ways.items():
        seen = scipy.ndimage.gaussian_filter(compute(), (blur, blur, 0))[inner, inner]
        pairs = [(seen[..., axis], truth[inner, inner, axis]) for axis in (1, 0)]
        pairs.append((numpy.linalg.norm(seen, axis=-1), numpy.linalg.norm(truth[inner, inner], axis=-1)))
        print(f"  {name:30} " + "   ".join(f"{correlation(*pair):.4f} x {scale(*pair):.3f}" for pair in pairs))
    for name in ("haadf", "maadf"):
        inner_mrad, outer_mrad = known[f"{name}_mrad"]
        image = images.annular(inner_mrad, outer_mrad, places[:, None], places)
        stored = numpy.array(opened[name], float)
        print(f"  {name.upper():30} {correlation(image, stored):.4f} x {scale(image, stored):.3f}")


def print_discs(opened: typing.Any) -> None:
    specimen, optics, geometry, known, places = microscope_of(opened)
    stored, root_scale = opened["patterns_code"], opened["patterns_code"].attrs["scale"]
    print(f"{known['name']}: distance of first-order discs from those of the reference, in mrad")
    for name, thickness in (("phase object", 0.0), ("multislice, 3 angstrom", 3.0)):
        simulator = PatternSimulator(specimen, optics, geometry, slice_angstrom=thickness)
        apart: list[float] = []
        moved: list[FloatArray] = []
        for row in range(2, len(places), 6):
            for column in range(2, len(places), 6):
                ours = simulator.pattern(places[row], places[column])
                theirs = (numpy.array(stored[row, column], float) * root_scale) ** 2
                for layer in (1, 2):
                    coverage = opened[f"coverage_layer{layer}"]
                    if coverage[row, column] < 0.95 * numpy.max(coverage):
                        continue
                    for g in opened[f"truth_g_vectors_layer{layer}"][row, column]:
                        expected = g[::-1] * optics.wavelength_angstrom * 1e3
                        here, there = (disc_place(pattern, geometry, expected) for pattern in (ours, theirs))
                        apart.append(float(numpy.linalg.norm(here - there)))
                        moved.append(here - there)
        bias = numpy.linalg.norm(numpy.mean(moved, axis=0))
        print(
            f"  {name:30} median {statistics.median(apart):.3f}, 95 % {numpy.quantile(apart, 0.95):.3f}, "
            f"within 0.1 mrad {100 * numpy.mean(numpy.array(apart) < 0.1):.1f} %, largest {max(apart):.3f}, "
            f"bias {bias:.4f} ({len(apart)} discs)"
        )


def disc_place(pattern: FloatArray, geometry: CameraGeometry, expected: FloatArray) -> FloatArray:
    """Centroid (y, x) in mrad within a disc's radius of itself, from an expected place."""
    y, x = (
        (index - centre) * geometry.mrad_per_pixel
        for index, centre in zip(numpy.indices(pattern.shape), geometry.centre_pixels, strict=True)
    )
    place = numpy.array(expected, float)
    for _ in range(10):
        weight = pattern * numpy.clip(DISC_MRAD - numpy.hypot(y - place[0], x - place[1]) + 0.5, 0, 1)
        place = numpy.array([(weight * y).sum(), (weight * x).sum()]) / weight.sum()
    return place


def correlation(one: FloatArray, other: FloatArray) -> float:
    return float(numpy.corrcoef(one.ravel(), other.ravel())[0, 1])


def scale(seen: FloatArray, truth: FloatArray) -> float:
    """The factor by which the truth fits what is seen best."""
    return float((seen * truth).sum() / (truth * truth).sum())


if __name__ == "__main__":
    main()
