"""The report of a run: what it says follows from the session, and the page needs nothing but itself."""

from __future__ import annotations

import base64
import dataclasses
import html.parser
import math
import pathlib
import re
import sys
import types
import xml.etree.ElementTree

import h5py
import matplotlib.image
import numpy
import pytest

from dkl_ae.analysis import phases, recorded_view, representative_patterns, shown_steps
from dkl_ae.commands.cli import main
from dkl_ae.experiment import Objective
from dkl_ae.reports import page as page_module
from dkl_ae.reports import save_overview, write_report
from dkl_ae.reports.run_curves import (
    MIN_FOR_CALIBRATION,
    calibration_picture,
    dose_picture,
    exploration_picture,
    learning_picture,
    times_picture,
)
from dkl_ae.reports.run_maps import maps_picture, survey_picture
from dkl_ae.reports.run_patterns import patterns_picture
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.session import Session, open_session
from dkl_ae.settings import changed, make_plan
from tests.support.kept_runs import kept_run
from tests.support.recorded_specimen import EXPOSURE_S, SIDE

SEEDS, STEPS, CHANGED = 6, 14, 12
PLAN = make_plan(patch_size=9, seed_points=SEEDS, model_points=STEPS, compute_device="cpu")
REPORTED = ("changed", "one", "empty", "cut")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    """Sessions as they are left: with a change of goal, of an angle, with one point, with none, cut off."""
    folder = tmp_path_factory.mktemp("sessions")
    made = {name: folder / f"{name}.h5" for name in ("changed", "angle", "one", "empty", "cut")}
    kept_run(made["changed"], PLAN, title="A run", switched_after=CHANGED)
    kept_run(made["angle"], changed(PLAN, scalarizer="com_angle", goal="smallest"), title="A run")
    kept_run(made["one"], changed(PLAN, seed_points=1, model_points=0), title="A run")
    kept_run(made["empty"], PLAN, title="A run", stopped_at_reference=True)
    content = made["angle"].read_bytes()
    made["cut"].write_bytes(content[: int(0.7 * len(content))])
    return made


@pytest.fixture
def switched(files) -> Session:
    with open_session(files["changed"]) as session:
        yield session


@pytest.fixture
def angle(files) -> Session:
    with open_session(files["angle"]) as session:
        yield session


