"""Laws of the survey and its patches."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.records import Patches, Position, Survey


def survey(height: int = 9, width: int = 11) -> Survey:
    return Survey(numpy.random.default_rng(0).random((height, width)), 0.1)


sizes = st.sampled_from([1, 3, 5, 7, 9])
shapes = st.tuples(st.integers(9, 16), st.integers(9, 16))


@given(shapes, sizes, st.data())
def test_a_window_is_centred_on_its_candidates_pixel(shape, size, data) -> None:
    patches = Patches(survey(*shape), size)
    candidate = data.draw(st.integers(0, patches.count - 1))
    row, column = patches.pixel(candidate)
    half = size // 2
    expected = patches.survey.image[row - half : row + half + 1, column - half : column + half + 1]
    window = patches.windows.reshape(patches.count, size, size)[candidate]
    numpy.testing.assert_array_equal(window, expected)
    assert window[half, half] == patches.survey.image[row, column]


@given(shapes, sizes, st.data())
def test_pixel_and_candidate_are_inverse(shape, size, data) -> None:
    patches = Patches(survey(*shape), size)
    candidate = data.draw(st.integers(0, patches.count - 1))
    assert patches.candidate(*patches.pixel(candidate)) == candidate


@given(shapes, sizes)
def test_a_map_shows_each_candidates_value_at_its_pixel(shape, size) -> None:
    patches = Patches(survey(*shape), size)
    image = patches.to_map(numpy.arange(patches.count))
    for candidate in (0, patches.count // 2, patches.count - 1):
        assert image[patches.pixel(candidate)] == candidate
    assert numpy.count_nonzero(numpy.isfinite(image)) == patches.count
    numpy.testing.assert_array_equal(patches.inside(image).ravel(), numpy.arange(patches.count))


def test_windows_are_a_view() -> None:
    patches = Patches(survey(), 3)
    assert numpy.shares_memory(patches.windows, patches.survey.image)


def test_features_do_not_depend_on_the_detectors_gain_and_offset() -> None:
    first = survey()
    second = Survey(first.image * 40 + 7, 0.1)
    numpy.testing.assert_allclose(Patches(first, 5).features, Patches(second, 5).features, rtol=1e-4, atol=1e-5)


def test_positions_are_pixel_centres() -> None:
    position = survey(10, 20).position(0, 19)
    assert (position.y, position.x) == (0.05, 0.975)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (numpy.zeros((4, 4)), "Every pixel of the survey is 0"),
        (numpy.full((4, 4), numpy.nan), "16 pixels that are not numbers"),
        (numpy.arange(8.0), "1 dimensions"),
    ],
)
def test_a_survey_that_cannot_serve_is_refused_in_one_sentence(image, message) -> None:
    with pytest.raises(ValueError, match=message):
        Survey(image, 0.1)


@pytest.mark.parametrize(
    ("size", "message"),
    [(0, "is 0 px"), (-3, "is -3 px"), (12, "choose 13"), (99, "9 x 11 px")],
)
def test_a_patch_that_cannot_serve_is_refused_in_one_sentence(size, message) -> None:
    with pytest.raises(ValueError, match=message):
        Patches(survey(), size)


def test_a_pixel_in_the_margin_is_no_candidate() -> None:
    with pytest.raises(ValueError, match="at least 2 px from the edge"):
        Patches(survey(), 5).candidate(1, 5)


@given(shapes, st.floats(0, 1), st.floats(0, 1))
def test_coordinates_count_from_the_centre(shape, y, x) -> None:
    seen = survey(*shape)
    offset = seen.offset_nm(Position(y, x))
    back = seen.moved(Position(0.5, 0.5), *offset)
    assert (back.y, back.x) == pytest.approx((y, x))
    assert seen.offset_nm(Position(0.5, 0.5)) == (0.0, 0.0)
    assert seen.offset_nm(Position(1.0, 1.0)) == pytest.approx([side * seen.pixel_size_nm / 2 for side in seen.shape])
