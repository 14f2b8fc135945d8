"""Laws of the survey and its patches."""

import numpy
import pytest
import scipy.ndimage
from hypothesis import assume, given
from hypothesis import strategies as st

from dkl_ae.records import Patches, Position, Survey, cleaned, darkest_pixels, darkest_pixels_in


def survey(height: int = 9, width: int = 11) -> Survey:
    return Survey(numpy.random.default_rng(0).random((height, width)), 0.1)


sizes = st.sampled_from([1, 3, 5, 7, 9])
spacings = st.integers(1, 5)
shapes = st.tuples(st.integers(9, 16), st.integers(9, 16))


@given(shapes, sizes, spacings, st.data())
def test_a_window_is_centred_on_its_candidates_pixel(shape, size, spacing, data) -> None:
    patches = Patches(survey(*shape), size, spacing)
    candidate = data.draw(st.integers(0, patches.count - 1))
    row, column = patches.pixel(candidate)
    half = size // 2
    expected = patches.survey.image[row - half : row + half + 1, column - half : column + half + 1]
    window = patches.windows.reshape(patches.count, size, size)[candidate]
    numpy.testing.assert_array_equal(window, expected)
    assert window[half, half] == patches.survey.image[row, column]


@given(shapes, sizes, spacings, st.data())
def test_pixel_and_candidate_are_inverse(shape, size, spacing, data) -> None:
    patches = Patches(survey(*shape), size, spacing)
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


@given(shapes, sizes, spacings)
def test_the_candidate_of_a_pixel_is_the_nearest_one(shape, size, spacing) -> None:
    patches = Patches(survey(*shape), size, spacing)
    image = patches.to_map(numpy.arange(patches.count))
    assert patches.inside(image).shape == patches.inner_shape
    places = numpy.array([patches.pixel(candidate) for candidate in range(patches.count)])
    for row, column in numpy.argwhere(numpy.isfinite(image)):
        distances = numpy.abs(places - (row, column)).max(axis=1)
        assert distances[patches.candidate(row, column)] == distances.min()
    numpy.testing.assert_allclose(patches.positions_nm, (places - places[0]) * patches.survey.pixel_size_nm)


@given(shapes, sizes, spacings, st.booleans(), st.data())
def test_a_map_of_thinned_candidates_is_linear_between_them(shape, size, spacing, circular, data) -> None:
    """scipy's interpolation is the oracle; an angle goes the short way round, and what is undefined spreads no farther
    than to the next candidates."""
    patches = Patches(survey(*shape), size, spacing)
    values = numpy.random.default_rng(data.draw(st.integers(0, 9))).uniform(-numpy.pi, numpy.pi, patches.count)
    undefined = data.draw(st.none() | st.integers(0, patches.count - 1))
    if undefined is not None:
        values[undefined] = numpy.nan
    image = patches.to_map(values, circular=circular)
    for candidate, value in enumerate(values):
        numpy.testing.assert_equal(image[patches.pixel(candidate)], value)
    between = patches.inside(image)
    known = numpy.isfinite(between)
    if undefined is not None:
        away = numpy.argwhere(~known) / spacing - divmod(undefined, patches.grid[1])
        assert numpy.abs(away).max() < 1
    seen = numpy.exp(1j * values) if circular else values
    places = numpy.indices(patches.inner_shape) / spacing
    grid = numpy.nan_to_num(seen.reshape(patches.grid))
    expected = scipy.ndimage.map_coordinates(grid, places, order=1, mode="nearest")[known]
    shown = numpy.exp(1j * between[known]) * numpy.abs(expected) if circular else between[known]
    numpy.testing.assert_allclose(shown, expected, atol=1e-9)


@given(shapes, sizes, spacings)
def test_thinned_candidates_look_as_they_do_among_all(shape, size, spacing) -> None:
    every, some = (Patches(survey(*shape), size, pixels) for pixels in (1, spacing))
    same = [every.candidate(*some.pixel(candidate)) for candidate in range(some.count)]
    numpy.testing.assert_array_equal(some.features, every.features[same])
    numpy.testing.assert_allclose(some.positions_nm, every.positions_nm[same])


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


# What is in a survey beside the specimen


