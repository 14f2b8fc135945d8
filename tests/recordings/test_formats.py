"""Recorded sets in the formats of others are opened as they were written, read in parts, or refused in one sentence."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import numpy
import pytest

from dkl_ae.recordings import Recording, open_recording
from dkl_ae.recordings.arrays import Axis, KeptChunk, StoredPatterns
from tests.support import file_writers as writers
from tests.support.file_writers import hyperspy_signal

PATTERNS = numpy.random.default_rng(0).integers(0, 1000, (4, 5, 6, 8)).astype(numpy.uint16)
SMALL = numpy.random.default_rng(1).integers(0, 256, (4, 5, 6, 6)).astype(numpy.uint8)
EMPAD = numpy.random.default_rng(2).normal(size=(2, 2, 128, 128)).astype(numpy.float32)
STACK = PATTERNS.reshape(20, 6, 8)
SURVEY = numpy.arange(20, dtype=numpy.uint16).reshape(4, 5)

RECIPROCAL = ((0.5, "Å"), (0.5, "Å"), (0.2, "1/nm"), (0.3, "1/nm"))
ANGLES = ((0.05, "nm"), (0.05, "nm"), (0.002, "rad"), (3.0, "mrad"))
SCREEN = ((0.05, "nm"), (0.05, "nm"), (1.0, "cm"), (1.0, "cm"))
AT_100_KEV = (0.74029, 1.11043)
"""mrad of 0.2 and 0.3 1/nm: 100 keV electrons have a wavelength of 0.0370144 angstrom."""
MRAD = (2.0, 3.0)
GIVEN = {"nm_per_pixel": 0.05, "mrad_per_pixel": 2.5}


@dataclasses.dataclass(frozen=True)
class Case:
    """A file in some format, and what is known of it."""

    write: Callable[[pathlib.Path], pathlib.Path]
    """In a folder; returns the file."""
    mrad_per_pixel: tuple[float, float]
    patterns: numpy.ndarray[Any, Any] = dataclasses.field(default_factory=lambda: PATTERNS)
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What the file does not tell."""


def saved(file: pathlib.Path, array: numpy.ndarray[Any, Any]) -> pathlib.Path:
    numpy.save(file, array)
    return file


