"""Recorded 4D-STEM sets are opened as they are, or refused in one sentence."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import h5py
import numpy
import pytest

from dkl_ae.recordings import Recording, open_recording

PATTERNS = numpy.random.default_rng(0).integers(0, 1000, (4, 5, 6, 8)).astype(numpy.uint16)
SURVEY = numpy.arange(20.0).reshape(4, 5)


def hdf5(file: pathlib.Path, attributes: dict[str, Any] | None = None, **datasets: numpy.ndarray) -> pathlib.Path:
    with h5py.File(file, "w") as opened:
        for name, array in datasets.items():
            opened[name] = array
        opened.attrs.update(attributes or {})
    return file


def test_a_set_of_this_project(tmp_path: pathlib.Path) -> None:
    """Noise-free fractions of the beam, stored as square roots."""
    described = {"metadata": json.dumps({"scan_step_A": 0.2, "detector_mrad_per_px": 2.5})}
    file = hdf5(tmp_path / "set.h5", described, patterns_code=PATTERNS, haadf=SURVEY, vacuum=SURVEY[:3])
    with h5py.File(file, "a") as opened:
        opened["patterns_code"].attrs["scale"] = 1e-3
    recording = open_recording(file)
    assert recording.is_noise_free
    assert recording.nm_per_pixel == pytest.approx(0.02)
    assert recording.mrad_per_pixel == (2.5, 2.5)
    numpy.testing.assert_array_equal(recording.survey, SURVEY)
    numpy.testing.assert_allclose(recording.pattern(1, 2), (PATTERNS[1, 2] * 1e-3) ** 2)
    recording.close()


def test_a_file_of_swift(tmp_path: pathlib.Path) -> None:
    calibrations = [{"scale": scale, "offset": 0.0, "units": units} for scale, units in
                    ((0.05, "nm"), (0.05, "nm"), (0.002, "rad"), (0.003, "rad"))]  # fmt: skip
    file = hdf5(tmp_path / "data.h5", data=PATTERNS)
    with h5py.File(file, "a") as opened:
        opened["data"].attrs["properties"] = json.dumps({"dimensional_calibrations": calibrations})
    numpy.save(tmp_path / "survey.npy", SURVEY)
    recording = open_recording(file, tmp_path / "survey.npy")
    assert not recording.is_noise_free
    assert recording.nm_per_pixel == pytest.approx(0.05)
    assert recording.mrad_per_pixel == pytest.approx((2.0, 3.0))
    numpy.testing.assert_array_equal(recording.pattern(3, 4), PATTERNS[3, 4])
    recording.close()


def test_numpy_arrays_with_given_calibrations(tmp_path: pathlib.Path) -> None:
    numpy.save(tmp_path / "patterns.npy", PATTERNS)
    survey = hdf5(tmp_path / "survey.h5", image=SURVEY)
    recording = open_recording(tmp_path / "patterns.npy", survey, nm_per_pixel=0.1, mrad_per_pixel=1.5)
    assert isinstance(recording.stored_patterns.stored, numpy.memmap)
    assert (recording.scan_shape, recording.detector_shape) == ((4, 5), (6, 8))
    numpy.testing.assert_array_equal(recording.pattern(0, 0), PATTERNS[0, 0])
    numpy.testing.assert_array_equal(recording.survey, SURVEY)
    recording.close()


def test_the_patterns_are_the_largest_array_and_the_survey_is_known_by_name_and_shape(tmp_path: pathlib.Path) -> None:
    file = hdf5(
        tmp_path / "many.h5",
        **{"a/small": PATTERNS[:2, :2], "b/patterns": PATTERNS, "c/Survey": SURVEY[:2], "d/ADF": SURVEY, "z": SURVEY},
    )
    recording = open_recording(file, nm_per_pixel=0.1, mrad_per_pixel=1.5)
    assert recording.scan_shape == (4, 5)
    numpy.testing.assert_array_equal(recording.survey, SURVEY)
    recording.close()


def text(file: pathlib.Path) -> pathlib.Path:
    file.write_text("not data")
    return file


def saved(file: pathlib.Path, array: numpy.ndarray) -> pathlib.Path:
    numpy.save(file, array)
    return file


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda d: open_recording(d / "none.h5"), r"no file .*none.h5"),
        (lambda d: open_recording(d / "none.npy"), r"no file .*none.npy"),
        (lambda d: open_recording(text(d / "text.h5")), r"text.h5 cannot be read as HDF5"),
        (lambda d: open_recording(text(d / "text.npy")), r"text.npy cannot be read as NumPy"),
        (lambda d: open_recording(hdf5(d / "flat.h5", haadf=SURVEY)), r"flat.h5 has no four-dimensional array"),
        (lambda d: open_recording(hdf5(d / "alone.h5", p=PATTERNS)), r"alone.h5 has no survey of its scan, 4 x 5"),
        (lambda d: open_recording(hdf5(d / "bare.h5", p=PATTERNS, haadf=SURVEY)), r"size of a scan pixel in nm"),
        (
            lambda d: open_recording(hdf5(d / "half.h5", p=PATTERNS, haadf=SURVEY), nm_per_pixel=0.1),
            r"size of a detector pixel in mrad",
        ),
        (
            lambda d: open_recording(
                hdf5(d / "p.h5", p=PATTERNS), saved(d / "s.npy", SURVEY[:3]), nm_per_pixel=0.1, mrad_per_pixel=1.0
            ),
            r"survey of p.h5 has the shape \(3, 5\) but its scan \(4, 5\)",
        ),
        (
            lambda d: open_recording(hdf5(d / "p.h5", p=PATTERNS), saved(d / "s.npy", PATTERNS)),
            r"s.npy has 4 axes",
        ),
        (
            lambda d: open_recording(hdf5(d / "p.h5", p=PATTERNS), hdf5(d / "s.h5", a=SURVEY, b=SURVEY)),
            r"s.h5 has no image named survey, haadf",
        ),
        (lambda d: open_recording(saved(d / "4d.npy", PATTERNS[:, :0]), require_survey=False,
                                  nm_per_pixel=0.1, mrad_per_pixel=1.0), r"have the shape \(4, 0, 6, 8\)"),
        (lambda d: dataclasses.replace(Recording("r", PATTERNS, SURVEY, 0.1, (1.0, 1.0)), nm_per_pixel=-1.0),
         r"scan pixel of r is -1"),
    ],
)  # fmt: skip
def test_errors_are_one_sentence_with_the_value(attempt, message, tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message) as caught:
        attempt(tmp_path)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
