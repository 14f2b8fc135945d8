"""Reconstruction of a recorded set from parts of it: what is measured is what was recorded, and more tells more."""

from __future__ import annotations

import argparse
import itertools
import pathlib
import re

import h5py
import numpy
import pytest

from dkl_ae.analysis import (
    ReconstructionSettings,
    Request,
    make_maps,
    reconstruct,
    reconstruction,
    write_reconstruction,
)
from dkl_ae.commands import recorded_options
from dkl_ae.commands.cli import main
from dkl_ae.recordings import Recording, ReferenceChoice
from dkl_ae.records import spread_pixels
from dkl_ae.reports import write_reconstruction_report
from dkl_ae.scalarizers import SCALARIZERS, scalarize
from dkl_ae.simulation import ReplayColumn
from tests.support.recorded_specimen import SIDE, recording

PATCH = 7
CANDIDATES = (SIDE - PATCH + 1) ** 2
FRACTIONS = (1.0, 0.2, 0.04)
SETTINGS = ReconstructionSettings(FRACTIONS, PATCH)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Graphene with counting noise."""
    written = tmp_path_factory.mktemp("recording") / "graphene.h5"
    source = recording()
    with h5py.File(written, "w") as opened:
        opened["patterns"] = source.stored_patterns
        opened["haadf"] = source.survey
        opened.attrs["metadata"] = metadata(source)
    return written


@pytest.fixture(scope="module")
def noise_free(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The same as fractions of the beam, as if they were exact."""
    written = tmp_path_factory.mktemp("recording") / "exact.h5"
    source = recording()
    total = source.stored_patterns.sum(axis=(2, 3), keepdims=True).max()
    with h5py.File(written, "w") as opened:
        opened["patterns"] = numpy.round(1e4 * numpy.sqrt(source.stored_patterns / total)).astype(numpy.uint16)
        opened["patterns"].attrs["scale"] = 1e-4
        opened["haadf"] = source.survey
        opened.attrs["metadata"] = metadata(source)
    return written


def metadata(source: Recording) -> str:
    return f'{{"scan_step_A": {10 * source.nm_per_pixel}, "detector_mrad_per_px": {source.mrad_per_pixel[0]}}}'


@pytest.fixture(scope="module")
def made(file) -> reconstruction.ReconstructionResult:
    return reconstruct(Request(file, ("com_magnitude", "com_angle")), SETTINGS)


def test_what_is_measured_is_what_was_recorded(file, made, tmp_path) -> None:
    make_maps(Request(file, ("com_magnitude", "com_angle")), tmp_path / "maps.h5", None, lambda done: None)
    with h5py.File(tmp_path / "maps.h5") as maps:
        for found in made.reconstructions:
            recorded = maps[f"{found.scalarizer.name}/value"][:]
            numpy.testing.assert_allclose(found.truth, recorded, atol=1e-6)
            for part in found.parts:
                there = numpy.isfinite(part.measured)
                assert there.sum() == part.places == part.learned == round(part.fraction * CANDIDATES)
                numpy.testing.assert_allclose(part.measured[there], recorded[there], atol=1e-6)


def test_smaller_parts_are_parts_of_larger_ones(made) -> None:
    masks = [numpy.isfinite(part.measured) for part in made.reconstructions[0].parts]
    for larger, smaller in itertools.pairwise(masks):
        assert (larger & smaller).sum() == smaller.sum()


def test_more_places_leave_less_unknown(made) -> None:
    for found in made.reconstructions:
        unknown = [part.mean_uncertainty for part in found.parts]
        assert unknown == sorted(unknown)
        quality = [part.quality.r2 for part in found.parts[1:]]
        assert quality[0] > quality[1]
        assert quality[0] > 0.4


def test_quality_is_that_of_the_places_not_learned_from(made) -> None:
    magnitude, angle = made.reconstructions
    part = magnitude.parts[1]
    unseen = numpy.isfinite(part.prediction) & numpy.isnan(part.measured)
    assert unseen.sum() == CANDIDATES - part.places
    # Noise adds less to the truth than this tolerance.
    error, truth = (part.prediction - magnitude.truth)[unseen], magnitude.truth[unseen]
    assert part.quality.r2 == pytest.approx(1 - (error**2).mean() / truth.var(), abs=0.02)
    part = angle.parts[1]
    unseen = numpy.isfinite(part.prediction) & numpy.isnan(part.measured)
    # The squared chord instead of the squared arc: nearly the same for small errors.
    chord = numpy.abs(numpy.exp(1j * part.prediction) - numpy.exp(1j * angle.truth))[unseen]
    assert 1 - part.quality.r2 < 3 * (chord**2).mean()
    for found in made.reconstructions:
        for each in found.parts:
            assert 0 <= each.quality.covered_68 <= each.quality.covered_95 <= 1


