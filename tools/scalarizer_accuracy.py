"""How right the readings are: against the truth of simulated sets, and against what counting statistics allow.

Run as `OMP_NUM_THREADS=1 python tools/scalarizer_accuracy.py FOLDER`. FOLDER holds the reference sets: HDF5 files
with noise-free `patterns_code`, `vacuum`, and either `com_full_mrad` (the first moment of all scattered electrons) or
`truth_g_layer1_invA` and `truth_g_layer2_invA` (first-order spatial frequencies).
"""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import sys
import typing

import h5py
import numpy

from dkl_ae.patterns import Patterns, Reference, find_reference
from dkl_ae.recordings import open_recording
from dkl_ae.records import DEFAULT_ELECTRONS, FloatArray
from dkl_ae.scalarizers import SCALARIZERS, ScalarizerResult, read

FULL = DEFAULT_ELECTRONS
"""Electrons of a pattern: 30 pA for 10 ms."""
COVERED = 0.9
"""Least coverage of a layer that counts as one that is there."""


def main() -> None:
    for file in sorted(pathlib.Path(sys.argv[1]).glob("*.h5")):
        recording = open_recording(file)
        height, width = recording.scan_shape
        expected = recording.counts(slice(0, height), slice(0, width), 1.0).astype(float)
        assert recording.vacuum is not None
        with h5py.File(file) as opened:
            truth = {name: opened[name][:] for name in opened if opened[name].ndim <= 3}
            described = json.loads(opened.attrs["metadata"])
        print(file.name)
        if described["convergence_mrad"] > 20:
            centre_of_mass(expected, recording.vacuum, recording.mrad_per_pixel, truth["com_full_mrad"].reshape(-1, 2))
        else:
            spacing(expected, recording.vacuum, recording.mrad_per_pixel, truth)
        recording.close()


def centre_of_mass(
    expected: FloatArray, vacuum: FloatArray, mrad_per_pixel: tuple[float, float], truth: FloatArray
) -> None:
    print("  without noise, against the first moment of all electrons")
    for mask_radius in (1.1, math.inf):
        exact = without_camera(find_reference(vacuum * FULL, mrad_per_pixel, mask=(0.0, mask_radius)))
        m = Patterns(expected * FULL, exact).moments
        for axis, whole in ((0, m.x), (1, m.y)):
            gain = numpy.polyfit(truth[:, axis], whole, 1)[0]
            error = numpy.std(whole - truth[:, axis])
            print(f"    mask {mask_radius:4.1f}  {'xy'[axis]}  gain {gain:.4f}  rms error {error:.5f} mrad")
    print("  with noise: scatter by the moment's limit, sigma by scatter, gain (x, y)")
    for camera, read_noise, offset, hot in (
        ("perfect", 0.0, 0.0, 0),
        ("1 e- read noise, offset 10, 8 hot", 1.0, 10.0, 8),
    ):
        for electrons in (1e3, 1e4, 1e5, 1e6, 1e7):
            frames = numpy.concatenate([numpy.repeat(vacuum[numpy.newaxis], 64, axis=0), expected])
            seen = exposed(frames, electrons, read_noise, offset, hot)
            reference = find_reference(seen[:64].mean(axis=0), mrad_per_pixel, exposures=64)
            exact = without_camera(dataclasses.replace(reference, bad_pixels=None, counts=1.0))
            limit, noisy = Patterns(expected, exact).moments, Patterns(seen[64:], reference).moments
            cells = []
            for true, variance, value, sigma in (
                (limit.x, limit.variance_x, noisy.x, noisy.variance_x),
                (limit.y, limit.variance_y, noisy.y, noisy.variance_y),
            ):
                off = value - true
                scatter = off.std()
                bound = math.sqrt(variance.mean() / electrons)
                gain = numpy.polyfit(true, value, 1)[0]
                uncertain = scatter / true.std() / math.sqrt(true.size)
                cells.append(
                    f"{scatter / bound:.3f} {math.sqrt(sigma.mean()) / scatter:.3f} {gain:.4f} +- {uncertain:.4f}"
                )
            print(f"    {camera:34s} {electrons:.0e}  " + "   ".join(cells))


def spacing(
    expected: FloatArray, vacuum: FloatArray, mrad_per_pixel: tuple[float, float], truth: dict[str, typing.Any]
) -> None:
    reference = without_camera(find_reference(vacuum * FULL, mrad_per_pixel))
    wavelength = 0.0448442
    mrad = [1e3 * wavelength * truth[f"truth_g_layer{layer}_invA"].ravel() for layer in (1, 2)]
    there = [truth[f"coverage_layer{layer}"].ravel() > COVERED for layer in (1, 2)]
    places = {
        "bilayer": (there[0] & there[1], (mrad[0] + mrad[1]) / 2),
        "single layer": (there[0] & (truth["coverage_layer2"].ravel() < 0.01), mrad[0]),
    }
    for electrons in (math.inf, 1e7, FULL, 1e6, 3e5, 1e5):
        dose = FULL if math.isinf(electrons) else electrons
        at_dose = dataclasses.replace(reference, counts=dose)
        for name, (chosen, true) in places.items():
            patterns = expected[chosen][::2] * dose
            if math.isfinite(electrons):
                patterns = numpy.random.default_rng(0).poisson(patterns).astype(float)
            values = spacings(patterns, at_dose)
            error = values.value / true[chosen][::2] - 1
            valid = numpy.isfinite(error)
            sigma = (values.sigma / values.value)[valid]
            print(
                f"  {name:12s} {electrons:8.2e} electrons  bias {100 * error[valid].mean():+.3f} %  scatter "
                f"{100 * error[valid].std():.3f} %  sigma {100 * numpy.median(sigma):.3f} %  "
                f"valid {100 * valid.mean():.1f} %"
            )
    for electrons in (1e4, 1e5, 1e6, FULL, 1e7):
        frames = numpy.random.default_rng(1).poisson(vacuum * electrons, (1000, *vacuum.shape)).astype(float)
        invalid = numpy.isnan(spacings(frames, dataclasses.replace(reference, counts=electrons)).value).mean()
        print(f"  vacuum       {electrons:8.2e} electrons  invalid {100 * invalid:.1f} %")


def spacings(patterns: FloatArray, reference: Reference) -> ScalarizerResult:
    return read(SCALARIZERS["bragg_spacing"], Patterns(patterns, reference))


def without_camera(reference: Reference) -> Reference:
    """The exact tails of a noise-free pattern are taken for a camera's level and noise."""
    return dataclasses.replace(reference, dark=None, read_noise=0.0)


def exposed(fractions: FloatArray, electrons: float, read_noise: float, offset: float, hot: int) -> FloatArray:
    random = numpy.random.default_rng(2)
    counts: FloatArray = random.poisson(fractions * electrons) + random.normal(offset, read_noise, fractions.shape)
    flat = counts.reshape(len(counts), -1)
    flat[:, random.choice(flat.shape[1], hot, replace=False)] = 5 * counts.max()
    return counts


if __name__ == "__main__":
    main()
