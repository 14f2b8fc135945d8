"""Composite readings."""

import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.patterns import Patterns, find_reference
from dkl_ae.records import Symmetry
from dkl_ae.scalarizers import SCALARIZERS, catalogue, read, scalarize
from dkl_ae.scalarizers.expression import composite
from tests.support.discs import REFERENCE, disc

PATTERN = numpy.random.default_rng(0).poisson(disc((31.6, 33.0), counts=1e5) + disc((31.6, 33.0), 30, counts=1e4))


def of(expression, pattern=PATTERN, reference=REFERENCE):
    return scalarize(pattern, reference, [composite(expression, SCALARIZERS)])["composite"]


def alone(name):
    return scalarize(PATTERN, REFERENCE)[name]


@pytest.mark.parametrize("name", ["com_x", "com_angle", "com_magnitude", "bf", "entropy"])
def test_a_name_alone_is_that_reading(name) -> None:
    found = of(name)
    assert (found.value, found.unit) == (alone(name).value, alone(name).unit)
    this, that = composite(name, SCALARIZERS), SCALARIZERS[name]
    assert (this.circular, this.excess, this.symmetry) == (that.circular, that.excess, that.symmetry)
    assert found.sigma == pytest.approx(alone(name).sigma)


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_weighted_sums_have_the_weighted_value_and_error(first, second) -> None:
    found = of(f"{first} * com_x + {second} * com_y - 1")
    x, y = alone("com_x"), alone("com_y")
    assert found.value == pytest.approx(first * x.value + second * y.value - 1)
    assert found.sigma == pytest.approx(math.hypot(first * x.sigma, second * y.sigma))


def test_functions_and_powers_are_understood() -> None:
    found = of(
        "sqrt(com_x**2 + com_y**2) / maximum(bf, 0.1) + abs(-2) * exp(0) - log(1) + sin(0) + cos(0) - minimum(1, 2)"
    )
    assert found.value == pytest.approx(alone("com_magnitude").value / alone("bf").value + 2)


def test_a_target_keeps_its_error_where_it_is_met() -> None:
    """An absolute value has no derivative there."""
    met = of(f"abs(com_x - {alone('com_x').value!r})")
    assert met.value == pytest.approx(0, abs=1e-12)
    assert met.sigma == pytest.approx(alone("com_x").sigma)


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("annulus(0, 1)", "bf"),
        ("annulus(0.5, 1)", "abf"),
        ("annulus(1.1, 99)", "adf"),
        ("segment(0.5, 1, -180, 180)", "abf"),
    ],
)
def test_regions_are_the_detectors_of_that_form(expression, name) -> None:
    found = of(expression)
    assert found.value == pytest.approx(alone(name).value, rel=1e-5)
    assert found.sigma == pytest.approx(alone(name).sigma, rel=1e-4)


def test_segments_share_out_their_annulus() -> None:
    parts = [of(f"segment(0, 1, {start}, {start + 90})").value for start in (45, 135, 225, 315)]
    assert sum(parts) == pytest.approx(alone("bf").value, rel=1e-5)
    right_less_left = of("segment(0, 1, -90, 90) - segment(0, 1, 90, 270)")
    assert right_less_left.value == pytest.approx(alone("dpc_x").value, abs=0.03)


def test_rectangles_and_ellipses_are_in_mrad_from_the_disc() -> None:
    mask = numpy.zeros((64, 64), bool)
    mask[31 - 4 : 31 + 5, 32 + 4 : 32 + 13] = True
    reference = find_reference(disc((31.0, 32.0)), (2.5, 2.5))
    found = of("rectangle(20, 0, 21, 21)", reference=reference)
    assert found.value == pytest.approx(PATTERN[mask].sum() / PATTERN.sum())
    assert of("ellipse(0, 0, 60, 60)", reference=reference).value == pytest.approx(
        scalarize(PATTERN, reference)["bf"].value, rel=0.02
    )