def test_the_same_seed_gives_the_same_maps(file) -> None:
    request = Request(file, ("abf",))
    first, same, other = (
        reconstruct(request, ReconstructionSettings((0.05,), PATCH, random_seed=seed)).reconstructions[0].parts[0]
        for seed in (1, 1, 2)
    )
    numpy.testing.assert_array_equal(first.prediction, same.prediction)
    numpy.testing.assert_array_equal(first.measured, same.measured)
    assert (numpy.isfinite(first.measured) != numpy.isfinite(other.measured)).any()


def test_only_patterns_that_were_drawn_are_looked_at(file, monkeypatch) -> None:
    """Beside those of the reference and those that stand for what was seen before."""
    monkeypatch.setattr(reconstruction, "SMALL_SCAN", 0)
    looked_at = numpy.zeros((SIDE, SIDE), bool)
    counts = Recording.counts

    def watched(self: Recording, rows: slice, columns: slice, electrons: float) -> numpy.ndarray:
        looked_at[rows, columns] = True
        return counts(self, rows, columns, electrons)

    request = Request(file, ("bf",), reference=ReferenceChoice(source="darkest"))
    monkeypatch.setattr(Recording, "counts", watched)
    found = reconstruct(request, ReconstructionSettings((0.05,), PATCH)).reconstructions[0]
    assert found.truth is None
    assert found.parts[0].quality is None
    drawn = numpy.isfinite(found.parts[0].measured)
    allowed = drawn.copy()
    for count in (64, 400):
        allowed[tuple(spread_pixels((SIDE, SIDE), count).T)] = True
    assert (looked_at & drawn).sum() == drawn.sum() > 10
    darkest = 5
    assert (looked_at & ~allowed).sum() <= darkest


def test_the_truth_can_be_asked_for(file, monkeypatch) -> None:
    monkeypatch.setattr(reconstruction, "SMALL_SCAN", 0)
    found = reconstruct(Request(file, ("bf",)), ReconstructionSettings((0.05,), PATCH, truth=True)).reconstructions[0]
    assert numpy.isfinite(found.truth).all()


