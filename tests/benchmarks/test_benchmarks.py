"""The benchmark commands run and say what they should; how fast they find things is no test's business."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
from typing import Any

import h5py
import numpy
import pytest

from dkl_ae.benchmarks import engine, learning, recorded
from dkl_ae.benchmarks.published import AtomAIDKL
from dkl_ae.commands import cli


@pytest.mark.parametrize("interpolated", [True, False])
def test_the_published_way_learns(interpolated: bool) -> None:
    features = numpy.random.default_rng(0).normal(size=(120, 9)).astype(numpy.float32)
    values = features[:, 0].astype(float)
    published = AtomAIDKL(features, interpolated=interpolated)
    published.fit(numpy.arange(60), values[:60], cycles=60)
    prediction = published.predict()
    assert numpy.corrcoef(prediction.mean[60:], values[60:])[0, 1] > 0.7
    assert (prediction.sigma >= 0).all()


def test_a_row_has_every_time_and_their_ratio() -> None:
    (row,) = engine.engine_rows(counts=(10,), candidates=(400,), patches=(4,))
    assert (row.n, row.candidates, row.patch, row.device) == (10, 400, 4, "cpu")
    assert row.ratio == pytest.approx(row.paper_ms / (row.fit_ms + row.predict_ms + row.acquire_ms))
    assert all(math.isfinite(value) and value > 0 for value in (row.fit_ms, row.predict_ms, row.acquire_ms))
    header, line = engine.engine_table(iter([row]))
    assert header.split()[:4] == ["n", "candidates", "patch", "device"]
    assert line.split()[:4] == ["10", "400", "4", "cpu"]


def test_the_command_prints_json(monkeypatch: Any, capsys: Any) -> None:
    row = engine.Row(10, 400, 4, "cpu", 1.0, 2.0, 3.0, 600.0, 100.0)
    monkeypatch.setattr("dkl_ae.benchmarks.engine_rows", lambda: iter([row]))
    assert cli.main(["benchmark", "engine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [dataclasses.asdict(row)]


# A map that is the same everywhere has no rank correlation.
@pytest.mark.filterwarnings("ignore::scipy.stats.ConstantInputWarning")
def test_learning_keeps_the_results_of_each_way(tmp_path: pathlib.Path, monkeypatch: Any, capsys: Any) -> None:
    """A set of pure chance, whose readings nothing can explain: R2 is about zero."""
    random = numpy.random.default_rng(0)
    y, x = numpy.indices((32, 32)) - 15.5
    disc = (numpy.hypot(y, x) < 8).astype(float)
    patterns = numpy.stack(
        [numpy.stack([numpy.roll(disc, random.integers(-1, 2), 0) for _ in range(18)]) for _ in range(18)]
    )
    file = tmp_path / "set.h5"
    with h5py.File(file, "w") as opened:
        opened["patterns_code"] = numpy.sqrt(patterns / disc.sum())
        opened["patterns_code"].attrs["scale"] = 1.0
        opened["vacuum"] = disc / disc.sum()
        opened["haadf"] = random.random((18, 18))
        opened.attrs["metadata"] = json.dumps({"scan_step_A": 0.2, "detector_mrad_per_px": 2.5})
    monkeypatch.setattr(recorded, "PATCH_SIZE", 3)
    monkeypatch.setattr(learning, "FRACTIONS", (0.1,))
    monkeypatch.setattr(learning, "CHOSEN_POINTS", 45)
    out = tmp_path / "out"
    for methods, more in (
        (["random", "grid"], []),
        (["plain GP on (x, y)", "dkl-ae"], []),
        (["grid"], ["--overwrite"]),
    ):
        arguments = ["--seeds", "1", "--out", str(out), *more]
        for method in methods:
            arguments += ["--method", method]
        assert cli.main(["benchmark", "learning", str(file), *arguments]) == 0
    title, search = capsys.readouterr().out.splitlines()[-2:]
    assert title == "set.h5, 256 candidates, 1 seed"
    assert search.split()[:2] == ["grid", "com_magnitude"]
    before = (out / "learning.json").read_bytes()
    again = ["--seeds", "1", "--out", str(out), "--method", "dkl-ae"]
    assert cli.main(["benchmark", "learning", str(file), *again]) == 1
    assert capsys.readouterr().err.startswith(f"{out} has results of dkl-ae on set.h5 already: choose another place ")
    assert (out / "learning.json").read_bytes() == before
    results = learning.Results.read(out)
    assert {row.method for row in results.searches} == {"random", "grid", "plain GP on (x, y)", "dkl-ae"}
    assert len(results.searches) == 4
    names = {"com_magnitude", "com_x", "com_y", "cos com_angle", "sin com_angle", "abf"}
    assert {(row.target, row.method) for row in results.regressions} == {
        (name, method) for name in names for method in ("plain GP on (x, y)", "dkl-ae")
    }
    assert all(row.points == 26 and row.quality.r2 < 0.3 for row in results.regressions)
    assert (out / "learning_set.png").stat().st_size > 10_000
    stored = json.loads((out / "learning.json").read_text())
    for row in (*stored["regressions"], *stored["searches"]):
        row["way"] = row.pop("method")
    earlier = {"learned": stored["regressions"], "chased": stored["searches"]}
    (out / "learning.json").write_text(json.dumps(earlier))
    assert repr(learning.Results.read(out)) == repr(results)  # NaN differs from itself


def test_points_until_a_share_of_the_best_is_found() -> None:
    row = learning.SearchResult("set", "abf", "random", 0, 4, [0, 0, 1, 1, 2, 3], [1.0] * 6, None)
    assert [learning.points_until(row, share) for share in (0.0, 0.25, 0.5, 1.0)] == [3, 3, 5, math.inf]


def test_a_method_that_is_not_there_is_one_sentence(tmp_path: pathlib.Path, capsys: Any) -> None:
    assert cli.main(["benchmark", "learning", str(tmp_path / "set.h5"), "--method", "by foot"]) == 1
    assert capsys.readouterr().err.startswith("There is no method 'by foot': choose from dkl-ae; ")


@pytest.mark.parametrize("name", ["none.h5", "noisy.h5"])
def test_a_file_that_cannot_be_used_is_one_sentence(name: str, tmp_path: pathlib.Path, capsys: Any) -> None:
    with h5py.File(tmp_path / "noisy.h5", "w") as opened:
        opened["patterns"] = numpy.ones((3, 3, 4, 4))
        opened["haadf"] = numpy.ones((3, 3))
        opened.attrs["metadata"] = json.dumps({"scan_step_A": 0.2, "detector_mrad_per_px": 2.5})
    assert cli.main(["benchmark", "learning", str(tmp_path / name)]) == 1
    message = capsys.readouterr().err
    assert name in message
    assert message.count("\n") == 1
