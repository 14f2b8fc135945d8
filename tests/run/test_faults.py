"""A share of the campaign of tools/faults: whatever fails, wherever, nothing is undefined afterwards."""

from __future__ import annotations

import numpy
import pytest

from tests.support.faults import random_fault, undefined


@pytest.mark.exhaustive(ordinary=12, full=300)
@pytest.mark.timeout(3000)
def test_a_fault_anywhere_leaves_nothing_undefined(tmp_path, times) -> None:
    random = numpy.random.default_rng(20261128)
    for number in range(times):
        fault = random_fault(random, tmp_path)
        folder = tmp_path / str(number)
        folder.mkdir()
        trouble, told = undefined(fault, folder)
        assert not trouble, f"{fault} ({told}): {trouble}"