def test_charge_is_read_of_the_neighbours_of_what_is_drawn(file, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(reconstruction, "SMALL_SCAN", 0)
    wanted = ("charge_density", "com_x")
    found = reconstruct(Request(file, wanted, arm_nm=0.05), ReconstructionSettings((0.05,), PATCH))
    make_maps(Request(file, wanted, arm_nm=0.05), tmp_path / "maps.h5", None, lambda done: None)
    with h5py.File(tmp_path / "maps.h5") as maps:
        for each in found.reconstructions:
            measured = each.parts[0].measured
            there = numpy.isfinite(measured)
            assert there.sum() == each.parts[0].places
            recorded = maps[f"{each.scalarizer.name}/value"][:]
            numpy.testing.assert_allclose(measured[there], recorded[there], atol=1e-5)


def test_a_set_without_noise_is_measured_as_a_replay_counts_it(noise_free) -> None:
    request = Request(noise_free, ("com_x",), electrons=1e4)
    found = reconstruct(request, ReconstructionSettings((0.1,), PATCH, random_seed=3))
    column = ReplayColumn(request.open(), seed=3)
    step = request.open().nm_per_pixel
    part = found.reconstructions[0].parts[0]
    for row, pixel in numpy.argwhere(numpy.isfinite(part.measured))[:5]:
        counts = column.expose((row + 0.5) * step, (pixel + 0.5) * step, 1e4, 1.0)
        reading = scalarize(counts, found.reference, [SCALARIZERS["com_x"]])["com_x"]
        assert part.measured[row, pixel] == pytest.approx(reading.value, abs=1e-4)
    off = (part.measured - found.reconstructions[0].truth)[numpy.isfinite(part.measured)]
    # r / (2 sqrt N) of a 30 mrad disc.
    assert off.std() == pytest.approx(30 / 2 / 100, rel=0.35)


def test_a_model_learns_from_no_more_than_it_can(file, monkeypatch) -> None:
    monkeypatch.setattr(reconstruction, "MAX_TRAINING_POINTS", 20)
    part = reconstruct(Request(file, ("abf",)), ReconstructionSettings((1.0,), PATCH)).reconstructions[0].parts[0]
    assert (part.places, part.learned) == (CANDIDATES, 20)
    assert numpy.isfinite(part.measured).sum() == CANDIDATES


def test_readings_that_are_no_numbers_predict_nothing(file, tmp_path) -> None:
    found = reconstruct(Request(file, ("bragg_spacing", "bf")), ReconstructionSettings((0.05,), PATCH))
    part = found.reconstructions[0].parts[0]
    assert numpy.isnan(part.prediction).all()
    assert part.quality is None
    text = write_reconstruction_report(found, tmp_path).read_text(encoding="utf-8")
    assert "<td>Bragg spacing</td><td>5 %</td><td>16</td><td>0</td><td>-</td><td>-</td><td>-</td><td>-</td>" in text
    assert "nan" not in text.partition("<figure")[0]


def test_the_file_and_the_page_say_what_was_made(made, tmp_path) -> None:
    write_reconstruction(tmp_path / "maps.h5", made)
    text = write_reconstruction_report(made, tmp_path).read_text(encoding="utf-8")
    assert not re.search(r"https?:|url\(|@import|href", text)
    with h5py.File(tmp_path / "maps.h5") as opened:
        assert dict(opened.attrs)["random_seed"] == 0
        assert opened.attrs["recording"] == "graphene.h5"
        for found in made.reconstructions:
            group = opened[found.scalarizer.name]
            assert (tmp_path / f"{found.scalarizer.name}.svg").exists()
            numpy.testing.assert_array_equal(group["truth"][:], found.truth)
            assert {*group} == {"truth", "1", "0.2", "0.04"}
            for part in found.parts:
                own = group[f"{part.fraction:g}"]
                for name in ("prediction", "uncertainty", "measured"):
                    numpy.testing.assert_array_equal(own[name][:], getattr(part, name))
                    assert own[name].attrs["unit"] == found.scalarizer.unit
                assert (own.attrs["places"], own.attrs["learned"]) == (part.places, part.learned)
                assert own.attrs["r2"] == part.quality.r2
            counts = ", ".join(str(part.places) for part in found.parts)
            unknown = ", ".join(f"{part.mean_uncertainty:.3g}" for part in found.parts)
            explained = ", ".join(f"{part.quality.r2:.2f}" for part in found.parts)
            assert f"measured at {counts} places" in text
            assert f"R2 {explained}" in text
            assert f"on average {unknown} {found.scalarizer.unit}" in text


def test_the_command_tells_how_far_it_is(file, tmp_path, capsys) -> None:
    out = tmp_path / "new" / "folder"
    arguments = ["--scalarizer", "abf", "--fractions", "0.05", "--patch", "7", "--out", str(out)]
    assert main(["reconstruct", str(file), *arguments]) == 0
    said = capsys.readouterr().out
    assert "20 % learning Virtual ABF from 5 %" in said
    assert "100 % done" in said
    assert said.endswith(f"Saved the maps {out / 'reconstruction.h5'}\nSaved the report {out / 'report.html'}\n")
    percents = [int(number) for number in re.findall(r"(\d+) % (?:reading|learning|done)", said)]
    assert percents == sorted(percents)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.h5"], "There is no file"),
        (["--fractions", "2"], "The fraction is 2: give numbers above 0, and 1 for all places."),
        (["--fractions", "0"], "The fraction is 0: give"),
        (["--fractions", "nan"], "The fraction is nan: give"),
        (["--fractions", "0.1", "0.1"], "The fractions are 0.1, 0.1: give one or more that differ."),
        (["--random-seed", "-1"], "The random seed is -1: give 0 or a larger number."),
        (["--patch", "8"], "The patch size is 8 px, which has no central pixel: choose 9."),
        (["--patch", "99"], "The patch size is 99 px but the survey is 24 x 24 px: choose a smaller patch"),
        (["--scalarizer", "colour"], "There is no scalarizer 'colour': choose all or some of"),
        (["--electrons", "0"], "The number of electrons is 0: give a positive number"),
        (["--survey", "nowhere.npy"], "nowhere.npy"),
        (["--out", "text"], "text is there already and no folder: choose another place with --out."),
    ],
)
def test_what_cannot_be_done_is_told_in_one_sentence(file, arguments, sentence, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    pathlib.Path("text").write_text("a file")
    given = arguments if arguments[0].endswith(".h5") else [str(file), *arguments]
    if "--out" not in given:
        given += ["--out", str(tmp_path / "out")]
    assert main(["reconstruct", *given]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_a_set_without_a_survey_is_asked_for_one(file, tmp_path, capsys) -> None:
    bare = tmp_path / "bare.h5"
    with h5py.File(file) as source, h5py.File(bare, "w") as opened:
        opened["patterns"] = source["patterns"][:]
        opened.attrs.update(source.attrs)
    assert main(["reconstruct", str(bare), "--out", str(tmp_path / "out")]) == 1
    assert "bare.h5 has no survey of its scan: name an image of it with --survey." in capsys.readouterr().err


def test_the_options_mean_what_the_library_means_by_default(file) -> None:
    parser = argparse.ArgumentParser()
    for add in (
        recorded_options.add_file,
        recorded_options.add_calibration,
        recorded_options.add_reference,
        recorded_options.add_readings,
    ):
        add(parser)
    options = parser.parse_args([str(file)], argparse.Namespace(scalarizers=("all",)))
    assert recorded_options.request_from(options) == Request(file)
