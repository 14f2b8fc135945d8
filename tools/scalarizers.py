"""How fast patterns are read, beside numpy.sum and, where they are installed, py4DSTEM and LiberTEM.

Run as `OMP_NUM_THREADS=1 python tools/scalarizers.py`. Every figure is the least of several repetitions, in ms.
"""

from __future__ import annotations

import concurrent.futures
import functools
import importlib.util
import time
from collections.abc import Callable

import numpy
import numpy.typing
import threadpoolctl

from dkl_ae.patterns import Patterns, Reference, find_reference
from dkl_ae.records import DEFAULT_ELECTRONS, FloatArray
from dkl_ae.scalarizers import CENTRE_OF_MASS, SCALARIZERS, VIRTUAL_DETECTORS, read, scalarize

FAST = (*CENTRE_OF_MASS, *VIRTUAL_DETECTORS)
RINGS = ((0.0, 1.0), (0.5, 1.0), (1.1, 9.0), (1.1, 2.0), (2.0, 9.0))
"""Inner and outer radius of the virtual detectors, in disc radii."""
CHUNK = 512
THREADS = 2

Stack = numpy.typing.NDArray[numpy.float32]


def main() -> None:
    with threadpoolctl.threadpool_limits(1):
        for side in (64, 256, 1024):
            time_frame(side)
        time_stack(128)


def show(what: str, work: Callable[[], object], seconds: float = 2.0) -> None:
    work()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    print(f"  {what:45s} {1000 * min(times):9.3f}")


def disc(side: int) -> FloatArray:
    """Electrons of an undeflected beam of 30 mrad on a detector that reaches to 80 mrad, shape (side, side)."""
    y, x = numpy.indices((side, side)) - (side - 1) / 2
    covered: FloatArray = numpy.clip(12 * side / 64 + 0.5 - numpy.hypot(y, x), 0, 1)
    electrons: FloatArray = covered * DEFAULT_ELECTRONS / covered.sum()
    return electrons


def time_frame(side: int) -> None:
    reference = find_reference(disc(side), (160 / side, 160 / side))
    pattern = numpy.random.default_rng(0).poisson(disc(side)).astype(numpy.uint16)
    print(f"one frame, {side} x {side} uint16")
    show("all CoM and virtual detectors, with sigma", lambda: scalarize(pattern, reference, FAST))
    for name in ("entropy", "vacuum_distance", "bragg_spacing"):
        show(name, functools.partial(scalarize, pattern, reference, [SCALARIZERS[name]]))
    show("everything", lambda: scalarize(pattern, reference))


def time_stack(side: int) -> None:
    random = numpy.random.default_rng(0)
    stack = random.poisson(disc(side) / 100, (64, 64, side, side)).astype(numpy.float32)
    reference = find_reference(stack[0].mean(axis=0), (160 / side, 160 / side), exposures=64)
    print(f"stack, 64 x 64 x {side} x {side} float32")
    show("numpy.sum", lambda: numpy.sum(stack))
    show("all CoM and virtual detectors, 1 thread", lambda: read_stack(stack, reference, map))
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        show(f"all CoM and virtual detectors, {THREADS} threads", lambda: read_stack(stack, reference, pool.map))
    if importlib.util.find_spec("py4DSTEM"):
        time_py4dstem(stack, reference)
    if importlib.util.find_spec("libertem"):
        time_libertem(stack, reference)


def read_stack(stack: Stack, reference: Reference, spread: Callable[..., object]) -> None:
    def work(part: Stack) -> None:
        patterns = Patterns(part, reference)
        for scalarizer in FAST:
            read(scalarizer, patterns)

    flat = stack.reshape(-1, *stack.shape[2:])
    for _ in spread(work, [flat[start : start + CHUNK] for start in range(0, len(flat), CHUNK)]):  # type: ignore[attr-defined]
        pass


def time_py4dstem(stack: Stack, reference: Reference) -> None:
    import py4DSTEM

    cube = py4DSTEM.DataCube(stack)
    radius = reference.radius_mrad / reference.mrad_per_pixel[0]

    def detectors() -> None:
        for number, (inner, outer) in enumerate(RINGS):
            geometry = (reference.centre, (inner * radius, outer * radius))
            cube.get_virtual_image("annulus", geometry, name=str(number), verbose=False)

    def centre_of_mass() -> None:
        found = py4DSTEM.process.phase.DPC(datacube=cube, energy=70e3, verbose=False)
        found.preprocess(
            force_com_rotation=0, force_com_transpose=False, plot_center_of_mass=False, plot_rotation=False
        )

    show("py4DSTEM, five virtual detectors", detectors)
    show("py4DSTEM, centre of mass", centre_of_mass)


def time_libertem(stack: Stack, reference: Reference) -> None:
    from libertem.api import Context
    from libertem.executor.concurrent import ConcurrentJobExecutor
    from libertem.udf.com import CoMParams, CoMUDF
    from libertem.udf.masks import ApplyMasksUDF

    y, x = reference.centre
    radius = reference.radius_mrad / reference.mrad_per_pixel[0]
    rows, columns = numpy.indices(stack.shape[2:])
    distance = numpy.hypot(rows - y, columns - x) / radius
    masks = [((distance >= inner) & (distance <= outer)).astype(numpy.float32) for inner, outer in RINGS]
    detectors = ApplyMasksUDF(mask_factories=lambda: numpy.stack(masks), use_sparse=False)
    centre_of_mass = CoMUDF(com_params=CoMParams(cy=y, cx=x, r=1.1 * radius))
    with Context(executor=ConcurrentJobExecutor.make_local()) as context:
        data = context.load("memory", data=stack, sig_dims=2)
        show("LiberTEM, both in one pass", lambda: context.run_udf(data, [centre_of_mass, detectors]))


if __name__ == "__main__":
    main()
