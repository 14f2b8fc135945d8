"""The reference's own error: what its exposures tell of their zero, and whether they show vacuum."""

from __future__ import annotations

import dataclasses

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.instruments.column_instrument import ColumnInstrument
from dkl_ae.patterns import (
    Patterns,
    Reference,
    find_reference,
    reference_as_dict,
    reference_from_dict,
    with_descan,
    with_zero_error,
)
from dkl_ae.patterns.zero import FALSE_ALARM_PROBABILITY, zero_notice
from dkl_ae.run.reference_exposures import reference_from, reference_pixels
from dkl_ae.settings import DARKEST, MEAN, make_plan
from dkl_ae.simulation import VirtualColumn
from tests.support.discs import disc
from tests.support.sheets import SHEETS


def referred(counts: numpy.ndarray, gain: float = 1.0) -> Reference:
    """The reference that exposures, shape (n, ky, kx), give."""
    reference = find_reference(counts.mean(axis=0), (2.5, 2.5), gain, exposures=len(counts))
    return with_zero_error(reference, Patterns(counts, reference))


def vacuum(random: numpy.random.Generator) -> Reference:
    """Of a beam, a camera and a dose drawn at random."""
    side = int(random.choice([64, 128]))
    centre = side / 2 + random.uniform(-3, 3, 2)
    electrons, frames = 10 ** random.uniform(3, 7), int(random.choice([2, 4, 9]))
    gain = float(random.choice([1, 40]))
    beam = disc(tuple(centre), random.uniform(4, 16) * side / 64, side=side, counts=electrons)
    counts = gain * random.poisson(beam, (frames, side, side))
    level = float(random.choice([0, 5, 100]))
    counts = counts + gain * (random.poisson(level, counts.shape) if random.random() < 0.5 else level)
    return referred(counts + random.normal(0, gain * random.choice([0, 0.3, 2]), counts.shape), gain)


def on_sheet(name: str, seed: int, source: str) -> Reference:
    """As a run finds it on a specimen that fills the survey, at the usual dose."""
    microscope, plan = ColumnInstrument(VirtualColumn(SHEETS[name](seed), seed=seed)), make_plan(reference=source)
    survey = microscope.acquire_survey()
    pixels = reference_pixels(survey, plan)
    frames = [microscope.acquire_pattern(survey.position(int(row), int(column))) for row, column in pixels]
    return reference_from(frames, plan)


@pytest.mark.exhaustive(ordinary=100, full=4000)
def test_vacuum_is_not_taken_for_a_specimen(times) -> None:
    random = numpy.random.default_rng(1)
    said = sum(bool(zero_notice(vacuum(random))) for _ in range(times))
    # So many or more come by chance once in a thousand times, at most.
    assert said <= 2 + 4 * times * FALSE_ALARM_PROBABILITY


@pytest.mark.parametrize("name", SHEETS)
@pytest.mark.parametrize("source", [DARKEST, MEAN])
@pytest.mark.exhaustive(ordinary=1, full=20)
def test_a_specimen_that_fills_the_survey_is_told(name, source, times) -> None:
    for seed in range(times):
        reference = on_sheet(name, seed, source)
        assert zero_notice(reference) == (
            "No vacuum was found: the reference shows a specimen, and all shifts share an error of "
            f"{max(reference.zero_sigma_mrad):.2g} mrad; choose a region of vacuum, or a reference file."
        )


@given(st.integers(0, 2**16), st.sampled_from([1e4, 1e6]))
def test_in_vacuum_a_zero_is_known_about_as_well_as_counting_allows(seed, counts) -> None:
    random = numpy.random.default_rng(seed)
    reference = referred(random.poisson(disc(counts=counts), (16, 64, 64)))
    counting = 30 / (2 * numpy.sqrt(16 * counts))
    assert 0.99 * counting < min(reference.zero_sigma_mrad)
    assert max(reference.zero_sigma_mrad) < 1.6 * counting


