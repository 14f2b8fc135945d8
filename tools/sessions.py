"""How long it takes to keep a measurement, and to open a long session: python tools/sessions.py [MEASUREMENTS]

A pattern of 256 x 256 uint16 with all readings is appended and put on the disk; the asked 5 ms at 10,000 measurements,
and 2 s to open them for review.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile
import time

import numpy

from dkl_ae.instruments import Frame
from dkl_ae.records import (
    DEFAULT_ELECTRONS,
    DEFAULT_EXPOSURE_S,
    Measurement,
    Origin,
    Position,
    Proposal,
    Reading,
    Survey,
)
from dkl_ae.run import Dose, PointMeasured, SurveyAcquired
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.session import SessionWriter, open_session
from dkl_ae.settings import make_plan

SIDE = 256


def patterns(count: int) -> list[numpy.typing.NDArray[numpy.uint16]]:
    """A bright-field disc with some scattering, counted with Poisson noise."""
    random = numpy.random.default_rng(0)
    y, x = numpy.mgrid[:SIDE, :SIDE] - SIDE / 2
    share = numpy.where(numpy.hypot(y, x) < 40, 1.0, 2e-3)
    expected = DEFAULT_ELECTRONS * share / share.sum()
    return [random.poisson(expected).astype(numpy.uint16) for _ in range(count)]


def main(count: int) -> None:
    plan = make_plan(seed_points=10, model_points=count - 10)
    survey = Survey(numpy.random.default_rng(0).normal(size=(128, 128)), 0.05)
    some = patterns(16)
    readings = {s.name: Reading(1.0, 0.1, s.unit) for s in SCALARIZERS.values()}
    times = []
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "session.h5"
        writer = SessionWriter(file, plan, SCALARIZERS)
        writer.keep(SurveyAcquired(plan, survey, Dose(0.1, 1e6)))
        for step in range(1, count + 1):
            frame = Frame(some[step % 16], (1.0, 1.0), 1.0, Position(0.5, 0.5), DEFAULT_EXPOSURE_S, float(step))
            proposal = Proposal(step, step // 128, step % 128, Origin.MODEL, 1.0, 0.5, 0.1, 0.5)
            there = Position(0.5, 0.5)
            measurement = Measurement(
                proposal, there, there, readings, DEFAULT_ELECTRONS, DEFAULT_EXPOSURE_S, float(step)
            )
            event = PointMeasured(
                step, measurement, frame, (), Dose(DEFAULT_EXPOSURE_S * step, DEFAULT_ELECTRONS * step)
            )
            start = time.perf_counter()
            writer.keep(event)
            times.append(time.perf_counter() - start)
        writer.close()
        for what, part in (("first", times[1:1001]), ("last", times[-1000:])):
            median, most = numpy.percentile(part, (50, 95)) * 1e3
            print(f"{what} {len(part):,} of {count:,}: median {median:.2f} ms, 95 % within {most:.2f} ms")
        size = file.stat().st_size
        print(f"file: {size / 2**20:.0f} MiB, {size / count / 1024:.1f} KiB a measurement")
        start = time.perf_counter()
        with open_session(file) as session:
            opened = time.perf_counter() - start
            start = time.perf_counter()
            session.pattern(count // 2)
            one = time.perf_counter() - start
            start = time.perf_counter()
            assert len(session.measurements) == count
            records = time.perf_counter() - start
        print(f"opened in {opened:.2f} s; a pattern {one * 1e3:.1f} ms; every measurement as a record {records:.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
