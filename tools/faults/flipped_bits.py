"""Session files with 1 to 32 flipped bits: what comes of reviewing, exporting, reporting and resuming them.

Run as `OMP_NUM_THREADS=1 PYTHONPATH=. python tools/faults/flipped_bits.py [FILES [FIRST]]`, 1000 by default, whose
seeds count from FIRST (0). Each line that it prints while it works is one that must not be: a traceback, a hang (killed
after five minutes) or a crash, with the seed that makes the file again. At the end it counts what came of each action:
`fine` (nothing that matters was hit, or it was told), `refused` (in one sentence), and those.
"""

from __future__ import annotations

import collections
import pathlib
import sys
import tempfile
import typing
from collections.abc import Sequence

from tests.support.flipped_bits import ACTIONS, cases
from tests.support.kept_runs import kept_run

_UNDEFINED: typing.Final = ("traceback", "hang", "crash")


def main(arguments: Sequence[str]) -> int:
    count = int(arguments[0]) if arguments else 1000
    first = int(arguments[1]) if len(arguments) > 1 else 0
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    with tempfile.TemporaryDirectory() as name:
        session = pathlib.Path(name) / "session.h5"
        kept_run(session, killed_after=12)
        for case in cases(session, range(first, first + count)):
            counts[case.action, case.outcome] += 1
            if case.outcome in _UNDEFINED:
                print(f"{case.seed} {case.action}: {case.outcome}\n{case.told}", flush=True)
    outcomes = ("fine", "refused", *_UNDEFINED)
    print(f"{'':8}" + "".join(f"{outcome:>11}" for outcome in outcomes))
    for action in ACTIONS:
        print(f"{action:8}" + "".join(f"{counts[action, outcome]:11}" for outcome in outcomes))
    return 1 if any(counts[action, outcome] for action in ACTIONS for outcome in _UNDEFINED) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