def test_a_picked_pattern_is_compared_with(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    numpy.save("picked.npy", REFERENCE.pattern)
    assert of('correlation("picked.npy")').value == pytest.approx(alone("vacuum_correlation").value)
    assert of('1 - distance("picked.npy")').value == pytest.approx(1 - alone("vacuum_distance").value)
    numpy.save("small.npy", numpy.ones((8, 8)))
    assert of('correlation("small.npy")').reason.startswith("the pattern in small.npy is 8 x 8 pixels")


def test_a_file_is_found_by_its_windows_name(tmp_path) -> None:
    """Backslashes are no escapes: here they stand for the other kind."""
    numpy.save(tmp_path / "new.npy", REFERENCE.pattern)
    written = str(tmp_path / "new.npy").replace("/", "\\")
    assert of(f'correlation("{written}")').value == pytest.approx(alone("vacuum_correlation").value)


def test_where_it_has_no_value_it_says_so() -> None:
    assert of("log(0 * com_x)").reason.startswith("the expression gives -inf here")
    vacuum = of("bragg_spacing / com_x")
    assert math.isnan(vacuum.value)
    assert vacuum.reason.startswith("no diffraction here")


def test_a_stack_is_read_item_by_item() -> None:
    stack = numpy.stack([PATTERN, disc(), numpy.zeros((64, 64))])
    whole = read(composite("com_magnitude / abf", SCALARIZERS), Patterns(stack, REFERENCE))
    assert whole.value[0] == pytest.approx(of("com_magnitude / abf").value, rel=1e-4)
    assert numpy.isnan(whole.value[2])
    assert list(whole.reasons) == [2]


def test_it_keeps_the_symmetry_that_all_of_its_parts_have() -> None:
    assert composite("com_magnitude / annulus(1, 2)", SCALARIZERS).symmetry is Symmetry.SCALAR
    assert composite("com_magnitude + com_x", SCALARIZERS).symmetry is Symmetry.NONE
    assert composite("charge_density / bf", SCALARIZERS).needs_cross


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("com_x +", r"'com_x \+' cannot be understood: write one such as"),
        ("colour / abf", "has 'colour': use scalarizers"),
        ("com_x.real", "has 'com_x.real': use scalarizers"),
        ("__import__('os').system('true')", "use scalarizers"),
        ("com_x if bf else 1", "use scalarizers"),
        ("True + com_x", "has 'True': use scalarizers"),
        ("2 + 3", "reads nothing of a pattern: name a scalarizer"),
        ("sqrt(com_x, 2)", "gives sqrt 2 arguments: it takes 1"),
        ("annulus(1)", r"gives annulus 1 numbers: write annulus\(inner, outer\)"),
        (
            "annulus(5, 1)",
            r"annulus\(5, 1\) holds no pixel: choose an inner radius of 0 or more",
        ),
        ("bf / segment(1, 1, 0, 90)", r"segment\(1, 1, 0, 90\) holds no pixel"),
        ("annulus(-1, 1)", "holds no pixel"),
        ("rectangle(0, 0, -5, 5)", r"rectangle\(0, 0, -5, 5\) holds no pixel: choose a width and a height above 0"),
        ("ellipse(0, 0, 5, 0)", "holds no pixel"),
        ("annulus(1, com_x)", "has 'com_x' where a number belongs"),
        ("correlation('nowhere.npy')", "nowhere.npy cannot be read as a NumPy file: choose a .npy file"),
        (f"com_x + {'9' * 400}", "where a number belongs"),
    ],
)
def test_what_cannot_be_understood_is_told_in_one_sentence(expression, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        composite(expression, SCALARIZERS)


def test_the_catalogue_has_it_only_where_it_is_written() -> None:
    assert "composite" not in catalogue()
    assert catalogue(expression="com_x / bf")["composite"].description == "com_x / bf"