SIGNAL = functools.partial(hyperspy_signal, PATTERNS, RECIPROCAL)
HYBRID = PATTERNS.transpose(2, 3, 0, 1).copy()
"""As older versions of Gatan's program store a scan: the scan's axes are the fast ones."""
CASES = {
    "hspy": Case(lambda d: writers.write_hspy(d / "a.hspy", SIGNAL(beam_energy_kev=100.0)), AT_100_KEV),
    "zspy": Case(lambda d: writers.write_zspy(d / "a.zspy", SIGNAL(beam_energy_kev=100.0)), AT_100_KEV),
    "zspy, zipped": Case(
        lambda d: writers.write_zspy(d / "a.zspy", SIGNAL(beam_energy_kev=100.0), zipped=True), AT_100_KEV
    ),
    "emd of HyperSpy": Case(
        lambda d: writers.write_berkeley_emd(d / "a.emd", SIGNAL()), AT_100_KEV, options={"beam_energy_kev": 100.0}
    ),
    "emd of py4DSTEM": Case(
        lambda d: writers.write_py4dstem(d / "a.h5", PATTERNS, ((0.5, "A"), (0.5, "A"), (0.02, "1/A"), (0.03, "1/A"))),
        AT_100_KEV,
        options={"beam_energy_kev": 100.0},
    ),
    "emd of Velox": Case(
        lambda d: writers.write_velox(d / "a.emd", STACK, "Ceta"), (2.5, 2.5), options={**GIVEN, "scan_shape": (4, 5)}
    ),
    "dm4": Case(lambda d: writers.write_dm4(d / "a.dm4", PATTERNS, RECIPROCAL, 100e3), AT_100_KEV),
    "dm4, the scan fast": Case(
        lambda d: writers.write_dm4(d / "a.DM4", HYBRID, RECIPROCAL[2:] + RECIPROCAL[:2], 100e3), AT_100_KEV
    ),
    "dm4, a stack": Case(
        lambda d: writers.write_dm4(d / "a.dm4", STACK, ((1.0, ""), *ANGLES[2:])),
        MRAD,
        options={"scan_shape": (4, 5), "nm_per_pixel": 0.05},
    ),
    "mib": Case(
        lambda d: writers.write_merlin(d / "a.mib", STACK[:, ::-1], ScanX=5, ScanY=4), (2.5, 2.5), options=GIVEN
    ),
    "mib, with its lines": Case(
        lambda d: writers.write_merlin(
            d / "a.mib",
            STACK[:, ::-1],
            **{"Frames in Acquisition (Number)": 20, "Frames per Trigger (Number)": 5},
        ),
        (2.5, 2.5),
        options=GIVEN,
    ),
    "mib alone": Case(
        lambda d: writers.write_merlin(d / "a.mib", STACK[:, ::-1]), (2.5, 2.5), options={**GIVEN, "scan_shape": (4, 5)}
    ),
    "EMPAD": Case(
        lambda d: writers.write_empad(d / "scan.raw", EMPAD.reshape(-1, 128, 128), (2, 2)),
        (AT_100_KEV[1], AT_100_KEV[1]),
        EMPAD,
        {"beam_energy_kev": 100.0, "nm_per_pixel": 0.05},
    ),
    "EMPAD by its description": Case(
        lambda d: writers.write_empad(d / "scan.raw", EMPAD.reshape(-1, 128, 128), (2, 2)).with_name("acquisition.xml"),
        (AT_100_KEV[1], AT_100_KEV[1]),
        EMPAD,
        {"beam_energy_kev": 100.0, "nm_per_pixel": 0.05},
    ),
    "EMPAD alone": Case(
        lambda d: writers.write_empad(d / "scan_x2_y2.raw", EMPAD.reshape(-1, 128, 128)), (2.5, 2.5), EMPAD, GIVEN
    ),
    "blo": Case(
        lambda d: writers.write_blockfile(d / "a.blo", hyperspy_signal(SMALL, SCREEN)),
        (2.5, 2.5),
        SMALL,
        {"mrad_per_pixel": 2.5},
    ),
    "ndata": Case(lambda d: writers.write_ndata(d / "a.ndata", PATTERNS, ANGLES), MRAD),
    "ndata, compressed": Case(
        lambda d: writers.write_ndata(d / "a.ndata", PATTERNS, ANGLES, zipfile.ZIP_DEFLATED), MRAD
    ),
    "npy": Case(lambda d: saved(d / "a.npy", PATTERNS), (2.5, 2.5), options=GIVEN),
    "npy, a stack": Case(lambda d: saved(d / "a.npy", STACK), (2.5, 2.5), options={**GIVEN, "scan_shape": (4, 5)}),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def test_a_set_is_what_was_written(case: Case, tmp_path: pathlib.Path) -> None:
    recording = open_recording(case.write(tmp_path), require_survey=False, **case.options)
    assert (*recording.scan_shape, *recording.detector_shape) == case.patterns.shape
    numpy.testing.assert_array_equal(recording.pattern(1, 0), case.patterns[1, 0])
    part = case.patterns[1:3, 1:4]
    numpy.testing.assert_array_equal(recording.counts(slice(1, 3), slice(1, 4), 1.0), part.reshape(-1, *part.shape[2:]))
    numpy.testing.assert_array_equal(recording.stored_patterns[:, :], case.patterns)
    assert recording.nm_per_pixel == pytest.approx(0.05)
    assert recording.mrad_per_pixel == pytest.approx(case.mrad_per_pixel, rel=1e-4)
    recording.close()


def test_nothing_is_in_memory_before_it_is_asked_for(case: Case, tmp_path: pathlib.Path) -> None:
    """Memory maps, or arrays that know where they are stored."""
    recording = open_recording(case.write(tmp_path), require_survey=False, **case.options)
    stored = recording.stored_patterns.stored
    assert type(stored) is not numpy.ndarray
    assert isinstance(stored, numpy.memmap | h5py.Dataset | KeptChunk) or hasattr(stored, "dask")
    recording.close()


@pytest.mark.parametrize("damage", ["text", "cut"])
def test_a_damaged_file_is_refused_in_one_sentence(case: Case, damage: str, tmp_path: pathlib.Path) -> None:
    file = case.write(tmp_path)
    if file.is_dir():
        (file,) = (file / "Experiments/4D/data").glob("[0-9]*")
    elif file.suffix == ".xml":
        file = file.with_name("scan.raw")
    content = file.read_bytes()
    file.write_bytes(b"not what it says it is" if damage == "text" else content[: 2 * len(content) // 3])
    opened = tmp_path / "a.zspy" if "data" in file.parts else file
    with pytest.raises(ValueError, match=file.name if opened == file else "a.zspy") as caught:
        open_recording(opened, require_survey=False, **case.options)
    assert_one_sentence(caught.value)


def assert_one_sentence(error: BaseException) -> None:
    assert str(error).endswith(".")
    assert ": " in str(error)
    assert ". " not in str(error)
    assert "\n" not in str(error)


IMAGES: dict[str, Callable[[pathlib.Path], pathlib.Path]] = {
    "hspy": lambda d: writers.write_hspy(d / "s.hspy", hyperspy_signal(SURVEY, RECIPROCAL[:2], "HAADF")),
    "zspy": lambda d: writers.write_zspy(d / "s.zspy", hyperspy_signal(SURVEY, RECIPROCAL[:2], "HAADF")),
    "Berkeley": lambda d: writers.write_berkeley_emd(d / "s.emd", hyperspy_signal(SURVEY, RECIPROCAL[:2], "HAADF")),
    "Velox": lambda d: writers.write_velox(d / "s.emd", SURVEY[numpy.newaxis], "HAADF"),
    "py4DSTEM": lambda d: writers.write_py4dstem(d / "s.h5", PATTERNS, RECIPROCAL, dark_field=SURVEY, dp_mean=SURVEY.T),
    "dm4": lambda d: writers.write_dm4(d / "s.dm4", SURVEY, RECIPROCAL[:2]),
    "ndata": lambda d: writers.write_ndata(d / "s.ndata", SURVEY, ANGLES[:2], title="any"),
    "npy": lambda d: saved(d / "s.npy", SURVEY),
}


@pytest.mark.parametrize("write", IMAGES.values(), ids=IMAGES.keys())
def test_the_survey_may_be_in_another_file_of_any_format(write, tmp_path) -> None:  # type: ignore[no-untyped-def]
    recording = open_recording(saved(tmp_path / "p.npy", PATTERNS), write(tmp_path), **GIVEN)
    numpy.testing.assert_array_equal(recording.survey, SURVEY)
    recording.close()


def test_the_survey_may_be_in_the_same_file(tmp_path: pathlib.Path) -> None:
    haadf = hyperspy_signal(SURVEY, RECIPROCAL[:2], "HAADF 1")
    other = hyperspy_signal(SURVEY.T.copy(), RECIPROCAL[:2], "Survey of another scan")
    written = writers.write_hspy(tmp_path / "a.hspy", other, haadf, SIGNAL(beam_energy_kev=100.0))
    py4dstem = writers.write_py4dstem(tmp_path / "a.h5", PATTERNS, RECIPROCAL, annular_dark_field=SURVEY)
    for file in (written, py4dstem):
        recording = open_recording(file, beam_energy_kev=100.0)
        numpy.testing.assert_array_equal(recording.survey, SURVEY)
        recording.close()


@pytest.mark.parametrize(
    ("units", "nm"),
    [("nm", 0.5), ("um", 500), ("µm", 500), ("\u03bcm", 500), ("A", 0.05), ("Å", 0.05), ("\u212b", 0.05),
     ("[n_m]", 0.5), ("pm", 5e-4), ("m", 5e8), ("", numpy.nan), ("px", numpy.nan), ("mrad", numpy.nan)],
)  # fmt: skip
def test_units_of_length(units: str, nm: float) -> None:
    assert Axis(-0.5, units).nm == pytest.approx(nm, nan_ok=True)


@pytest.mark.parametrize(
    ("units", "mrad"),
    [("mrad", 0.5), ("rad", 500), ("1/Å", 12.54), ("1/A", 12.54), ("A^-1", 12.54), ("Å⁻¹", 12.54), ("1 / nm", 1.254),
     ("nm^-1", 1.254), ("nm-1", 1.254), ("nm**-1", 1.254), ("[1_/_n_m]", 1.254), ("nm", numpy.nan), ("px", numpy.nan)],
)  # fmt: skip
def test_units_of_angle(units: str, mrad: float) -> None:
    """The wavelength of 200 keV electrons is 0.02508 angstrom: Kirkland, Advanced Computing in Electron Microscopy."""
    assert Axis(-0.5, units).mrad(200.0) == pytest.approx(mrad, rel=1e-3, nan_ok=True)


def opened(file: pathlib.Path, **options: Any) -> Recording:
    return open_recording(file, require_survey=False, **options)


def test_what_is_given_goes_before_what_the_file_tells(tmp_path: pathlib.Path) -> None:
    file = writers.write_hspy(tmp_path / "a.hspy", SIGNAL(beam_energy_kev=100.0))
    with_energy, with_sizes = opened(file, beam_energy_kev=200.0), opened(file, nm_per_pixel=1.0, mrad_per_pixel=3.0)
    assert with_energy.mrad_per_pixel == pytest.approx((0.5016, 0.7524), rel=1e-3)
    assert (with_sizes.nm_per_pixel, with_sizes.mrad_per_pixel) == (1.0, (3.0, 3.0))
    for recording in (with_energy, with_sizes):
        recording.close()


def test_a_header_that_is_wrong_can_be_overruled(tmp_path: pathlib.Path) -> None:
    file = writers.write_merlin(tmp_path / "a.mib", STACK, ScanX=20, ScanY=1)
    assert opened(file, **GIVEN, scan_shape=(4, 5)).scan_shape == (4, 5)


OBLONG = ((0.5, "nm"), (0.4, "nm"), (1.0, "mrad"), (1.0, "mrad"))


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (
            lambda d: opened(saved(d / "a.npy", STACK), **GIVEN),
            r"a.npy is a stack of 20 patterns and does not tell the shape .* give it \(--scan-shape ROWS COLUMNS\)",
        ),
        (
            lambda d: opened(saved(d / "a.npy", STACK), **GIVEN, scan_shape=(3, 5)),
            r"a.npy has 20 patterns but its scan 3 x 5 pixels: give a shape of as many",
        ),
        (lambda d: opened(saved(d / "a.npy", STACK), **GIVEN, scan_shape=(-4, -5)), r"its scan -4 x -5 pixels"),
        (
            lambda d: opened(writers.write_merlin(d / "a.mib", STACK[:18], ScanX=5, ScanY=4), **GIVEN),
            r"a.mib has 18 patterns but its scan 4 x 5 pixels",
        ),
        (
            lambda d: opened(saved(d / "a.npy", PATTERNS), **GIVEN, scan_shape=(5, 4)),
            r"The scan of a.npy is 4 x 5 pixels, not 5 x 4: leave the scan shape out",
        ),
        (
            lambda d: opened(writers.write_berkeley_emd(d / "a.emd", SIGNAL())),
            r"a.emd tells the size of a detector pixel in \[1_/_n_m\] but no beam energy in keV: give it "
            r"\(--beam-energy-kev\)",
        ),
        (
            lambda d: opened(writers.write_berkeley_emd(d / "a.emd", SIGNAL()), beam_energy_kev=-1.0),
            r"The beam energy is -1 keV: give a positive number",
        ),
        (
            lambda d: opened(writers.write_blockfile(d / "a.blo", hyperspy_signal(SMALL, SCREEN))),
            r"a.blo does not tell the size of a detector pixel in mrad: give it \(--mrad-per-pixel\)",
        ),
        (
            lambda d: opened(writers.write_ndata(d / "a.ndata", PATTERNS, OBLONG)),
            r"The scan pixels of a.ndata are 0.5 x 0.4 nm, not square: give one size for both sides",
        ),
        (lambda d: opened(writers.write_ndata(d / "a.ndata", SURVEY, ANGLES[:2])), r"has no four-dimensional array"),
        (
            lambda d: open_recording(saved(d / "p.npy", PATTERNS[:, :4]), IMAGES["dm4"](d), **GIVEN),
            r"survey of p.npy has the shape \(4, 5\) but its scan \(4, 4\)",
        ),
        (lambda d: opened(saved(d / "a.npy", STACK).rename(d / "a.xyz")), r"a.xyz is of no format that is known"),
        (lambda d: opened(d / "none.dm4"), r"There is no file .*none.dm4: check its name"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_in_one_sentence(attempt, message, tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message) as caught:
        attempt(tmp_path)
    assert_one_sentence(caught.value)


def test_a_reader_that_is_not_installed_is_named(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = writers.write_zspy(tmp_path / "a.zspy", SIGNAL())
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ValueError, match=r"a.zspy needs the package zarr to be read: run pip install zarr") as caught:
        opened(file)
    assert_one_sentence(caught.value)


def test_a_compressed_chunk_is_read_once_for_the_patterns_in_it() -> None:
    class Counted:
        shape, chunks = PATTERNS.shape, (2, 3, 6, 8)
        reads = 0

        def __getitem__(self, part: tuple[slice, ...]) -> numpy.ndarray[Any, Any]:
            self.reads += 1
            return PATTERNS[part]

    stored = Counted()
    patterns = StoredPatterns(KeptChunk(stored), (0, 1, 2, 3), (4, 5))
    for row, column in ((0, 0), (1, 2), (0, 1), (2, 0), (3, 4)):
        numpy.testing.assert_array_equal(patterns[row, column], PATTERNS[row, column])
    assert stored.reads == 3
    numpy.testing.assert_array_equal(patterns[0:4, 1:5], PATTERNS[:, 1:])


def test_a_closed_recording_lets_go_of_its_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = opened(writers.write_hspy(tmp_path / "a.hspy", SIGNAL(beam_energy_kev=100.0)))
    recording.close()
    assert not recording.stored_patterns.stored
    (tmp_path / "unpacked").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "unpacked"))
    recording = opened(writers.write_ndata(tmp_path / "a.ndata", PATTERNS, ANGLES, zipfile.ZIP_DEFLATED))
    assert list((tmp_path / "unpacked").rglob("data.npy"))
    recording.close()
    assert not list((tmp_path / "unpacked").iterdir())


def large_npy(folder: pathlib.Path) -> pathlib.Path:
    header = {"descr": "<u2", "fortran_order": False, "shape": (1024, 1024, 128, 128)}
    with (folder / "a.npy").open("wb") as raw:
        numpy.lib.format.write_array_header_1_0(raw, header)
        return with_length(folder / "a.npy", raw.tell() + 2**35)


def large_mib(folder: pathlib.Path) -> pathlib.Path:
    file = writers.write_merlin(folder / "a.mib", numpy.zeros((1, 128, 128)))
    return with_length(file, 2**20 * file.stat().st_size)


def large_empad(folder: pathlib.Path) -> pathlib.Path:
    file = writers.write_empad(folder / "scan_x1024_y1024.raw", numpy.zeros((1, 128, 128)))
    return with_length(file, 2**20 * file.stat().st_size)


def with_length(file: pathlib.Path, length: int) -> pathlib.Path:
    """A sparse file: what is not written takes no room on the disk."""
    os.truncate(file, length)
    return file


READ_A_FEW = """
import pathlib, re, sys
import numpy
from dkl_ae.recordings.recording import open_recording

most = 0
for name in sys.argv[1:]:
    recording = open_recording(
        pathlib.Path(name), require_survey=False, scan_shape=(1024, 1024), nm_per_pixel=0.1, mrad_per_pixel=1.0
    )
    assert recording.stored_patterns.shape == (1024, 1024, 128, 128)
    for row, column in numpy.random.default_rng(0).integers(0, 1000, (15, 2)):
        assert not recording.counts(slice(row, row + 1), slice(column, column + 20), 1.0).any()
        # Pages of a mapped file are the system's, which takes them back when it needs them.
        own = re.search(r"RssAnon:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())
        most = max(most, int(own[1]))
print(most / 2**20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory in Linux' units, and needs sparse files")
def test_sets_larger_than_memory_are_read_in_little(tmp_path: pathlib.Path) -> None:
    """A few hundred patterns of each, in less than one GiB altogether."""
    files = [write(tmp_path) for write in (large_npy, large_mib, large_empad)]
    assert min(file.stat().st_size for file in files) > 30 * 2**30
    arguments = [sys.executable, "-c", READ_A_FEW, *map(str, files)]
    assert float(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout) < 1.0


def test_no_reader_is_imported_before_it_is_needed() -> None:
    check = "import sys, dkl_ae.recordings.recording; print({'rsciio', 'zarr', 'dask'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"
