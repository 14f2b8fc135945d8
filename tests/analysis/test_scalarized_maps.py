"""The maps of recorded sets: equal to reading pattern by pattern, however the work is spread; the command."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib

import h5py
import numpy
import pytest

from dkl_ae.analysis import Request, make_maps
from dkl_ae.analysis.scalarized_maps import in_threads, scalarize_recording
from dkl_ae.commands.cli import main
from dkl_ae.patterns import find_reference, load_reference, save_reference
from dkl_ae.recordings import ReferenceChoice, open_recording, recorded_reference
from dkl_ae.recordings import chunks as scan_chunks
from dkl_ae.recordings.chunks import chunks_of
from dkl_ae.scalarizers import SCALARIZERS, scalarize
from tests.support.recorded_patterns import GRAPHENE, graphene_recording

FAST = ("com_x", "com_y", "com_magnitude", "abf", "entropy")


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> pathlib.Path:
    """Graphene with counting noise, as a recording in HDF5."""
    return graphene_recording(tmp_path_factory.mktemp("recording") / "graphene.h5", 12, 16, vacuum=True)


def made(file: pathlib.Path, tmp_path: pathlib.Path, **changes) -> h5py.File:
    out = tmp_path / "maps.h5"
    make_maps(Request(file, **{"scalarizers": FAST, **changes}), out, None, lambda done: None)
    return h5py.File(out)


def test_the_maps_are_the_readings_of_each_pattern(file, tmp_path) -> None:
    with made(file, tmp_path) as maps, h5py.File(file) as source:
        reference = find_reference(source["vacuum"][:], (2.5, 2.5))
        for row, column in ((0, 0), (5, 9), (11, 15)):
            found = scalarize(source["patterns"][row, column], reference)
            for name in FAST:
                assert maps[name]["value"][row, column] == pytest.approx(found[name].value, abs=1e-4)
                assert maps[name]["sigma"][row, column] == pytest.approx(found[name].sigma, rel=1e-3)
                assert maps[name]["value"].shape == (12, 16)
                assert maps[name]["value"].attrs["unit"] == SCALARIZERS[name].unit


def test_all_is_everything_there_is(file, tmp_path) -> None:
    with made(file, tmp_path, scalarizers=("all",)) as maps:
        assert set(maps) == {*SCALARIZERS, "reference"}
        assert {"value", "sigma", "common_sigma"} == set(maps["bragg_spacing"])


@pytest.mark.parametrize("pixels", [1, 4096, 3 * 4096, 20 * 4096, 2**30])
def test_how_the_scan_is_cut_does_not_matter(file, pixels, monkeypatch) -> None:
    recording = open_recording(file)
    reference = recorded_reference(recording, ReferenceChoice(), 1.0)
    chosen = {name: SCALARIZERS[name] for name in FAST}
    whole = scalarize_recording(recording, reference, chosen)
    monkeypatch.setattr(scan_chunks, "_CHUNK_PIXELS", pixels)
    cut = scalarize_recording(recording, reference, chosen, spread=in_threads(3))
    for name in FAST:
        numpy.testing.assert_allclose(cut[name].value, whole[name].value, atol=1e-5)
    recording.close()


@pytest.mark.parametrize(("height", "width", "side"), [(1, 1, 8), (7, 5, 64), (64, 64, 256), (3, 3000, 512)])
def test_the_parts_cover_the_scan_once(height, width, side) -> None:
    seen = numpy.zeros((height, width), int)
    for chunk in chunks_of((height, width), (side, side)):
        seen[slice(*chunk.rows), slice(*chunk.columns)] += 1
        patterns = (chunk.rows[1] - chunk.rows[0]) * (chunk.columns[1] - chunk.columns[0])
        assert patterns * side * side <= scan_chunks._CHUNK_PIXELS
    assert numpy.all(seen == 1)


def test_the_charge_density_is_minus_the_divergence_over_the_arm(file, tmp_path) -> None:
    with made(file, tmp_path, scalarizers=("charge_density", "com_x", "com_y"), arm_nm=0.04) as maps:
        x, y = maps["com_x/value"][:], maps["com_y/value"][:]
        # Two pixels of 0.2 angstrom.
        assert maps["charge_density"].attrs["arm_angstrom"] == pytest.approx(0.4)
        expected = -(x[2:-2, 4:] - x[2:-2, :-4] + y[4:, 2:-2] - y[:-4, 2:-2]) / 0.8
        numpy.testing.assert_allclose(maps["charge_density/value"][2:-2, 2:-2], expected, atol=1e-9)
        assert numpy.isnan(maps["charge_density/value"][0]).all()
        assert set(maps) == {"charge_density", "com_x", "com_y", "reference"}


def test_the_charge_density_needs_not_be_asked_for_with_its_parts(file, tmp_path) -> None:
    with made(file, tmp_path, scalarizers=("charge_density",)) as maps:
        assert set(maps) == {"charge_density", "reference"}


@pytest.mark.parametrize(
    ("choice", "reads_vacuum_as_zero"),
    [
        (ReferenceChoice(), True),
        (ReferenceChoice("vacuum"), True),
        (ReferenceChoice("darkest"), False),
        (ReferenceChoice("mean"), False),
        (ReferenceChoice(region="0, 0, 0.5, 1"), False),
    ],
)
def test_the_reference_comes_from_where_it_is_chosen(file, choice, reads_vacuum_as_zero) -> None:
    recording = open_recording(file)
    reference = recorded_reference(recording, choice, 1.0)
    assert reference.centre == pytest.approx((32.25, 31.75), abs=0.1)
    assert reference.radius_mrad == pytest.approx(30, rel=0.02)
    assert (reference.dark, reference.bad_pixels) == (None, None)
    vacuum = scalarize(recording.vacuum, reference)["com_magnitude"].value
    assert (vacuum < 1e-4) == reads_vacuum_as_zero
    recording.close()


def test_a_saved_reference_is_taken(file, tmp_path) -> None:
    recording = open_recording(file)
    saved = dataclasses.replace(recorded_reference(recording, ReferenceChoice(), 1.0), zero_mrad=(1.0, 2.0))
    save_reference(saved, tmp_path / "reference.npz")
    assert load_reference(tmp_path / "reference.npz", (1.0, 1.0), 1.0).zero_mrad == (1.0, 2.0)
    taken = recorded_reference(recording, ReferenceChoice(str(tmp_path / "reference.npz")), 1.0)
    assert taken.zero_mrad == (1.0, 2.0)
    recording.close()


def test_a_wandering_beam_is_followed(file, tmp_path) -> None:
    """Every pattern is shifted by whole pixels, more to the right."""
    shifted = tmp_path / "shifted.h5"
    with h5py.File(file) as source, h5py.File(shifted, "w") as target:
        patterns = source["patterns"][:]
        for column in range(16):
            patterns[:, column] = numpy.roll(patterns[:, column], column // 8, axis=-1)
        target["patterns"] = patterns
        target["vacuum"] = source["vacuum"][:]
        target.attrs.update(source.attrs)
    maps = {}
    for descan in ("none", "plane"):
        request = Request(shifted, scalarizers=("com_x",), reference=ReferenceChoice(mask_radius=1.4, descan=descan))
        make_maps(request, tmp_path / "maps.h5", None, lambda done: None, overwrite=True)
        with h5py.File(tmp_path / "maps.h5") as opened:
            maps[descan] = opened["com_x/value"][:].mean(axis=0)
    slope = {name: numpy.polyfit(numpy.arange(16), found, 1)[0] for name, found in maps.items()}
    assert slope["none"] > 0.15
    assert abs(slope["plane"]) < 0.01


def test_a_set_without_noise_is_read_as_if_it_had_so_many_electrons(tmp_path) -> None:
    with numpy.load(GRAPHENE) as data, h5py.File(tmp_path / "exact.h5", "w") as opened:
        opened["patterns"] = numpy.round(1e4 * numpy.sqrt(numpy.stack([[data["vacuum"]] * 3] * 2))).astype(numpy.uint16)
        opened["patterns"].attrs["scale"] = 1e-4
        opened["vacuum"] = data["vacuum"]
        opened.attrs["metadata"] = json.dumps({"scan_step_A": 0.2, "detector_mrad_per_px": 2.5})
    sigma = {}
    for electrons in (1e4, 1e6):
        request = Request(tmp_path / "exact.h5", ("com_x",), electrons=electrons)
        make_maps(request, tmp_path / "m.h5", None, lambda done: None, overwrite=True)
        with h5py.File(tmp_path / "m.h5") as maps:
            sigma[electrons] = maps["com_x/sigma"][0, 0]
            assert maps["com_x/value"][0, 0] == pytest.approx(0, abs=0.01)
    assert sigma[1e4] == pytest.approx(30 / 2 / 100, rel=0.02)
    assert sigma[1e4] == pytest.approx(10 * sigma[1e6], rel=1e-3)


def test_patterns_that_give_no_number_are_told_of(file, tmp_path) -> None:
    request = Request(file, ("bragg_spacing", "bf"))
    said = list(make_maps(request, tmp_path / "maps.h5", None, lambda done: None))
    assert said[0].startswith("The bright-field disc is 29.77 mrad around pixel (32.25, 31.75)")
    assert said[1].startswith("bragg_spacing: undefined at 192 of 192 patterns, ")
    assert "no diffraction here" in said[1]


@pytest.mark.parametrize("command", ["scalarize", "reconstruct"])
def test_where_no_pattern_gives_a_number_nothing_is_written_and_the_reason_is_told(
    file, tmp_path, capsys, command
) -> None:
    arguments = ["--scalarizer", "bragg_spacing", "--out", str(tmp_path / "out")]
    more = ["--patch", "5", "--fractions", "0.1"] if command == "reconstruct" else []
    assert main([command, str(file), *arguments, *more]) == 1
    said = capsys.readouterr().err
    assert said.startswith("No pattern gives a number of bragg_spacing (mostly: no diffraction here: ")
    assert said.endswith("): choose others with --scalarizer.\n")
    assert not list(tmp_path.iterdir())


def test_a_cluster_gives_the_same_maps(file, tmp_path) -> None:
    """Two worker processes of a local cluster, reached by its address; with a scalarizer of the user's own."""
    distributed = pytest.importorskip("distributed")
    own = tmp_path / "mine.py"
    own.write_text(
        "from dkl_ae.scalarizers import scalarizer\n"
        '@scalarizer(unit="electrons")\n'
        "def brightest(electrons, reference):\n"
        "    return electrons.max(), 1.0\n",
        encoding="utf-8",
    )
    arguments = ["scalarize", str(file), "--scalarizer", *FAST, "brightest", "charge_density", "composite"]
    arguments += ["--expression", "com_magnitude / abf", "--scalarizer-file", str(own)]
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        assert main([*arguments, "--out", str(tmp_path / "there.h5"), "--scheduler", cluster.scheduler_address]) == 0
    assert main([*arguments, "--out", str(tmp_path / "here.h5")]) == 0
    with h5py.File(tmp_path / "there.h5") as there, h5py.File(tmp_path / "here.h5") as here:
        assert set(there) == set(here) == {*FAST, "brightest", "charge_density", "composite", "reference"}
        for name in (*FAST, "brightest", "charge_density", "composite"):
            for kind in ("value", "sigma"):
                numpy.testing.assert_array_equal(there[name][kind][:], here[name][kind][:])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.h5"], "There is no file"),
        (["--scalarizer", "colour"], "There is no scalarizer 'colour': choose all or some of com_magnitude, "),
        (["--expression", "com_x +"], "The expression 'com_x +' cannot be understood"),
        (["--expression", "charge_density / bf"], "reads a cross, which a recording has none of"),
        (["--scalarizer-file", "nowhere.py"], "nowhere.py of scalarizers: check its name"),
        (["--reference", "nowhere.npz"], "The reference nowhere.npz cannot be used"),
        (["--region", "0.5, 0.5, 0.9, 0.1"], "The region is '0.5, 0.5, 0.9, 0.1': give top, left, height and width"),
        (["--bad-pixels", "nowhere.npy"], "nowhere.npy cannot be read as a NumPy file"),
        (["--counts-per-electron", "0"], "An electron makes 0 counts: give a positive number"),
        (["--cross-arm-nm", "nan"], "The cross's arm in nm is nan: give a positive number"),
        (["--electrons", "-1"], "The number of electrons is -1: give a positive number"),
        (["--mask", "1.2", "1.1"], "The mask goes from 1.2 to 1.1 disc radii"),
        (["--ellipticity", "0.5"], "The ellipticity is 0.5"),
        (["--scheduler", "tcp://127.0.0.1:1"], "There is no Dask scheduler at tcp://127.0.0.1:1"),
        (["--out", "text/maps.h5"], "The maps cannot be written to text/maps.h5 ("),
        (["--picture", "maps.foo"], "maps.foo is of no format that is known: choose a .png or .svg file with "),
    ],
)
def test_what_cannot_be_done_is_told_in_one_sentence(file, arguments, sentence, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dkl_ae.analysis.cluster.PATIENCE_S", 1)
    pathlib.Path("text").write_text("a file")
    given = arguments if arguments[0].endswith(".h5") else [str(file), *arguments]
    assert main(["scalarize", *given]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_a_picture_that_cannot_be_drawn_costs_no_maps(file, tmp_path, capsys) -> None:
    out, picture = tmp_path / "maps.h5", tmp_path / "text" / "maps.png"
    (tmp_path / "text").write_text("a file")
    assert main(["scalarize", str(file), "--scalarizer", "bf", "--out", str(out), "--picture", str(picture)]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"The picture {picture} cannot be written (")
    assert said.out.endswith(f"Saved the maps {out}\n")
    assert out.exists()


def test_a_vacuum_pattern_is_corrected_by_the_files_that_come_with_it(file, tmp_path) -> None:
    recording = open_recording(file)
    dark = numpy.full((64, 64), 7.0)
    bad = numpy.zeros((64, 64))
    bad[3, 4] = 1
    for name, array in (("vacuum", recording.vacuum + dark), ("dark", dark), ("bad", bad)):
        numpy.save(tmp_path / f"{name}.npy", array)
    choice = ReferenceChoice(
        str(tmp_path / "vacuum.npy"), dark_file=str(tmp_path / "dark.npy"), bad_pixels_file=str(tmp_path / "bad.npy")
    )
    reference = recorded_reference(recording, choice, 1.0)
    assert reference.counts == pytest.approx(recording.vacuum.sum(), rel=1e-3)
    assert list(zip(*numpy.nonzero(reference.bad_pixels), strict=True)) == [(3, 4)]
    recording.close()


def test_a_reference_of_another_camera_length_is_refused(file, tmp_path) -> None:
    recording = open_recording(file)
    saved = recorded_reference(recording, ReferenceChoice(), 1.0)
    save_reference(dataclasses.replace(saved, mrad_per_pixel=(5.0, 5.0)), tmp_path / "reference.npz")
    with pytest.raises(ValueError, match=r"pixels of 5 mrad but the recording of 2.5"):
        recorded_reference(recording, ReferenceChoice(str(tmp_path / "reference.npz")), 1.0)
    recording.close()


def test_the_recording_itself_is_not_overwritten(file, capsys) -> None:
    before = file.read_bytes()
    assert main(["scalarize", str(file), "--scalarizer", "bf", "--out", str(file)]) == 1
    assert "is what is read" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_sizes_that_the_file_does_not_tell_are_asked_for(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with numpy.load(GRAPHENE) as data:
        numpy.save("patterns.npy", data["counts"][:3, :3])
    assert main(["scalarize", "patterns.npy"]) == 1
    assert "does not tell the size of a scan pixel in nm: give it" in capsys.readouterr().err
    sizes = ["--nm-per-pixel", "0.02", "--mrad-per-pixel", "2.5"]
    assert main(["scalarize", "patterns.npy", "--scalarizer", "com_x", *sizes]) == 0
    assert "Saved the maps maps.h5" in capsys.readouterr().out


def test_maps_without_vacuum_say_so_and_have_the_error_that_their_pixels_share(file, tmp_path) -> None:
    out = tmp_path / "maps.h5"
    request = Request(file, (*FAST, "charge_density"), reference=ReferenceChoice(source="mean"))
    lines = make_maps(request, out, None, lambda done: None)
    (notice,) = (line for line in lines if line.startswith("No vacuum was found"))
    with h5py.File(out) as maps:
        y, x = json.loads(maps.attrs["reference"])["zero_sigma_mrad"]
        assert f"an error of {max(y, x):.2g} mrad" in notice
        for name, shared in (("com_x", x), ("com_y", y), ("abf", 0.0)):
            assert maps[name]["common_sigma"][:] == pytest.approx(shared)
        assert not numpy.nan_to_num(maps["charge_density"]["common_sigma"][:]).any()
    assert not any(
        "vacuum" in line for line in make_maps(Request(file), tmp_path / "other.h5", None, lambda done: None)
    )


def test_without_noise_a_zero_is_as_wrong_as_the_specimen_makes_it(file) -> None:
    """Counting is no part of it."""
    with contextlib.closing(open_recording(file)) as recording, h5py.File(file) as source:
        noisy = recorded_reference(recording, ReferenceChoice(source="mean"), 1e5)
        root = numpy.sqrt(source["patterns"][:] / source["patterns"][:].sum(axis=(2, 3), keepdims=True))
    exact = dataclasses.replace(recording, stored_patterns=root, square_root_scale=1.0, vacuum=root[0, 0] ** 2)
    found = recorded_reference(exact, ReferenceChoice(source="mean"), 1e5)
    assert found.zero_sigma_mrad == pytest.approx(noisy.zero_sigma_mrad, rel=0.05)
    assert recorded_reference(exact, ReferenceChoice(), 1e5).zero_sigma_mrad == (0.0, 0.0)
