"""Where waves are computed: numpy's arrays on the CPU, or torch's on a GPU. The calls are spelled alike in both."""

from __future__ import annotations

import typing

import numpy
import scipy.fft


class Backend(typing.Protocol):
    """Arrays and their Fourier transforms; arguments are positional, as their names differ."""

    fft: typing.Any
    """Has fft(array, n, axis) and its like."""

    def put(self, array: typing.Any) -> typing.Any:
        """A numpy array as one of this backend's."""

    def zeros(self, shape: tuple[int, ...]) -> typing.Any:
        """A complex64 array."""

    def get(self, array: typing.Any) -> typing.Any:
        """One of this backend's arrays as a numpy array."""


class NumpyBackend:
    fft: typing.Any = scipy.fft

    def put(self, array: typing.Any) -> typing.Any:
        return array

    def zeros(self, shape: tuple[int, ...]) -> typing.Any:
        return numpy.zeros(shape, numpy.complex64)

    def get(self, array: typing.Any) -> typing.Any:
        return array


class TorchBackend:
    fft: typing.Any

    def __init__(self, device: str) -> None:
        # torch takes seconds to import, and only a GPU needs it.
        import torch

        self._torch = torch
        self._device = device
        self.fft = torch.fft

    def put(self, array: typing.Any) -> typing.Any:
        return self._torch.as_tensor(array, device=self._device)

    def zeros(self, shape: tuple[int, ...]) -> typing.Any:
        return self._torch.zeros(shape, dtype=self._torch.complex64, device=self._device)

    def get(self, array: typing.Any) -> typing.Any:
        return array.cpu().numpy()
