"""Exported sessions, opened by the programs that they are for: the same numbers with the same scales."""

from __future__ import annotations

import csv
import dataclasses
import json
import pathlib

import emdfile
import h5py
import hyperspy.api
import numpy
import pytest
import tifffile

from dkl_ae.commands.cli import main
from dkl_ae.experiment import ChangeObjective
from dkl_ae.export import content, content_of, export_session, write_csv, write_hyperspy
from dkl_ae.export.content import Axis, Images
from dkl_ae.export.exporting import FORMATS
from dkl_ae.run import Event, Runner, StepCompleted
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.session import MAPS, About, Session, SessionWriter, open_session
from dkl_ae.settings import LARGEST, from_json, make_plan
from tests.support.simulated_instrument import SimulatedInstrument

PLAN = make_plan(patch_size=7, seed_points=4, model_points=6, compute_device="cpu", scalarizer="charge_density")
SWITCHED = 7
"""After so many measurements another scalarizer is followed, which needs no cross."""


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> pathlib.Path:
    """A saved session."""
    file = tmp_path_factory.mktemp("session") / "graphene.h5"

    def show(event: Event) -> None:
        if isinstance(event, StepCompleted) and event.number == SWITCHED:
            runner.give(ChangeObjective("com_magnitude", LARGEST, 0.0))

    about = About("Graphene", {"kind": "recording"})
    runner = Runner(SimulatedInstrument(), PLAN, show, recorder=SessionWriter(file, PLAN, SCALARIZERS, about))
    runner.run()
    return file


@pytest.fixture
def session(file):
    with open_session(file) as session:
        yield session


def patterns_of(session: Session) -> numpy.ndarray:
    return numpy.array([session.pattern(index) for index in range(session.count)])


def ends_of(session: Session) -> numpy.ndarray:
    return numpy.array([session.ends(index) for index in range(SWITCHED)])


def offsets_of(session: Session) -> list[float]:
    """Of ky and kx: the first pixel's distance from the disc's centre, in mrad."""
    return [-2.5 * centre for centre in session.reference.centre]


def exported(file: pathlib.Path, to: str, tmp_path: pathlib.Path) -> pathlib.Path:
    out, losses = export_session(file, to, tmp_path / f"out{FORMATS[to].suffix}")
    assert not losses
    assert list(tmp_path.iterdir()) == [out]
    return out


@pytest.mark.parametrize("lazy", [False, True])
def test_hyperspy_reads_the_same_numbers_and_scales(file, session, tmp_path, lazy) -> None:
    signals = hyperspy.api.load(exported(file, "hspy", tmp_path), lazy=lazy)
    titles = [signal.metadata.General.title for signal in signals]
    assert titles == ["patterns", "cross_ends", *MAPS, "survey", "reference"]
    found = dict(zip(titles, signals, strict=True))
    if lazy:
        for signal in signals:
            signal.compute(show_progressbar=False)
    patterns = found["patterns"]
    numpy.testing.assert_array_equal(patterns.data, patterns_of(session))
    assert patterns.axes_manager.navigation_shape == (10,)
    ky, kx = patterns.axes_manager["ky"], patterns.axes_manager["kx"]
    assert [ky.scale, kx.scale] == pytest.approx([2.5, 2.5])
    assert [ky.offset, kx.offset] == pytest.approx(offsets_of(session))
    assert {ky.units, kx.units} == {"mrad"}
    table = patterns.metadata.dkl_ae.table
    numpy.testing.assert_array_equal(table.com_x, session.readings["com_x"][0])
    numpy.testing.assert_array_equal(table.com_x_sigma, session.readings["com_x"][1])
    assert patterns.metadata.dkl_ae.units.com_x == "mrad"
    numpy.testing.assert_allclose(table.y, session.columns["read_back_y"] * 4)
    assert patterns.metadata.dkl_ae.units.y == "nm"
    assert from_json(patterns.metadata.dkl_ae.plan) == PLAN
    numpy.testing.assert_array_equal(found["cross_ends"].data, ends_of(session))
    numpy.testing.assert_array_equal(found["survey"].data, session.survey.image)
    survey_x = found["survey"].axes_manager["x"]
    assert (survey_x.scale, survey_x.offset, survey_x.units) == (pytest.approx(0.1), pytest.approx(0.05), "nm")
    numpy.testing.assert_array_equal(found["prediction"].axes_manager["step"].axis, session.map_steps)
    numpy.testing.assert_array_equal(found["prediction"].data[-1], session.maps(10).prediction)


def test_hyperspy_reads_maps_that_are_not_evenly_spaced(session, tmp_path) -> None:
    found = content_of(session)
    maps = next(images for images in found.images if images.name == "uncertainty")
    uneven = dataclasses.replace(maps, axes=(Axis("step", "", numpy.array([4.0, 5.0, 9.0])), *maps.axes[1:]))
    write_hyperspy(dataclasses.replace(found, images=(found.images[0], uneven)), tmp_path / "uneven.hspy")
    _, signal = hyperspy.api.load(tmp_path / "uneven.hspy")
    numpy.testing.assert_array_equal(signal.axes_manager["step"].axis, [4, 5, 9])
    numpy.testing.assert_array_equal(signal.data, session.opened["maps/uncertainty"][:3])


