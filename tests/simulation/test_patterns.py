"""Laws of the simulated patterns, and their agreement with an independent multislice simulation."""

from __future__ import annotations

import numpy
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from dkl_ae.simulation import CameraGeometry, ImageSimulator, Optics, PatternSimulator, Specimen, graphene_with_silicon
from dkl_ae.simulation.presets import CARBON, SILICON
from tests.support.recorded_patterns import DATA, GRAPHENE
from tests.support.specimens import com, few_atoms


@pytest.fixture(scope="module")
def silicon() -> PatternSimulator:
    return PatternSimulator(few_atoms((1.0, 1.0, SILICON)))


@pytest.mark.parametrize(("pixels", "mrad"), [(64, 2.5), (96, 1.5), (32, 3.0), (256, 0.4)])
def test_vacuum_pattern_is_a_centred_disc_of_unit_sum(pixels: int, mrad: float) -> None:
    simulator = PatternSimulator(few_atoms(), geometry=CameraGeometry(pixels, mrad))
    pattern = simulator.pattern(0.3, 1.7)
    assert pattern.shape == (pixels, pixels)
    assert pattern.sum() == pytest.approx(1, abs=1e-5)
    for mirrored in (pattern[::-1], pattern[:, ::-1], pattern.T):
        numpy.testing.assert_allclose(mirrored, pattern, atol=1e-7)
    area = numpy.count_nonzero(pattern > pattern.max() / 2) * mrad**2
    assert area == pytest.approx(numpy.pi * 30**2, rel=0.03)


def test_far_from_the_atoms_there_is_vacuum(silicon: PatternSimulator) -> None:
    vacuum = PatternSimulator(few_atoms()).pattern(0, 0)
    for y_nm, x_nm in ((-3.0, 1.0), (1e4, -1e4)):
        numpy.testing.assert_allclose(silicon.pattern(y_nm, x_nm), vacuum, atol=1e-6)


@given(angle=st.floats(0, 2 * numpy.pi), distance=st.floats(0.02, 0.3))
@settings(max_examples=25, deadline=None)
def test_centre_of_mass_points_to_the_nucleus(silicon: PatternSimulator, angle: float, distance: float) -> None:
    away = distance * numpy.array([numpy.sin(angle), numpy.cos(angle)])
    pull = com(silicon, *(1.0 + away))
    assert -pull @ away / numpy.linalg.norm(pull) / distance > 0.999
    numpy.testing.assert_allclose(com(silicon, *(1.0 - away)), -pull, atol=1e-3)


def test_centre_of_mass_vanishes_where_symmetry_says_so(silicon: PatternSimulator) -> None:
    numpy.testing.assert_allclose(com(silicon, 1.0, 1.0), 0, atol=1e-3)
    pair = PatternSimulator(few_atoms((1.0, 0.9, CARBON), (1.0, 1.1, CARBON)))
    numpy.testing.assert_allclose(com(pair, 1.0, 1.0), 0, atol=1e-3)


@pytest.mark.parametrize("vector_nm", [(0.1, 0.0), (0.123, -0.077), (5.0, 3.3)])
def test_moving_the_atoms_and_the_probe_together_changes_nothing(vector_nm: tuple[float, float]) -> None:
    y, x = vector_nm
    atoms = [(1.0, 1.0, SILICON), (1.1, 0.9, CARBON)]
    moved = PatternSimulator(few_atoms(*[(a + y, b + x, number) for a, b, number in atoms]))
    here = PatternSimulator(few_atoms(*atoms))
    before, after = here.pattern(1.02, 0.95), moved.pattern(1.02 + y, 0.95 + x)
    numpy.testing.assert_allclose(after, before, atol=2e-3 * before.max())
    numpy.testing.assert_allclose(com(moved, 1.02 + y, 0.95 + x), com(here, 1.02, 0.95), atol=2e-3)


def test_transposing_the_atoms_transposes_the_pattern() -> None:
    here = PatternSimulator(few_atoms((1.0, 1.0, SILICON), (1.1, 0.85, CARBON)))
    turned = PatternSimulator(few_atoms((1.0, 1.0, SILICON), (0.85, 1.1, CARBON)))
    before, after = here.pattern(0.95, 1.07), turned.pattern(1.07, 0.95)
    numpy.testing.assert_allclose(after, before.T, atol=1e-6)


