"""The fast Fourier transform of atoms against the sum that it stands for."""

from __future__ import annotations

import numpy
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.simulation.nufft import structure_factor

SHAPE = (40, 54)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 30))
def test_it_is_the_sum_over_atoms(seed: int, count: int) -> None:
    positions = numpy.random.default_rng(seed).uniform(6, (34, 48), (count, 2))
    k_y, k_x = numpy.fft.fftfreq(SHAPE[0])[:, None], numpy.fft.rfftfreq(SHAPE[1])[None]
    phases = positions[:, 0, None, None] * k_y + positions[:, 1, None, None] * k_x
    expected = numpy.exp(-2j * numpy.pi * phases).sum(axis=0)
    error = numpy.abs(structure_factor(positions, SHAPE) - expected) / count
    k = numpy.maximum(numpy.abs(k_y), numpy.abs(k_x))
    assert error[k <= 0.25].max() < 2e-4
    assert error[k <= 0.4].max() < 0.05


def test_no_atoms_scatter_nothing() -> None:
    assert not structure_factor(numpy.empty((0, 2)), SHAPE).any()