def test_py4dstem_reads_the_same_numbers_and_scales(file, session, tmp_path) -> None:
    """By its own reader of files."""
    root = emdfile.read(exported(file, "emd", tmp_path))
    patterns = root.tree("patterns")
    numpy.testing.assert_array_equal(patterns.data, patterns_of(session))
    assert (patterns.dim_names, patterns.dim_units) == (("step", "ky", "kx"), ("", "mrad", "mrad"))
    assert patterns.units == "counts"
    assert [dim[0] for dim in patterns.dims[1:]] == pytest.approx(offsets_of(session))
    assert [dim[-1] - dim[0] for dim in patterns.dims] == pytest.approx([9, 63 * 2.5, 63 * 2.5])
    points = root.tree("measurements").data
    numpy.testing.assert_array_equal(points["candidate"], session.columns["candidate"])
    numpy.testing.assert_array_equal(points["com_x_sigma"], session.readings["com_x"][1])
    numpy.testing.assert_allclose(points["x"], session.columns["read_back_x"] * 4)
    assert points["scalarizer"].tolist() == [b"charge_density"] * SWITCHED + [b"com_magnitude"] * 3
    assert root.metadata["units"]["com_x"] == "mrad"
    assert from_json(root.metadata["session"]["plan"]) == PLAN
    numpy.testing.assert_array_equal(root.tree("acquisition").data[-1], session.maps(10).acquisition)
    numpy.testing.assert_array_equal(root.tree("cross_ends").data, ends_of(session))
    numpy.testing.assert_array_equal(root.tree("reference").data, session.reference_pattern)


def test_nexus_is_read_by_its_rules(file, session, tmp_path) -> None:
    with h5py.File(exported(file, "nexus", tmp_path)) as opened:
        entry = opened[opened.attrs["default"]]
        data = entry[entry.attrs["default"]]
        assert (entry.attrs["NX_class"], data.attrs["NX_class"]) == ("NXentry", "NXdata")
        numpy.testing.assert_array_equal(data[data.attrs["signal"]], patterns_of(session))
        assert data.attrs["axes"].tolist() == ["step", "ky", "kx"]
        assert [data[name].attrs["units"] for name in ("ky", "kx", "y", "x")] == ["mrad", "mrad", "nm", "nm"]
        assert data["ky"][:2] == pytest.approx(offsets_of(session)[0] + numpy.array([0, 2.5]))
        assert (data.attrs["y_indices"], data.attrs["kx_indices"]) == (0, 2)
        numpy.testing.assert_allclose(data["x"], session.columns["read_back_x"] * 4)
        readings = entry["readings"]
        assert readings.attrs["signal"] == "com_magnitude"
        assert {"com_magnitude", *readings.attrs["auxiliary_signals"]} == set(session.readings)
        numpy.testing.assert_array_equal(readings["abf"], session.readings["abf"][0])
        numpy.testing.assert_array_equal(readings["abf_errors"], session.readings["abf"][1])
        assert readings["com_x"].attrs["units"] == "mrad"
        assert entry["measurements/origin"].asstr()[:].tolist() == ["seed"] * 4 + ["model"] * 6
        assert from_json(entry["process/plan/data"].asstr()[()]) == PLAN
        assert entry["start_time"].asstr()[()] == session.created


def test_nexus_is_read_by_another_program(file, session, tmp_path) -> None:
    signals = hyperspy.api.load(exported(file, "nexus", tmp_path))
    found = {signal.metadata.General.title: signal for signal in signals}
    numpy.testing.assert_array_equal(found["patterns"].data, patterns_of(session))
    axis = found["patterns"].axes_manager["kx"]
    assert (axis.scale, axis.offset, axis.units) == (2.5, pytest.approx(offsets_of(session)[1]), "mrad")
    numpy.testing.assert_array_equal(found["prediction"].data[-1], session.maps(10).prediction)


