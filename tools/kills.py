"""Runs that are killed at random instants, again and again: what their session files hold, and how they end.

Run as `OMP_NUM_THREADS=1 PYTHONPATH=. python tools/kills.py [KILLS]`, 100 by default. Each line is one run of `dkl-ae
replay`, killed, gone on with by `dkl-ae resume`, killed again, some times, and then left to its end: how many
measurements had been announced when it was killed, how many the file held (a dash: there was no file yet), and whether
path, readings, dose, patterns and maps at the end are those of a run that was never killed.
"""

from __future__ import annotations

import itertools
import pathlib
import sys
import tempfile
import typing
from collections.abc import Sequence

import numpy

from tests.support.kills import Kill, are_equal, end_of, killed_again_and_again, make_recording, replay

MAX_KILLS_OF_A_RUN: typing.Final = 5
_SCALARIZERS: typing.Final = ("com_magnitude", "charge_density", "principal_component")


def main(arguments: Sequence[str]) -> int:
    kills = int(arguments[0]) if arguments else 100
    random = numpy.random.default_rng(0)
    done: list[Kill] = []
    all_equal = True
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        recording = folder / "recording.h5"
        make_recording(recording)
        ends = {}
        for scalarizer in _SCALARIZERS:
            replay(recording, folder / f"{scalarizer}.h5", scalarizer).communicate()
            ends[scalarizer] = end_of(folder / f"{scalarizer}.h5")
        print(f"{'run':>3} {'scalarizer':20} {'announced -> found':60} ended as one that was never killed")
        for run in itertools.count():
            scalarizer = _SCALARIZERS[run % len(_SCALARIZERS)]
            session = folder / f"{run}.h5"
            most = min(MAX_KILLS_OF_A_RUN, kills - len(done))
            found = killed_again_and_again(recording, session, scalarizer, most, random)
            is_equal = are_equal(end_of(session), ends[scalarizer])
            all_equal &= is_equal
            told = "   ".join(f"{kill.announced} -> {'-' if kill.found is None else kill.found}" for kill in found)
            print(f"{run + 1:3} {scalarizer:20} {told:60} {'yes' if is_equal else 'NO'}", flush=True)
            done += found
            if len(done) == kills:
                break
    lost = sum(max(kill.announced - (kill.found or 0), 0) for kill in done)
    print(f"{len(done)} kills: {lost} measurements lost.")
    return 0 if all_equal and not lost else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