def test_heavier_atom_deflects_more(silicon: PatternSimulator) -> None:
    carbon = PatternSimulator(few_atoms((1.0, 1.0, CARBON)))
    for offset in (0.03, 0.06, 0.1):
        heavy, light = com(silicon, 1.0, 1.0 + offset), com(carbon, 1.0, 1.0 + offset)
        assert numpy.linalg.norm(heavy) > 1.2 * numpy.linalg.norm(light)


def test_many_patterns_equal_each_alone(silicon: PatternSimulator) -> None:
    random = numpy.random.default_rng(0)
    y, x = random.uniform(0, 2, (2, 20))
    together = silicon.patterns(y, x)
    assert together.shape == (20, 64, 64)
    for index in (0, 7, 19):
        numpy.testing.assert_allclose(together[index], silicon.pattern(y[index], x[index]), atol=1e-8)
    assert silicon.patterns([], []).shape == (0, 64, 64)


def test_defocus_keeps_the_electrons(silicon: PatternSimulator) -> None:
    defocused = silicon.with_optics(Optics(defocus_nm=15))
    assert defocused.pattern(1.0, 1.1).sum() == pytest.approx(silicon.pattern(1.0, 1.1).sum(), abs=0.01)


def test_changed_optics_equal_a_new_simulator(silicon: PatternSimulator) -> None:
    for optics in (
        Optics(convergence_mrad=22, defocus_nm=-5),
        Optics(high_tension_v=60e3),
        Optics(defocus_nm=-60, spherical_um=20),
    ):
        fresh = PatternSimulator(silicon.specimen, optics)
        numpy.testing.assert_array_equal(silicon.with_optics(optics).pattern(1.0, 1.05), fresh.pattern(1.0, 1.05))


@pytest.mark.parametrize(
    "aberrated",
    [
        Optics(defocus_nm=8.0, astigmatism_nm=(8.0, 0.0)),
        Optics(defocus_nm=8.0, astigmatism_nm=(0.0, 8.0)),
        Optics(coma_nm=(300.0, 0.0)),
        Optics(threefold_nm=(0.0, 300.0)),
        Optics(spherical_um=20.0),
    ],
    ids=["C12.x", "C12.y", "C21.x", "C23.y", "C30"],
)
def test_each_aberration_has_its_symmetry(aberrated: Optics) -> None:
    """The probe's density has the symmetry of its aberration: two- (out of focus), one-, three-fold, round."""
    images = ImageSimulator(few_atoms((1.0, 1.0, SILICON)), aberrated)
    angle = numpy.linspace(0, 2 * numpy.pi, 36, endpoint=False)
    ring = images.probe_density(1.2 * numpy.stack([numpy.sin(angle), numpy.cos(angle)], axis=-1))
    harmonics = numpy.abs(numpy.fft.rfft(ring))[1:7]
    name = {1: "coma_nm", 2: "astigmatism_nm", 3: "threefold_nm"}
    if aberrated.spherical_um:
        assert harmonics.max() < 0.05 * ring.sum()
        return
    order = next(order for order, field in name.items() if any(getattr(aberrated, field)))
    # Coma breaks every symmetry but the mirror; the others leave only multiples of their order.
    assert harmonics[order - 1] > 0.1 * ring.sum()
    if order > 1:
        others = [harmonics[m - 1] for m in range(1, 7) if m % order]
        assert max(others) < 0.2 * harmonics[order - 1]
    # Component a lies along x, and b halfway to the next lobe.
    peak = numpy.angle(numpy.fft.rfft(ring)[order])
    if aberrated.astigmatism_nm[1]:
        assert abs(abs(peak) - numpy.pi / 2) < 0.05
    elif order < 3:
        assert min(abs(peak), abs(abs(peak) - numpy.pi)) < 0.05


