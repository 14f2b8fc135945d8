"""The symmetries of the square, and how readings follow them."""

from __future__ import annotations

import numpy
import pytest

from dkl_ae.records import Symmetry, symmetry_operations


@pytest.mark.parametrize("size", [1, 3, 5, 13])
def test_the_identity_comes_first_and_every_element_is_a_permutation(size: int) -> None:
    for symmetry in Symmetry:
        first, *others = symmetry_operations(symmetry, size)
        numpy.testing.assert_array_equal(first.pixels, numpy.arange(size**2))
        assert first.sign == 1
        for element in others:
            numpy.testing.assert_array_equal(numpy.sort(element.pixels), numpy.arange(size**2))


@pytest.mark.parametrize(
    ("symmetry", "count"), [(Symmetry.NONE, 1), (Symmetry.SCALAR, 8), (Symmetry.X, 4), (Symmetry.Y, 4)]
)
def test_they_are_a_group_whose_signs_multiply(symmetry: Symmetry, count: int) -> None:
    found = symmetry_operations(symmetry, 5)
    assert len({tuple(element.pixels) for element in found}) == count
    signs = {tuple(element.pixels): element.sign for element in found}
    for one in found:
        for other in found:
            assert signs[tuple(one.pixels[other.pixels])] == one.sign * other.sign


@pytest.mark.parametrize("symmetry", list(Symmetry))
def test_readings_of_a_changed_patch_change_as_their_sign_says(symmetry: Symmetry) -> None:
    """A centre of mass is the plainest of vectors, its magnitude of scalars."""
    patch = numpy.random.default_rng(0).random((7, 7))
    y, x = numpy.indices(patch.shape) - 3
    for element in symmetry_operations(symmetry, 7):
        changed = patch.ravel()[element.pixels].reshape(7, 7)
        before, after = (numpy.array([(image * y).sum(), (image * x).sum()]) for image in (patch, changed))
        if symmetry is Symmetry.SCALAR:
            assert numpy.hypot(*after) == pytest.approx(numpy.hypot(*before))
            assert element.sign == 1
        elif symmetry is Symmetry.X:
            assert after[1] == pytest.approx(element.sign * before[1])
        elif symmetry is Symmetry.Y:
            assert after[0] == pytest.approx(element.sign * before[0])
