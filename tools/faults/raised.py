"""Puts one fault each into many runs, and tells what was not as it must be afterwards.

Run as `python tools/faults/raised.py --count 1000 --seed 1`; see README.md. Ctrl-C ends it early. The exit status is 1
if anything was undefined.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import logging
import pathlib
import sys
import tempfile

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

from tests.support.faults import RAISED, SITES, random_fault, undefined


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="faults that are put in (1000)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed puts in the same faults (1)")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    random = numpy.random.default_rng(options.seed)
    put_in: collections.Counter[tuple[str, str]] = collections.Counter()
    failures: list[str] = []
    with contextlib.suppress(KeyboardInterrupt), tempfile.TemporaryDirectory() as counted:
        while put_in.total() < options.count:
            fault = random_fault(random, pathlib.Path(counted))
            with tempfile.TemporaryDirectory() as folder:
                trouble, told = undefined(fault, pathlib.Path(folder))
            if told:
                put_in[fault.site, told.partition(":")[0]] += 1
            if trouble:
                failures.append(f"{fault}, {told}: {trouble}")
                print(failures[-1], flush=True)
    show(put_in)
    print(f"{put_in.total()} faults, {len(failures)} undefined")
    return 1 if failures else 0


def show(put_in: collections.Counter[tuple[str, str]]) -> None:
    """A table of how many of each kind were put in where."""
    kinds = {"a failure": [], "what ends a program": [], "a wrong answer": ["wrong"], "a stop meanwhile": []}
    kinds["a failure"] = [name for name in RAISED if name not in ("KeyboardInterrupt", "SystemExit", "GeneratorExit")]
    kinds["what ends a program"] = ["KeyboardInterrupt", "SystemExit", "GeneratorExit"]
    kinds["a stop meanwhile"] = ["a stop while it takes its time"]
    print("| where | " + " | ".join(kinds) + " |\n| --- |" + " ---: |" * len(kinds))
    for site in SITES:
        row = [sum(put_in[site, name] for name in names) for names in kinds.values()]
        print(f"| `{site}` | " + " | ".join(map(str, row)) + " |")


if __name__ == "__main__":
    sys.exit(main())