def test_slices_of_a_flat_specimen_are_the_phase_object() -> None:
    atoms = few_atoms((1.0, 1.0, SILICON), (1.1, 0.9, CARBON))
    flat = PatternSimulator(atoms, slice_angstrom=0).pattern(1.02, 0.95)
    numpy.testing.assert_allclose(PatternSimulator(atoms, slice_angstrom=1.0).pattern(1.02, 0.95), flat, atol=1e-7)


def test_multislice_keeps_the_electrons_and_tells_the_order_of_the_slices() -> None:
    """Free flight between two atoms matters: from the other side the same column gives another pattern."""
    far = 60.0
    atoms = few_atoms((1.0, 1.0, SILICON), (1.0, 1.1, CARBON))
    heights = numpy.array([0.0, far])

    def pattern(z: numpy.ndarray) -> numpy.ndarray:
        column = Specimen("column", numpy.c_[atoms.atoms_angstrom[:, :2], z], atoms.atomic_numbers, 2.0)
        return PatternSimulator(column, slice_angstrom=20.0).pattern(1.0, 1.05)

    there, back = pattern(heights), pattern(heights[::-1])
    assert there.sum() == pytest.approx(1, abs=0.01)
    assert numpy.abs(there - back).sum() > 1e-3


def test_thick_specimens_are_sliced_unless_told_otherwise() -> None:
    atoms = few_atoms((1.0, 1.0, SILICON), (1.0, 1.1, CARBON))
    tall = Specimen("tall", atoms.atoms_angstrom + numpy.array([[0, 0, 0], [0, 0, 30]]), atoms.atomic_numbers, 2.0)
    assert PatternSimulator(atoms).slice_angstrom == 0
    assert PatternSimulator(tall).slice_angstrom > 0
    assert PatternSimulator(tall, slice_angstrom=0).slice_angstrom == 0


@given(
    rotation=st.floats(-180, 180),
    y_nm=st.floats(0.9, 1.1),
    x_nm=st.floats(0.9, 1.1),
)
@settings(max_examples=20, deadline=None)
def test_rotation_turns_the_deflection_and_nothing_else(rotation: float, y_nm: float, x_nm: float) -> None:
    atoms = few_atoms((1.0, 1.02, SILICON), (1.1, 0.9, CARBON))
    straight = com(PatternSimulator(atoms), y_nm, x_nm)
    turned = com(PatternSimulator(atoms, geometry=CameraGeometry(rotation_deg=rotation)), y_nm, x_nm)
    angle = numpy.radians(rotation)
    y, x = straight
    expected = numpy.cos(angle) * y + numpy.sin(angle) * x, numpy.cos(angle) * x - numpy.sin(angle) * y
    numpy.testing.assert_allclose(turned, expected, atol=0.02)


@pytest.mark.parametrize("axis_deg", [0, 40, 90])
def test_ellipticity_stretches_the_disc_along_its_axis(axis_deg: float) -> None:
    ratio = 1.2
    geometry = CameraGeometry(128, 1.0, ellipticity=ratio, ellipse_axis_deg=axis_deg)
    pattern = PatternSimulator(few_atoms(), geometry=geometry).pattern(1.0, 1.0)
    assert pattern.sum() == pytest.approx(1, abs=1e-4)
    y, x = numpy.indices(pattern.shape) - 63.5
    along = numpy.cos(numpy.radians(axis_deg)) * x + numpy.sin(numpy.radians(axis_deg)) * y
    across = numpy.cos(numpy.radians(axis_deg)) * y - numpy.sin(numpy.radians(axis_deg)) * x
    spreads = [numpy.sqrt((pattern * distance**2).sum()) for distance in (along, across)]
    assert spreads[0] / spreads[1] == pytest.approx(ratio, rel=0.005)
    # Of a uniform disc of radius r the spread along any axis is r / 2; its area is kept.
    assert numpy.sqrt(spreads[0] * spreads[1]) == pytest.approx(15, rel=0.01)