@pytest.mark.parametrize("frames", [2, 4, 9])
def test_two_sigmas_of_the_zero_cover_it_where_the_beam_is_deflected(frames) -> None:
    """Whatever the specimen does to each exposure: 400 references, deflected by ten times the counting error."""
    random = numpy.random.default_rng(frames)
    covered = []
    for _ in range(400):
        places = numpy.array([31.0, 32.5]) + random.normal(0, 0.12, (frames, 2))
        reference = referred(numpy.stack([random.poisson(disc(tuple(place), counts=1e5)) for place in places]))
        zero = numpy.array(reference.zero_mrad) + 2.5 * (numpy.array(reference.centre) - (31.0, 32.5))
        covered += list(numpy.abs(zero) < 2 * numpy.array(reference.zero_sigma_mrad))
    assert numpy.mean(covered) == pytest.approx(0.954, abs=0.03)


def test_a_single_exposure_is_known_by_counting_alone_and_says_so() -> None:
    reference = referred(numpy.random.default_rng(0).poisson(disc(counts=1e6), (1, 64, 64)))
    assert reference.is_vacuum is None
    assert reference.zero_sigma_mrad == pytest.approx((0.015, 0.015), rel=0.02)
    assert zero_notice(reference) == (
        "The reference is a single exposure: all shifts share an error of 0.015 mrad of counting, and more if it is no "
        "vacuum; take two reference frames or more."
    )


def test_a_camera_whose_noise_a_faint_beam_hides_is_not_taken_for_a_specimen() -> None:
    """The pattern alone does not tell its read noise; that exposures differ far from the disc does."""
    random = numpy.random.default_rng(3)
    for _ in range(20):
        counts = random.poisson(disc((64, 64), 25, side=128, counts=2e3), (4, 128, 128)) + random.normal(
            0, 2, (4, 128, 128)
        )
        assert referred(counts).is_vacuum


def test_exposures_without_the_beam_are_left_out() -> None:
    counts = numpy.random.default_rng(0).poisson(disc(counts=1e6), (5, 64, 64))
    counts[2] = 0
    assert referred(counts).is_vacuum


def test_a_reference_of_before_there_were_errors_has_none_and_says_nothing() -> None:
    earlier = reference_as_dict(referred(numpy.random.default_rng(0).poisson(disc(), (4, 64, 64))))
    del earlier["zero_sigma_mrad"], earlier["is_vacuum"]
    read = reference_from_dict(earlier, {})
    assert (read.zero_sigma_mrad, read.is_vacuum, zero_notice(read)) == ((0.0, 0.0), None, "")


def test_an_error_of_the_zero_survives_its_description() -> None:
    reference = referred(numpy.random.default_rng(0).poisson(disc(), (4, 64, 64)))
    read = reference_from_dict(reference_as_dict(reference), {})
    assert (read.zero_sigma_mrad, read.is_vacuum) == (reference.zero_sigma_mrad, True)


def test_where_a_descan_is_fitted_the_scatter_about_the_fit_counts() -> None:
    """The beam wanders by a hundred times the counting error, and it is vacuum all the same."""
    random = numpy.random.default_rng(0)
    places = numpy.stack(numpy.meshgrid([0.1, 0.5, 0.9], [0.1, 0.5, 0.9], indexing="ij"), axis=-1).reshape(-1, 2)
    counts = numpy.stack([random.poisson(disc((31 + 0.6 * y, 32.5 - 0.4 * x), counts=1e6)) for y, x in places])
    reference = dataclasses.replace(find_reference(counts.mean(axis=0), (2.5, 2.5), exposures=9), mask_radius=1.4)
    fitted = with_descan(reference, counts, places, 1)
    fitted = with_zero_error(fitted, Patterns(counts, fitted, positions=places))
    assert fitted.is_vacuum
    assert max(fitted.zero_sigma_mrad) == pytest.approx(30 / (2 * numpy.sqrt(9e6)) * numpy.sqrt(3), rel=0.7)
