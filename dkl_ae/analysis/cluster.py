"""The maps of a recorded set on a Dask cluster: each worker opens the recording itself, under the same name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

import distributed
import threadpoolctl

from dkl_ae.analysis.scalarized_maps import ChunkResult, Executor, ReadingContext, Request, read_chunk, required
from dkl_ae.recordings import Chunk, Recording
from dkl_ae.records import UserError

PATIENCE_S = 10
"""How long a scheduler may take to answer."""


def on_cluster(address: str, request: Request) -> Executor:
    """Spread the work over the workers of a scheduler, such as tcp://host:8786.

    Raises UserError, one sentence, when there is no scheduler.
    """
    try:
        client = distributed.Client(address, timeout=PATIENCE_S)
    except (OSError, ValueError) as error:
        raise UserError(
            f"There is no Dask scheduler at {address} ({error}): start one, or leave --scheduler out."
        ) from error

    def spread(work: Callable[[Chunk], ChunkResult], chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, ChunkResult]]:
        assert isinstance(work, functools.partial)
        against: ReadingContext = work.args[1]
        with client:
            # Sent once to each worker, which then computes its weights once.
            (there,) = client.scatter([against], broadcast=True, hash=False)
            waiting = {client.submit(_read_there, request, there, chunk, pure=False): chunk for chunk in chunks}
            for done in distributed.as_completed(list(waiting)):
                yield waiting[done], done.result()

    return spread


def _read_there(request: Request, against: ReadingContext, chunk: Chunk) -> ChunkResult:
    with threadpoolctl.threadpool_limits(1):
        return read_chunk(_opened(request), against, required(request.chosen()), request.electrons, chunk)


@functools.lru_cache(maxsize=2)
def _opened(request: Request) -> Recording:
    return request.open()