class Page(html.parser.HTMLParser):
    """What a page is made of; its elements must be closed in order."""

    def __init__(self, file: pathlib.Path) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str | None]] = []
        self.tags: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in {"img", "meta"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def pages(files, tmp_path_factory) -> dict[str, pathlib.Path]:
    """The report of each session; that of angles is of the one that is cut off."""
    written = {}
    with pytest.MonkeyPatch.context() as patch:
        # What a thread of a window's program must not import.
        patch.setitem(sys.modules, "matplotlib.pyplot", None)
        patch.setattr(page_module, "_DOTS_PER_INCH", 50)
        for name in REPORTED:
            with open_session(files[name]) as session:
                written[name] = write_report(session, tmp_path_factory.mktemp("reports") / "of" / name)
    return written


@pytest.mark.parametrize("name", REPORTED)
def test_the_page_holds_every_figure_and_needs_nothing_else(pages, name) -> None:
    page = Page(pages[name])
    embedded = [value for key, value in page.attributes if key == "src"]
    drawn = sorted(pages[name].parent.glob("*.png"))
    expected = [f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}" for picture in drawn]
    assert sorted(embedded) == sorted(expected)
    assert page.tags.count("figcaption") == len(drawn) >= 2
    for picture in drawn:
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert xml.etree.ElementTree.parse(picture.with_suffix(".svg")).getroot().tag.endswith("svg")
    assert not {"script", "link", "iframe"} & {*page.tags}
    assert not re.search(r"https?:|url\(|@import|href", pages[name].read_text(encoding="utf-8"))


def test_a_report_has_every_part_that_its_run_has(pages) -> None:
    drawn = {name: {file.stem for file in page.parent.glob("*.png")} for name, page in pages.items()}
    assert drawn["empty"] == {"survey", "dose"}
    assert drawn["one"] == {"survey", "maps", "patterns", "learning", "dose", "times"}
    assert drawn["changed"] == drawn["one"] | {"calibration", "exploration"}


def test_what_is_lost_is_said_first(files, pages) -> None:
    text = pages["cut"].read_text(encoding="utf-8")
    with open_session(files["cut"]) as session:
        assert 1 < session.count < SEEDS + STEPS
        assert text.index(session.losses[0]) < text.index("<figure")
        assert f"with {session.count} measurements of {SEEDS + STEPS}" in text


def test_a_run_that_read_nothing_is_reported(files, tmp_path) -> None:
    with open_session(files["angle"]) as session:
        nothing = numpy.full(session.count, numpy.nan)
        unread = dataclasses.replace(session, readings=dict.fromkeys(session.readings, (nothing, nothing)))
        text = Page(write_report(unread, tmp_path)).text
    assert "Every reading of the CoM angle is undefined." in text
    assert "CoM angle: point 1 (first) undefined." in text
    assert "Star:" not in text


def test_what_was_named_by_people_is_no_html(files, tmp_path) -> None:
    with open_session(files["empty"]) as session:
        named = dataclasses.replace(session, title="<script>alert(1)</script> & more")
        page = Page(write_report(named, tmp_path))
    assert "script" not in page.tags
    assert "<script>alert(1)</script> & more" in page.text


def test_settings_events_and_versions_are_told(switched, pages) -> None:
    text = Page(pages["changed"]).text
    for part in (
        "Patch size",
        "com_magnitude",
        switched.software["numpy"],
        switched.created,
        f"{switched.reference.radius_mrad:.6g}",
        "From here on the run looked for the smallest Virtual ABF.",
        f"Finished: {SEEDS + STEPS} points measured.",
        "no cross was exposed here",
    ):
        assert part in text


def test_the_path_is_where_the_probe_was(switched) -> None:
    picture = survey_picture(switched)
    axes = picture.figure.axes[0]
    side = SIDE * switched.survey.pixel_size_nm
    dots = axes.collections[0].get_offsets()
    chosen = switched.columns["origin"] == b"model"
    numpy.testing.assert_allclose(dots[:, 0], (switched.columns["read_back_x"][chosen] - 0.5) * side)
    numpy.testing.assert_allclose(dots[:, 1], (switched.columns["read_back_y"][chosen] - 0.5) * side)
    assert f"Squares: {SEEDS} places" in picture.caption
    assert f"Dots: {STEPS} places" in picture.caption
    assert f"Diamond: from point {CHANGED + 1} on the run sought the smallest Virtual ABF" in picture.caption
    best = int(switched.readings["abf"][0].argmin())
    assert f"Virtual ABF {switched.readings['abf'][0][best]:.3g} fraction of the beam, at point {best + 1}." in (
        picture.caption
    )


def test_maps_are_those_of_the_steps_with_the_place_measured_next(switched) -> None:
    steps = [SEEDS, CHANGED, CHANGED + 3]
    picture = maps_picture(switched, steps)
    shown = [axes.images[0].get_array() for axes in picture.figure.axes[:9]]
    for column, step in enumerate(steps):
        view = recorded_view(switched, step)
        for row, name in enumerate(("prediction", "uncertainty", "acquisition")):
            numpy.testing.assert_array_equal(
                shown[3 * row + column].filled(numpy.nan), getattr(view.maps, name).astype(float)
            )
        assert f"{numpy.nanmean(view.maps.uncertainty):.3g} {view.objective.scalarizer.unit}" in picture.caption
        dots = [line for line in picture.figure.axes[column].lines if line.get_markersize() < 3]
        assert sum(len(line.get_xdata()) for line in dots) == step

    def ring(step: int) -> list[float]:
        axes = picture.figure.axes[6 + steps.index(step)]
        (found,) = {tuple(line.get_xydata()[0]) for line in axes.lines if line.get_markersize() > 8}
        return list(found)

    side = SIDE * switched.survey.pixel_size_nm
    for step in (SEEDS, CHANGED + 3):
        assert ring(step) == pytest.approx(
            [(switched.columns[f"read_back_{axis}"][step] - 0.5) * side for axis in "xy"]
        )
    # After the change another map chose.
    with pytest.raises(ValueError, match="not enough values"):
        ring(CHANGED)


def test_maps_of_one_reading_share_their_colours_and_angles_close(switched, angle) -> None:
    shown = [axes.images[0] for axes in maps_picture(switched, [SEEDS, CHANGED, 18]).figure.axes[:3]]
    assert shown[0].get_clim() == shown[1].get_clim() != shown[2].get_clim()
    for axes in maps_picture(angle, [SEEDS, 18]).figure.axes[:2]:
        assert axes.images[0].get_cmap().name == "twilight"
        assert axes.images[0].get_clim() == pytest.approx((-math.pi, math.pi))


@pytest.mark.parametrize(
    ("asked", "shown"),
    [([], [6, 11, 15, 20]), ([20, 6], [6, 20]), ([9, 9], [9])],
)
def test_steps_are_those_asked_for_or_spread_over_the_run(switched, asked, shown) -> None:
    assert shown_steps(switched, asked) == shown


def test_a_step_without_kept_maps_has_the_last_before(switched) -> None:
    sparse = dataclasses.replace(switched, map_steps=numpy.array([6, 10, 20]))
    assert shown_steps(sparse, [9, 19]) == [6, 10]


def test_the_patterns_that_tell_most(switched, angle) -> None:
    readings = switched.readings["abf"][0]
    roles = {role: index for index, names in representative_patterns(switched).items() for role in names}
    order = numpy.argsort(readings)
    assert (roles["best"], roles["median"], roles["worst"]) == (order[0], order[len(order) // 2], order[-1])
    away = numpy.abs(numpy.abs(angle.readings["com_angle"][0]) - math.pi)
    roles = {role: index for index, names in representative_patterns(angle).items() for role in names}
    assert (roles["best"], roles["worst"]) == (away.argmin(), away.argmax())


def test_patterns_are_shown_as_they_were_read(switched) -> None:
    picture = patterns_picture(switched)
    telling = representative_patterns(switched)
    columns = len(telling) + 1
    for column, (index, roles) in enumerate(telling.items(), start=1):
        patch, pattern = (picture.figure.axes[row * columns + column].images[0].get_array() for row in (0, 1))
        row, col = (int(switched.columns[name][index]) for name in ("row", "column"))
        numpy.testing.assert_array_equal(patch, switched.survey.image[row - 4 : row + 5, col - 4 : col + 5])
        numpy.testing.assert_allclose(pattern, numpy.log10(1.0 + switched.pattern(index)), rtol=1e-6)
        value, sigma = (part[index] for part in switched.readings["abf"])
        said = f"point {index + 1} ({', '.join(roles)}) {value:.3g} \u00b1 {sigma:.3g} fraction of the beam"
        assert said in picture.caption


def test_the_learning_curve_follows_the_readings(switched) -> None:
    picture = learning_picture(switched)
    for axes, name, best in (
        (picture.figure.axes[0], "com_magnitude", numpy.maximum.accumulate),
        (picture.figure.axes[2], "abf", numpy.minimum.accumulate),
    ):
        line = next(line for line in axes.lines if line.get_label() == "best so far")
        # What noise adds to a magnitude is less than what tells these readings apart.
        numpy.testing.assert_allclose(line.get_ydata(), best(switched.readings[name][0]))
    for phase, axes in zip(phases(switched), picture.figure.axes[1::2], strict=True):
        dots = next(line for line in axes.lines if "measured" in str(line.get_label()))
        driver = phase.objective.scalarizer
        told = driver.without_excess(*switched.readings[driver.name])
        off = numpy.abs(told - switched.columns["expected"])[phase.first : phase.end]
        off = off[numpy.isfinite(off)]
        numpy.testing.assert_allclose(dots.get_ydata(), off)
        assert f"how far {len(off)} readings were" in picture.caption
        assert f"(median {numpy.median(off):.3g} {driver.unit})" in picture.caption


def with_columns(session: Session, **columns: numpy.ndarray) -> Session:
    """The same run with other numbers."""
    count = len(next(iter(columns.values())))
    repeated = {name: numpy.resize(column, count) for name, column in session.columns.items()}
    return dataclasses.replace(session, count=count, columns=types.MappingProxyType({**repeated, **columns}))


def predicted(session: Session, off: numpy.ndarray, uncertainty: float = 1.0) -> Session:
    """A run whose angles are so far from what was expected; they have no error of their own."""
    ones = numpy.ones(len(off))
    made = with_columns(session, expected=0 * ones, uncertainty=uncertainty * ones)
    readings = {**session.readings, "com_angle": (off, 0 * ones)}
    return dataclasses.replace(made, readings=types.MappingProxyType(readings))


@pytest.mark.parametrize(("spread", "within_one", "within_two"), [(0.25, 68.3, 95.4), (0.5, 38.3, 68.3)])
def test_the_calibration_curve_finds_how_sure_a_model_should_be(angle, spread, within_one, within_two) -> None:
    """Readings that are as far off as was expected, a quarter of a radian, or twice as far."""
    off = spread * numpy.random.default_rng(0).normal(size=20_000)
    picture = calibration_picture(predicted(angle, off, uncertainty=0.25))
    one, two = (float(number) for number in re.findall(r"(\d+) % (?:were )?within", picture.caption))
    assert (one, two) == pytest.approx((within_one, within_two), abs=1.5)
    line = next(line for line in picture.figure.axes[0].lines if line.get_label() == "this run")
    nominal, within = line.get_xdata(), line.get_ydata()
    if spread == 0.25:
        numpy.testing.assert_allclose(within, nominal, atol=0.02)
    else:
        assert (within[5:-5] < nominal[5:-5]).all()


def test_too_few_readings_are_no_calibration(angle) -> None:
    off = numpy.full(MIN_FOR_CALIBRATION - 1, 0.5)
    said = calibration_picture(predicted(angle, off))
    assert said == (
        "The model predicted 9 readings: fewer than 10 do not tell whether its uncertainty is to be believed."
    )
    assert not isinstance(calibration_picture(predicted(angle, numpy.append(off, 0.5))), str)


def test_an_angle_is_surprising_the_shorter_way_round(angle) -> None:
    made = with_columns(
        angle, expected=numpy.array([3.0, 3.0]), uncertainty=numpy.ones(2), origin=numpy.array([b"model"] * 2)
    )
    made = dataclasses.replace(
        made, readings={**angle.readings, "com_angle": (numpy.array([-3.1, 2.9]), numpy.zeros(2))}
    )
    readings, residuals = learning_picture(made).figure.axes
    dots = next(line for line in residuals.lines if "measured" in str(line.get_label()))
    numpy.testing.assert_allclose(dots.get_ydata(), [2 * math.pi - 6.1, 0.1])
    # The angle sought is pi: it is nearer to -3.1 than to 2.9.
    best = next(line for line in readings.lines if line.get_label() == "best so far")
    numpy.testing.assert_allclose(best.get_ydata(), [math.pi - 3.1, math.pi - 3.1])


def test_the_share_of_exploration_is_that_of_the_choices(switched) -> None:
    share = numpy.array([numpy.nan, 1.0, 0.5, 0.25, 0.0])
    picture = exploration_picture(with_columns(switched, exploration=share))
    line = picture.figure.axes[0].lines[0]
    numpy.testing.assert_array_equal(line.get_xydata(), [[2, 1], [3, 0.5], [4, 0.25], [5, 0]])
    assert picture.caption.endswith("on average 0.44, 0.75 in the first half and 0.12 in the second.")


def test_the_dose_is_that_of_the_ledger(files, switched) -> None:
    caption = dose_picture(switched).caption
    with h5py.File(files["changed"]) as file:
        survey = file["survey"].attrs["total_exposure_s"]
        repeated = file["reference_repeated/exposure_s"][:].sum()
        reference = file["reference"].attrs["total_exposure_s"] - survey + repeated
        total = file["measurements/total_exposure_s"][-1]
        electrons = file["measurements/total_electrons"][-1]
    full = SIDE * SIDE * EXPOSURE_S
    points = (SEEDS + STEPS) * EXPOSURE_S
    assert total == pytest.approx(survey + reference + points)
    for part in (
        f"for {total:.3g} s ({electrons:.3g} electrons): {survey:.3g} s for the survey",
        f"{reference:.3g} s for the reference and {points:.3g} s for {SEEDS + STEPS} measurements.",
        f"{SIDE} x {SIDE} pixels",
        f"would take {full:.3g} s ({electrons / total * full:.3g} electrons), {full / total:.3g} times as much.",
    ):
        assert part in caption


def test_a_dose_without_a_known_current_has_no_electrons(switched) -> None:
    nothing = numpy.full(SEEDS + STEPS, numpy.nan)
    assert "electrons" not in dose_picture(with_columns(switched, total_electrons=nothing)).caption


def test_a_run_that_ended_at_its_survey_has_nothing_to_compare_its_dose_with(files) -> None:
    with open_session(files["empty"]) as session:
        left = dataclasses.replace(session, reference=None, reference_pattern=None, reference_dose=None)
        picture = dose_picture(left)
    assert picture.caption.endswith("0 s for the reference and 0 s for 0 measurements.")
    assert [label.get_text() for label in picture.figure.axes[0].get_yticklabels()] == ["survey", "this run"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "the largest CoM magnitude"),
        ({"scalarizer": "abf", "goal": "smallest"}, "the smallest Virtual ABF"),
        ({"goal": "value", "goal_value": 0.25}, "a CoM magnitude of 0.25 mrad"),
        ({"scalarizer": "com_angle"}, "a CoM angle of 0 rad"),
        ({"scalarizer": "com_angle", "goal": "smallest"}, "a CoM angle of 3.14 rad"),
    ],
)
def test_what_a_run_seeks_is_said_in_words(changes, words) -> None:
    assert Objective.of(changed(PLAN, **changes).objective, SCALARIZERS).text() == words


def test_the_time_is_that_of_the_points(switched) -> None:
    caption = times_picture(switched).caption
    parts = [1e3 * switched.steps[name] for name in ("camera_s", "scalarizer_s", "model_s", "recorder_s")]
    total = numpy.sum(parts, axis=0)
    assert f"the median point took {numpy.median(total):.3g} ms" in caption
    assert f"{numpy.median(parts[2]):.3g} ms learning and choosing" in caption
    assert f"and {SEEDS + STEPS} points together" in caption


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.h5"], "The session nowhere.h5 cannot be read (No such file or directory): check its name."),
        (["text.h5"], "text.h5 is no saved session"),
        (["changed", "--steps", "5"], "There are no maps after 5 measurements: choose steps from 6 to 20."),
        (["changed", "--steps", "21"], "There are no maps after 21 measurements: choose steps from 6 to 20."),
        (["empty", "--steps", "1"], "empty.h5 has no maps, for its model had not learned yet: leave --steps out."),
        (["changed", "--out", "text.h5"], "text.h5 is there already and no folder: choose another place with --out."),
    ],
)
def test_what_cannot_be_reported_is_told_in_one_sentence(
    files, arguments, sentence, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    pathlib.Path("text.h5").write_text("no session")
    assert main(["report", *(str(files.get(argument, argument)) for argument in arguments)]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_the_command_reports_beside_the_session(files, tmp_path, capsys) -> None:
    session = tmp_path / "run.h5"
    session.write_bytes(files["one"].read_bytes())
    assert main(["report", str(session)]) == 0
    page = tmp_path / "run-report" / "report.html"
    assert capsys.readouterr().out == f"Saved the report {page}\n"
    assert "The run finished, with 1 measurement of 1." in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["changed", "one", "cut"])
def test_an_overview_is_one_picture_whatever_the_session_holds(files, tmp_path, name) -> None:
    with open_session(files[name]) as session:
        save_overview(session, tmp_path / "overview.png")
    image = matplotlib.image.imread(tmp_path / "overview.png")
    assert image.shape[:2] == (935, 1540)
