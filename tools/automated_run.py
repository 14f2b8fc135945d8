"""The main job on the simulated microscope, through Swift without a window: what it finds and how long a step takes.

Run as `OMP_NUM_THREADS=1 python tools/automated_run.py`. For each random seed: how many of the model's points lie
on the top 10 % and 1 % of the true map, and how much of the strongest 1 % chance would find; then the medians of a
step's parts over all seeds, in milliseconds, and the time that the window's thread spent on a step.
"""

from __future__ import annotations

import contextlib
import pathlib
import statistics
import tempfile

import numpy

from dkl_ae.analysis import step_record
from dkl_ae.records import FloatArray, Patches
from dkl_ae.session import Session, open_session
from dkl_ae.simulation import ImageSimulator, graphene_with_silicon
from nionswift_plugin.dkl_ae_kit import SIMULATOR_ID
from nionswift_plugin.dkl_ae_ui.launcher.headless import open_swift
from nionswift_plugin.dkl_ae_ui.launcher.project import ensure_project
from nionswift_plugin.dkl_ae_ui.run_panel import PANEL

SEEDS = range(5)


def true_map(side: int) -> FloatArray:
    """|CoM| in mrad at each pixel of a survey of the whole specimen."""
    specimen = graphene_with_silicon()
    places = (numpy.arange(side) + 0.5) * specimen.extent_nm / side
    com = ImageSimulator(specimen).deflection(places[:, None], places)
    magnitude: FloatArray = numpy.hypot(com[..., 0], com[..., 1])
    return magnitude


def main() -> None:
    window_ms = []
    with contextlib.ExitStack() as at_end:
        folder = at_end.enter_context(tempfile.TemporaryDirectory())
        swift = at_end.enter_context(open_swift(ensure_project(pathlib.Path(folder))))
        runs: list[Session] = []
        handler = PANEL.find(swift.window).handler
        handler.set_text("instrument_id", SIMULATOR_ID)
        handler.set_text("compute_device", "cpu")
        for seed in SEEDS:
            handler.set_text("random_seed", str(seed))
            handler.start_clicked()
            assert handler._run is not None, handler.message.value
            assert handler.session_file is not None
            tasks = handler._run.recorder.tasks
            swift.pump(lambda: bool(handler.idle.value), 600)
            window_ms.append((1e3 * tasks.busy_s / 70, 1e3 * tasks.longest_stretch_s))
            runs.append(at_end.enter_context(open_session(handler.session_file)))
        _print_found(runs)
        _print_times(runs)
    for name, values in zip(("mean a step", "longest phase"), zip(*window_ms, strict=True), strict=True):
        print(f"window's thread, {name:16} {statistics.median(values):6.1f} ms")


def _print_found(runs: list[Session]) -> None:
    truth = true_map(runs[0].survey.shape[0])
    inside = Patches(runs[0].survey, runs[0].plan.search.patch_size).inside(truth)
    print("seed  of the model's points on the top 10 %, on the top 1 %, of")
    shares = []
    for seed, session in zip(SEEDS, runs, strict=True):
        proposals = [measurement.proposal for measurement in session.measurements]
        chosen = [p for p in proposals if p.origin == "model"]
        values = numpy.array([truth[p.row, p.column] for p in chosen])
        top10, top1 = (int((values >= numpy.quantile(inside, q)).sum()) for q in (0.9, 0.99))
        shares.append(top10)
        print(f"{seed:4}  {top10:3} {top1:3} {len(chosen):3}")
    print(f"median on the top 10 %: {statistics.median(shares)} (chance: {0.1 * len(chosen):.0f})")


def _print_times(runs: list[Session]) -> None:
    steps = [step_record(session, number) for session in runs for number in range(1, session.count + 1)]
    times = [step.times for step in steps if step.times is not None and step.model]
    for part in ("camera", "scalarizer", "model", "recorder"):
        values = [1e3 * getattr(t, part) for t in times]
        print(f"{part:12} median {statistics.median(values):7.2f} ms, 95 % {numpy.quantile(values, 0.95):7.2f} ms")


if __name__ == "__main__":
    main()
