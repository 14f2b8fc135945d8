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

from dkl_ae import cli
from dkl_ae.benchmarks import engine, learning
from dkl_ae.benchmarks.published import PublishedWay


def test_the_published_way_learns() -> None:
    features = numpy.random.default_rng(0).normal(size=(120, 9)).astype(numpy.float32)
    values = features[:, 0].astype(float)
    published = PublishedWay(features)
    published.fit(numpy.arange(60), values[:60], cycles=60)
    mean, sigma = published.predict()
    assert numpy.corrcoef(mean[60:], values[60:])[0, 1] > 0.7
    assert (sigma >= 0).all()


def test_a_row_has_every_time_and_their_ratio() -> None:
    (row,) = engine.engine_rows(counts=(10,), candidates=(400,), patches=(4,))
    assert (row.n, row.candidates, row.patch, row.device) == (10, 400, 4, "cpu")
    assert row.ratio == pytest.approx(row.paper_ms / (row.fit_ms + row.predict_ms + row.acquire_ms))
    assert all(math.isfinite(value) and value > 0 for value in (row.fit_ms, row.predict_ms, row.acquire_ms))
    header, line = engine.table(iter([row]))
    assert header.split()[:4] == ["n", "candidates", "patch", "device"]
    assert line.split()[:4] == ["10", "400", "4", "cpu"]


def test_the_command_prints_json(monkeypatch: Any, capsys: Any) -> None:
    row = engine.Row(10, 400, 4, "cpu", 1.0, 2.0, 3.0, 600.0, 100.0)
    monkeypatch.setattr(engine, "engine_rows", lambda: iter([row]))
    assert cli.main(["benchmark", "engine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [dataclasses.asdict(row)]


def test_learning_reports_each_number(tmp_path: pathlib.Path, monkeypatch: Any, capsys: Any) -> None:
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
    monkeypatch.setattr(learning, "PATCH_SIZE", 3)
    monkeypatch.setattr(learning, "LINEAR", learning.LINEAR[:1])
    monkeypatch.setattr(learning, "FRACTIONS", (0.1,))
    assert cli.main(["benchmark", "learning", str(file)]) == 0
    title, passive, active = capsys.readouterr().out.splitlines()
    assert title.startswith("set.h5, 256 candidates")
    assert passive.split()[:3] == ["com_magnitude", "26", "random"]
    assert "best 1 %:" in active


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