@given(y_nm=st.floats(0.2, 1.8), x_nm=st.floats(0.2, 1.8))
@settings(max_examples=20, deadline=None)
def test_descan_moves_the_pattern_with_the_probe(y_nm: float, x_nm: float) -> None:
    matrix = ((3.0, -1.0), (0.5, 2.0))
    geometry = CameraGeometry(64, 2.5, descan_mrad_per_nm=matrix)
    shift = com(PatternSimulator(few_atoms(), geometry=geometry), y_nm, x_nm)
    numpy.testing.assert_allclose(shift, numpy.array(matrix) @ [y_nm - 1, x_nm - 1], atol=0.01)


@given(y_mrad=st.floats(-8, 8), x_mrad=st.floats(-8, 8))
@settings(max_examples=20, deadline=None)
def test_the_beam_falls_where_its_offset_says(y_mrad: float, x_mrad: float) -> None:
    geometry = CameraGeometry(offset_mrad=(y_mrad, x_mrad))
    pattern = PatternSimulator(few_atoms(), geometry=geometry).pattern(1.0, 1.0)
    y, x = numpy.indices(pattern.shape)
    seen = (pattern * y).sum() / pattern.sum(), (pattern * x).sum() / pattern.sum()
    assert seen == pytest.approx(geometry.centre_pixels, abs=0.005)
    assert seen == pytest.approx((31.5 + y_mrad / 2.5, 31.5 + x_mrad / 2.5), abs=0.005)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PatternSimulator(few_atoms(), geometry=CameraGeometry(mrad_per_pixel=0.9)), r"ends at 27.9 mrad"),
        (lambda: PatternSimulator(few_atoms(), slice_angstrom=-1), r"slice is -1 angstrom"),
    ],
)
def test_errors_are_one_sentence_with_the_value(make, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_agrees_with_multislice() -> None:
    """An abTEM multislice simulation (frozen phonons, source blur) of part of a doped sheet.

    tests/data/fixture_graphene_si_atoms.npz has the atoms in the frame of the fixture's first pixel.
    """
    with numpy.load(GRAPHENE) as fixture:
        deflection = fixture["com_true_mrad"][..., ::-1]  # stored as (x, y)
        haadf = fixture["haadf"]
        step_nm = float(fixture["step_A"]) / 10
    with numpy.load(DATA / "fixture_graphene_si_atoms.npz") as atoms:
        sheet = Specimen(
            "fixture", atoms["atoms_angstrom"].astype(float), atoms["atomic_numbers"].astype(int), 24 * step_nm
        )
    optics = Optics(haadf_mrad=(90, 200))
    margin = 5
    positions = numpy.arange(-margin, 24 + margin) * step_nm
    blur = 0.025 / step_nm
    images = ImageSimulator(sheet, optics)
    inner = slice(margin, -margin)
    for truth in (
        PatternSimulator(sheet, optics).com_map(positions, positions),
        images.deflection(positions[:, None], positions),
    ):
        predicted = scipy.ndimage.gaussian_filter(truth, (blur, blur, 0))[inner, inner]
        for seen, known in (
            *((predicted[..., axis], deflection[..., axis]) for axis in range(2)),
            (numpy.linalg.norm(predicted, axis=-1), numpy.linalg.norm(deflection, axis=-1)),
        ):
            assert numpy.corrcoef(seen.ravel(), known.ravel())[0, 1] > 0.98
            assert (seen * known).sum() / (known * known).sum() == pytest.approx(1, abs=0.05)
    survey = images.image("HAADF", positions[inner, None], positions[inner])
    assert numpy.corrcoef(survey.ravel(), haadf.ravel())[0, 1] > 0.97


@given(y_nm=st.floats(0.5, 3.5), x_nm=st.floats(0.5, 3.5))
@settings(max_examples=15, deadline=None)
def test_patterns_obey_ehrenfest(y_nm: float, x_nm: float) -> None:
    """The centre of mass of a phase object's pattern is the probe-averaged gradient of its phase: computed without
    any pattern by ImageSimulator. The detector misses the farthest electrons."""
    specimen = graphene_with_silicon()
    mean = ImageSimulator(specimen).deflection(y_nm, x_nm)
    numpy.testing.assert_allclose(com(PatternSimulator(specimen), y_nm, x_nm), mean, atol=0.03)
