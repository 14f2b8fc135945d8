"""The path picture shows what was visited, in Swift's order of colours."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.records import Origin, Proposal
from nionswift_plugin.dkl_ae_ui.project.path_picture import NEXT_COLOUR, ORIGIN_COLOURS, PathPicture

SURVEY = numpy.random.default_rng(0).random((40, 60))
pixels = st.tuples(st.integers(0, 39), st.integers(0, 59))


def proposal(pixel: tuple[int, int], origin: Origin = Origin.MODEL) -> Proposal:
    return Proposal(0, *pixel, origin)


@given(st.lists(st.tuples(pixels, st.sampled_from(Origin)), min_size=1, max_size=20, unique_by=lambda both: both[0]))
def test_the_last_visited_point_has_its_colour(visited) -> None:
    picture = PathPicture(SURVEY)
    for pixel, origin in visited:
        picture.visit(proposal(pixel, origin))
    pixel, origin = visited[-1]
    centre = tuple(p * picture.enlargement + picture.enlargement // 2 for p in pixel)
    assert tuple(picture.image(None)[centre]) == ORIGIN_COLOURS[origin]
    assert len(set(ORIGIN_COLOURS.values())) == len(Origin)


@given(pixels)
def test_the_next_point_is_marked_on_a_copy_only(pixel) -> None:
    picture = PathPicture(SURVEY)
    before = picture.image(None)
    marked = picture.image(proposal(pixel))
    assert (marked == NEXT_COLOUR).all(axis=-1).any()
    numpy.testing.assert_array_equal(picture.image(None), before)


@pytest.mark.parametrize(("shape", "expected"), [((40, 60), (360, 540)), ((600, 700), (600, 700))])
def test_small_surveys_are_enlarged(shape, expected) -> None:
    assert PathPicture(numpy.random.default_rng(0).random(shape)).image(None).shape == (*expected, 3)
