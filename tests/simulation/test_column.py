"""What a column gives: counting statistics, drift, damage, and replayed recordings."""

from __future__ import annotations

import pathlib

import h5py
import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkl_ae.recordings import Recording, open_recording
from dkl_ae.simulation import Camera, Optics, ReplayColumn, VirtualColumn, graphene_with_silicon
from dkl_ae.simulation.presets import CARBON, SILICON
from tests.support.specimens import few_atoms

ELECTRONS = 1.87e6
"""30 pA for 10 ms."""


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def whole_field(column: VirtualColumn, pixels: int = 64) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(y, x) of the pixels of a scan."""
    rows, columns = ((numpy.arange(pixels) + 0.5) * side / pixels for side in column.extent_nm)
    y, x = numpy.meshgrid(rows, columns, indexing="ij")
    return y, x


def test_vacuum_is_counted_with_poisson_noise_of_the_stated_dose() -> None:
    column = VirtualColumn(few_atoms())
    seen = numpy.array([column.expose(1.0, 1.0, ELECTRONS, 0.01) for _ in range(200)], float)
    totals = seen.sum(axis=(1, 2))
    assert totals.mean() == pytest.approx(ELECTRONS, abs=5 * numpy.sqrt(ELECTRONS / 200))
    assert totals.var(ddof=1) == pytest.approx(ELECTRONS, rel=0.5)
    bright = seen.mean(axis=0) > 100
    ratio = seen.var(axis=0, ddof=1)[bright] / seen.mean(axis=0)[bright]
    assert ratio.mean() == pytest.approx(1, abs=0.02)


def test_same_seed_same_counts_another_seed_others() -> None:
    def first(seed: int) -> numpy.ndarray:
        return VirtualColumn(few_atoms(), seed=seed).expose(1.0, 1.0, 1e4, 0.01)

    numpy.testing.assert_array_equal(first(1), first(1))
    assert (first(1) != first(2)).any()


def test_a_scan_counts_electrons_on_each_detector() -> None:
    column = VirtualColumn(graphene_with_silicon())
    y, x = whole_field(column)
    electrons = 1e6
    for channel in column.channels:
        seen, truth = column.scan(channel, y, x, electrons, 1e-5), electrons * column.images.image(channel, y, x)
        assert seen.mean() == pytest.approx(truth.mean(), abs=5 * numpy.sqrt(truth.mean() / truth.size))
        bright = truth > 100
        assert ((seen - truth)[bright] ** 2 / truth[bright]).mean() == pytest.approx(1, abs=0.15)


@given(
    drift=st.tuples(st.floats(-0.02, 0.02), st.floats(-0.02, 0.02)),
    seconds=st.floats(0, 20),
)
@settings(max_examples=20, deadline=None)
def test_drift_carries_the_specimen_along(drift: tuple[float, float], seconds: float) -> None:
    """What was at a place is found later where the drift has carried it: same counts, as the noise is the same."""
    clock, still = Clock(), VirtualColumn(few_atoms((1.0, 1.0, SILICON)))
    moving = VirtualColumn(few_atoms((1.0, 1.0, SILICON)), drift_nm_per_s=drift, clock=clock)
    clock.now += seconds
    y, x = 1.03 + drift[0] * seconds, 0.95 + drift[1] * seconds
    then, now = still.expose(1.03, 0.95, 1e9, 0.01), moving.expose(y, x, 1e9, 0.01)
    assert numpy.abs(now - then).sum() < 1e-3 * then.sum()


def test_drift_shears_a_slow_scan() -> None:
    """The specimen moves while the rows are scanned: the later an atom is met, the farther it has come."""
    atoms = few_atoms((0.3, 1.0, SILICON), (1.7, 1.0, SILICON))
    column = VirtualColumn(atoms, drift_nm_per_s=(0.0, 0.1), clock=Clock())
    y, x = whole_field(column, 100)
    pixel_time_s = 2.0 / y.size  # a frame of two seconds
    image = column.scan("HAADF", y, x, 1e9, pixel_time_s)
    places = []
    for half in (slice(0, 50), slice(50, 100)):
        places.append((image[half] * x[half]).sum() / image[half].sum())
    # The rows of the atoms are scanned 1.4 s apart.
    assert places[1] - places[0] == pytest.approx(0.14, abs=0.01)
    assert places[0] == pytest.approx(1.03, abs=0.01)


def test_damage_takes_atoms_with_the_probability_of_their_dose() -> None:
    """A scan doses all atoms of the field alike: the number that leaves is binomial."""
    specimen = graphene_with_silicon()
    field = ((specimen.atoms_angstrom[:, :2] > 0) & (specimen.atoms_angstrom[:, :2] < 40)).all(axis=1)
    dose = 1e6  # electrons per square angstrom
    barn = 20.0
    expected = 1 - numpy.exp(-barn * 1e-8 * dose)
    left = []
    for seed in range(10):
        column = VirtualColumn(specimen, damage_barn=barn, seed=seed)
        y, x = whole_field(column, 64)
        column.irradiate(y, x, dose * (40 / 64) ** 2)
        lost = len(specimen.atomic_numbers) - len(column.specimen.atomic_numbers)
        left.append(lost / field.sum())
    assert numpy.mean(left) == pytest.approx(expected, abs=4 * numpy.sqrt(expected / field.sum() / 10))


def test_damage_is_done_where_the_probe_is() -> None:
    specimen = graphene_with_silicon()
    column = VirtualColumn(specimen, damage_barn=1000.0)
    before = column.images.image("HAADF", 2.0, 2.0)
    for _ in range(3):
        column.expose(2.0, 2.0, ELECTRONS, 0.01)
    lost = set(map(tuple, specimen.atoms_angstrom)) - set(map(tuple, column.specimen.atoms_angstrom))
    away = [numpy.hypot(atom[0] - 20, atom[1] - 20) for atom in lost]
    assert lost
    assert numpy.median(away) < 2.5
    assert max(away) < column.optics.probe_radius_angstrom() + 1
    assert column.images.image("HAADF", 2.0, 2.0) < before
    # The next pattern is that of the damaged specimen.
    fresh = VirtualColumn(column.specimen).patterns.pattern(2.0, 2.0)
    numpy.testing.assert_array_equal(column.patterns.pattern(2.0, 2.0), fresh)


def test_damage_grows_with_the_dose_and_is_off_by_default() -> None:
    def lost(electrons: float, barn: float) -> int:
        specimen = graphene_with_silicon()
        column = VirtualColumn(specimen, damage_barn=barn, seed=5)
        for place in numpy.linspace(0.5, 3.5, 12):
            column.expose(place, place, electrons, 0.01)
        return len(specimen.atomic_numbers) - len(column.specimen.atomic_numbers)

    assert lost(ELECTRONS, 0.0) == 0
    few, many = lost(ELECTRONS / 10, 100.0), lost(ELECTRONS, 100.0)
    assert 0 < few < many
    assert lost(ELECTRONS, 100.0) == many


def test_optics_change_both_patterns_and_images() -> None:
    column = VirtualColumn(graphene_with_silicon())
    pattern, image = column.patterns.pattern(2.0, 2.0), float(column.images.image("HAADF", *site(column)))
    column.set_optics(Optics(defocus_nm=20))
    assert numpy.abs(column.patterns.pattern(2.0, 2.0) - pattern).sum() > 0.01
    assert column.images.image("HAADF", *site(column)) < 0.8 * image


def site(column: VirtualColumn) -> tuple[float, float]:
    return column.specimen.sites["3-fold silicon 1"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VirtualColumn(few_atoms(), damage_barn=-1), r"damage cross-section is -1 barn"),
        (lambda: VirtualColumn(few_atoms(), drift_nm_per_s=(0.0, float("nan"))), r"drift is \(0.0, nan\) nm/s"),
        (lambda: VirtualColumn(few_atoms(), seed=-1), r"seed is -1"),
        (lambda: ReplayColumn(recording(), seed=-1), r"seed is -1"),
        (lambda: ReplayColumn(recording()).set_optics(Optics()), r"optics of counts are recorded"),
        (lambda: ReplayColumn(recording()).expose(0.1, 0.9, 1, 1), r"y 0.100, x 0.900 nm, outside the recorded"),
        (lambda: ReplayColumn(recording()).expose(-0.01, 0.1, 1, 1), r"y -0.010, x 0.100 nm"),
    ],
)
def test_errors_are_one_sentence_with_the_value(make, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def recording(square_root_scale: float | None = None) -> Recording:
    """5 x 7 pixels of 0.1 nm with 6 x 8 counts each."""
    patterns = numpy.random.default_rng(0).integers(0, 100, (5, 7, 6, 8)).astype(numpy.uint16)
    survey = numpy.arange(35.0).reshape(5, 7)
    return Recording("counts", patterns, survey, 0.1, (2.0, 3.0), square_root_scale)


def test_a_replay_serves_the_recorded_counts_of_the_nearest_pixel() -> None:
    recorded = recording()
    column = ReplayColumn(recorded)
    assert column.extent_nm == pytest.approx((0.5, 0.7))
    assert (column.detector_shape, column.mrad_per_pixel) == ((6, 8), (2.0, 3.0))
    for row, column_index in ((0, 0), (4, 6), (2, 3)):
        for shift in (-0.04, 0.0, 0.04):
            place = 0.1 * (row + 0.5) + shift, 0.1 * (column_index + 0.5) + shift
            seen = column.expose(*place, electrons=1.0, exposure_s=1.0)
            numpy.testing.assert_array_equal(seen, recorded.stored_patterns[row, column_index])


def test_without_a_beam_a_replay_is_dark() -> None:
    for scale in (None, 1e-3):
        assert not ReplayColumn(recording(scale)).expose(0.25, 0.35, electrons=0.0, exposure_s=1.0).any()


def test_a_replayed_scan_is_the_survey_and_dark_outside() -> None:
    recorded = recording()
    column = ReplayColumn(recorded)
    y, x = numpy.meshgrid((numpy.arange(7) - 0.5) * 0.1, (numpy.arange(9) - 0.5) * 0.1, indexing="ij")
    image = column.scan("HAADF", y, x, 1.0, 1e-5)
    numpy.testing.assert_array_equal(image[1:-1, 1:-1], recorded.survey)
    assert not image[0].any()
    assert not image[:, -1].any()


def test_a_recording_without_noise_is_counted_the_same_each_time() -> None:
    recorded = recording(square_root_scale=1e-3)
    one, other = ReplayColumn(recorded, seed=1), ReplayColumn(recorded, seed=2)
    first = one.expose(0.05, 0.05, 1e6, 0.01)
    numpy.testing.assert_array_equal(one.expose(0.05, 0.05, 1e6, 0.01), first)
    assert (other.expose(0.05, 0.05, 1e6, 0.01) != first).any()
    expected = 1e6 * (recorded.stored_patterns[0, 0] * 1e-3) ** 2
    assert first.sum() == pytest.approx(expected.sum(), abs=5 * numpy.sqrt(expected.sum()))


def test_a_recording_larger_than_memory_is_not_read_whole(tmp_path: pathlib.Path) -> None:
    """Forty gigabytes of a sparse file, one chunk written: opening and one pattern touch no more than that chunk."""
    file = tmp_path / "large.h5"
    with h5py.File(file, "w") as opened:
        patterns = opened.create_dataset("patterns", (256, 256, 400, 400), "f4", chunks=(1, 1, 400, 400))
        patterns[3, 5] = 7
        opened["haadf"] = numpy.zeros((256, 256))
    column = ReplayColumn(open_recording(file, nm_per_pixel=0.1, mrad_per_pixel=1.0))
    assert column.expose(0.35, 0.55, 1.0, 1.0).mean() == 7
    assert not column.expose(10.0, 10.0, 1.0, 1.0).any()
    column.close()


def test_a_faulty_camera_is_used() -> None:
    column = VirtualColumn(few_atoms((1.0, 1.0, CARBON)), camera=Camera(gain=5.0, saturation_counts=1000.0))
    assert column.counts_per_electron == 5
    assert column.expose(1.0, 1.0, ELECTRONS, 0.01).max() == 1000