def bilayer(height: int = 48, width: int = 52, seed: int = 0) -> numpy.ndarray:
    """Bright atoms of several pixels on noise; in its left part twice as many, in a corner none."""
    random = numpy.random.default_rng(seed)
    row, column = numpy.mgrid[:height, :width]
    sites = (1 + numpy.cos(row * 2 * numpy.pi / 6)) * (1 + numpy.cos(column * 2 * numpy.pi / 6))
    layers = 1.0 + (column < width // 2)
    layers[: height // 3, : width // 3] = 0.0
    return sites * layers + 0.1 * random.normal(size=(height, width))


def plainly_scaled(image: numpy.ndarray) -> numpy.ndarray:
    return ((image - image.mean()) / image.std()).astype(numpy.float32)


def middles(image: numpy.ndarray, size: int = 5) -> numpy.ndarray:
    """The scaled image, as far as it is the middle of patches."""
    return Patches(Survey(image, 0.1), size).features[:, size * size // 2]


@given(st.integers(0, 20))
def test_a_survey_of_atoms_layers_and_a_hole_is_scaled_and_no_more(seed) -> None:
    image = bilayer(seed=seed)
    inside = Patches(Survey(image, 0.1), 5).inside(plainly_scaled(image))
    numpy.testing.assert_array_equal(middles(image), inside.ravel())


wild_values = st.floats(1e2, 1e150).map(lambda size: size * 8)


@given(
    st.lists(st.tuples(st.integers(3, 44), st.integers(3, 48)), min_size=1, max_size=3),
    wild_values,
    wild_values,
    st.sampled_from([1, -1]),
)
def test_a_wild_pixel_costs_the_same_however_wild_it_is_and_little(places, first, second, sign) -> None:
    image = bilayer()
    clean = middles(image)
    found = []
    for value in (first, second):
        wild = image.copy()
        for place in places:
            wild[place] = sign * value
        found.append(middles(wild))
    numpy.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-5)
    hit = Patches(Survey(image, 0.1), 5)
    elsewhere = numpy.ones(hit.count, bool)
    elsewhere[[hit.candidate(*place) for place in places]] = False
    assert numpy.abs(found[0] - clean)[elsewhere].max() < 0.2
    assert numpy.abs(found[0]).max() < 12


@given(
    st.lists(st.tuples(st.integers(3, 44), st.integers(3, 48)), max_size=3, unique=True),
    wild_values,
    st.floats(5, 20),
    st.booleans(),
)
def test_what_was_cleaned_is_counted(wild, value, deviations, has_slope) -> None:
    image = bilayer()
    deviations = deviations if has_slope else 0.0
    slope = deviations * image.std() * numpy.linspace(0, 1, image.shape[1])
    seen = image + slope
    for place in wild:
        seen[place] = value
    found = cleaned(seen, 5)
    assert found.wild_pixels == len(wild)
    assert found.background == pytest.approx(deviations, rel=0.3, abs=0.01)


@given(st.integers(0, 47), wild_values)
def test_a_wild_row_costs_little(row, value) -> None:
    image = bilayer()
    wild = image.copy()
    wild[row] = value
    others = numpy.delete(numpy.arange(44), row - 2) if 2 <= row < 46 else numpy.arange(44)
    both = (middles(one).reshape(44, 48)[others] for one in (image, wild))
    assert numpy.corrcoef(*(one.ravel() for one in both))[0, 1] > 0.95
    assert numpy.abs(middles(wild)).max() < 12


@given(st.floats(5, 1e3), st.floats(0, 2 * numpy.pi))
def test_a_steep_background_is_taken_off(deviations, angle) -> None:
    image = bilayer(60, 60)
    row, column = numpy.mgrid[-0.5:0.5:60j, -0.5:0.5:60j]
    background = deviations * image.std() * (numpy.sin(angle) * row + numpy.cos(angle) * column)
    tilted, plain = middles(image + background), middles(image)
    assert numpy.corrcoef(tilted, plain)[0, 1] > 0.85


@given(st.integers(1, 4), st.integers(1, 4), st.floats(1e-3, 1e100))
def test_a_survey_may_be_as_small_as_it_likes(height, width, value) -> None:
    image = numpy.zeros((height, width))
    image[0, 0] = value
    assume(height * width > 1)
    assert numpy.isfinite(Patches(Survey(image, 0.1), 1).features).all()


@pytest.mark.parametrize("slope", [(1.0, 0.0), (0.3, -2.0)])
def test_a_survey_that_is_nothing_but_a_slope_is_seen_as_it_is(slope) -> None:
    y, x = numpy.mgrid[:20, :24]
    features = Patches(Survey(slope[0] * y + slope[1] * x, 0.1), 3).features
    assert numpy.isfinite(features).all()
    assert features.std() > 0.5


def test_the_dark_is_found_in_the_middle_of_a_hole_without_a_count() -> None:
    """And not on its upper rim, where rows begin."""
    image = numpy.full((40, 60), 9.0)
    row, column = numpy.mgrid[:40, :60]
    image[numpy.hypot(row - 24, column - 37) < 12] = 0.0
    for found in (
        darkest_pixels(Survey(image, 0.1), 4),
        darkest_pixels_in(Survey(image, 0.1), (0.0, 0.3, 1.0, 0.6), 4),
    ):
        assert (numpy.hypot(found[:, 0] - 24, found[:, 1] - 37) < 9).all()
