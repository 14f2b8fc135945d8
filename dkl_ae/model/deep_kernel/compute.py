"""Where torch computes, and on how many threads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from dkl_ae.records import UserError


@contextlib.contextmanager
def single_threaded_torch() -> Iterator[None]:
    """Compute on one CPU thread: two of them take ten times as long over small matrices."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def choose_device(device: str) -> torch.device:
    """device: "cpu", "gpu" or "auto", which takes the GPU when there is one.

    Raises UserError when a GPU is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if device == "gpu" and not available:
        raise UserError("No CUDA GPU was found: choose CPU or Automatic to compute on.")
    return torch.device("cuda" if available and device != "cpu" else "cpu")