def test_tables_and_images_are_read_by_everything(file, session, tmp_path) -> None:
    folder = exported(file, "csv", tmp_path)
    with (folder / "measurements.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["com_x (mrad)"]) for row in rows] == session.readings["com_x"][0].tolist()
    assert [float(row["abf_sigma (fraction of the beam)"]) for row in rows] == session.readings["abf"][1].tolist()
    assert [float(row["y (nm)"]) for row in rows] == pytest.approx(session.columns["read_back_y"] * 4)
    assert [row["origin"] for row in rows] == ["seed"] * 4 + ["model"] * 6
    # Charge density and then the centre of mass have been expected.
    assert "expected (of the optimized reading)" in rows[0]
    numpy.testing.assert_array_equal(tifffile.imread(folder / "patterns.tif"), patterns_of(session))
    numpy.testing.assert_array_equal(tifffile.imread(folder / "cross_ends.tif"), ends_of(session))
    numpy.testing.assert_array_equal(tifffile.imread(folder / "uncertainty.tif")[-1], session.maps(10).uncertainty)
    numpy.testing.assert_array_equal(tifffile.imread(folder / "survey.tif"), session.survey.image)
    with tifffile.TiffFile(folder / "patterns.tif") as opened:
        assert opened.is_imagej
        assert opened.imagej_metadata["unit"] == "mrad"
        assert opened.imagej_metadata["xorigin"] == pytest.approx(session.reference.centre[1])
        assert opened.pages[0].resolution == pytest.approx((0.4, 0.4))
    told = json.loads((folder / "session.json").read_text(encoding="utf-8"))
    assert make_plan(**told["plan"]) == PLAN


class OneByOne:
    """A stack that may be read an image at a time only, as one that is larger than memory."""

    shape, dtype = (3, 5, 4), numpy.dtype(numpy.uint32)

    def __getitem__(self, place: tuple[int, ...]) -> numpy.ndarray:
        (index,) = place
        return numpy.full((5, 4), 100_000 * index, self.dtype)


@pytest.mark.parametrize("to", FORMATS)
def test_patterns_are_copied_one_by_one(session, tmp_path, to) -> None:
    axes = [Axis(name, "mrad", numpy.arange(float(side))) for name, side in zip("abc", (3, 5, 4), strict=True)]
    stack = Images("patterns", "", "counts", tuple(axes), OneByOne())
    FORMATS[to].write(dataclasses.replace(content_of(session), images=(stack,)), tmp_path / "out")
    if to == "csv":
        assert tifffile.imread(tmp_path / "out" / "patterns.tif")[2, 4, 3] == 200_000
    else:
        with h5py.File(tmp_path / "out") as opened:
            (found,) = _datasets_named("data", opened, (3, 5, 4))
            assert found[2, 4, 3] == 200_000


def _datasets_named(name: str, opened: h5py.File, shape: tuple[int, ...]) -> list[h5py.Dataset]:
    found = []
    opened.visititems(
        lambda path, item: found.append(item) if path.endswith(f"/{name}") and item.shape == shape else None
    )
    return found


def test_scalarizers_named_like_a_column_are_told_apart(session, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(content, "_COLUMN_NAMES", {"com_x"})
    found = content_of(session)
    assert "com_x_reading" in {reading.name for reading in found.readings}
    write_csv(found, tmp_path / "out")
    assert "com_x_reading (mrad)" in (tmp_path / "out" / "measurements.csv").read_text(encoding="utf-8")


def test_the_command_writes_beside_the_session(file, tmp_path, capsys) -> None:
    copy = tmp_path / "run 1.h5"
    copy.write_bytes(file.read_bytes())
    assert main(["export", str(copy), "--to", "nexus"]) == 0
    assert capsys.readouterr().out == f"Saved {tmp_path / 'run 1.nxs'}\n"
    assert main(["export", str(copy), "--to", "csv"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run 1-csv", "run 1.h5", "run 1.nxs"]
    assert main(["export", str(copy), "--to", "nexus"]) == 1
    assert capsys.readouterr().err == (
        f"{tmp_path / 'run 1.nxs'} is there already: choose another place with --out, or --overwrite it.\n"
    )


def test_all_formats_of_the_library_are_the_commands(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert f"{{{','.join(FORMATS)}}}" in capsys.readouterr().out


def test_what_a_damaged_session_lost_is_told(file, tmp_path, capsys) -> None:
    cut = tmp_path / "cut.h5"
    cut.write_bytes(file.read_bytes()[:-20_000])
    assert main(["export", str(cut), "--to", "hspy"]) == 0
    assert capsys.readouterr().out.startswith("cut.h5 is cut off: ")


def test_a_session_without_measurements_is_refused(tmp_path, capsys) -> None:
    def show(event: Event) -> None:
        runner.stop()

    file = tmp_path / "empty.h5"
    runner = Runner(SimulatedInstrument(), PLAN, show, recorder=SessionWriter(file, PLAN, SCALARIZERS))
    runner.run()
    assert main(["export", str(file), "--to", "csv"]) == 1
    assert capsys.readouterr().err == "empty.h5 has no measured patterns: there is nothing to export.\n"


@pytest.mark.parametrize("to", FORMATS)
def test_an_export_that_fails_leaves_nothing(file, tmp_path, monkeypatch, capsys, to) -> None:
    def each(images: Images):
        raise OSError("No space left on device")
        yield

    monkeypatch.setattr(Images, "each", each)
    assert main(["export", str(file), "--to", to, "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == (
        f"{file} cannot be exported (No space left on device): choose another place with --out.\n"
    )
    assert not list(tmp_path.iterdir())
