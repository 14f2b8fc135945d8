"""Files with flipped bits: one sentence, or what was measured; never a traceback, a crash or a wait without end."""

from __future__ import annotations

import pathlib

import h5py
import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dkl_ae.export import export_session
from dkl_ae.records import UserError
from dkl_ae.session import open_session, take_up
from dkl_ae.session.append import clear_writer_mark
from dkl_ae.session.disk.superblock import SIZE
from tests.support.flipped_bits import cases, review
from tests.support.kept_runs import kept_run

MEASURED = 4


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> pathlib.Path:
    """Of a run that was killed."""
    file = tmp_path_factory.mktemp("whole") / "session.h5"
    kept_run(file, killed_after=MEASURED)
    return file


def flipped(session: pathlib.Path, folder: pathlib.Path, places: list[int]) -> pathlib.Path:
    content = bytearray(session.read_bytes())
    for place in places:
        content[place // 8] ^= 1 << place % 8
    file = folder / "damaged.h5"
    file.write_bytes(content)
    return file


def test_whatever_is_done_with_a_damaged_file_comes_to_an_end_and_is_told_in_one_sentence(session) -> None:
    for case in cases(session, range(1, 7)):
        assert case.outcome in ("fine", "refused"), f"{case.seed} {case.action}: {case.told}"
        if case.outcome == "refused":
            assert case.told.endswith(".")
            assert "\n" not in case.told


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 8 * SIZE - 1))
def test_no_bit_of_the_first_block_is_flipped_unnoticed(session, tmp_path, place) -> None:
    with pytest.raises(UserError, match=r"damaged at its beginning|is no saved session"):
        open_session(flipped(session, tmp_path, [place]))


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_measured_number_that_has_changed_is_not_believed(session, tmp_path, data) -> None:
    """It is shown, with a word of warning: the numbers beside it are as they were."""
    with open_session(session) as whole:
        name = data.draw(st.sampled_from([f"measurements/{column}" for column in whole.columns if column != "origin"]))
        index = data.draw(st.integers(0, MEASURED - 1))
        column = whole.opened[name]
        start = column.id.get_chunk_info(0).byte_offset
        size = column.dtype.itemsize
        expected = column[:]
    bit = data.draw(st.integers(0, 8 * size - 1))
    file = flipped(session, tmp_path, [8 * (start + size * index) + bit])
    with open_session(file) as damaged:
        assert damaged.losses == (f"damaged.h5 is damaged: do not trust {name}.",)
        numpy.testing.assert_array_equal(
            numpy.delete(damaged.columns[name.partition("/")[2]], index), numpy.delete(expected, index)
        )
    with pytest.raises(UserError, match=r"^damaged.h5 is damaged: do not trust .* start a new run\.$"):
        take_up(file)


@pytest.mark.parametrize("form", ["csv", "nexus"])
def test_a_damaged_word_is_not_exported(session, tmp_path, form) -> None:
    """Neither as no text at all nor as another word."""
    with open_session(session) as whole:
        start = whole.opened["measurements/origin"].id.get_chunk_info(0).byte_offset
    for bit in (7, 1):
        file = flipped(session, tmp_path, [8 * (start + 2) + bit])
        with open_session(file) as damaged:
            assert damaged.losses == ("damaged.h5 is damaged: do not trust measurements/origin.",)
        with pytest.raises(UserError, match=r"damaged.h5 is damaged \(.*\): restore it from a copy\.$"):
            export_session(file, form, tmp_path / f"out {bit}")
        assert [file.name for file in tmp_path.iterdir()] == ["damaged.h5"]


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_pattern_that_has_changed_is_told_and_hides_no_other(session, tmp_path, data) -> None:
    index = data.draw(st.integers(0, MEASURED - 1))
    with open_session(session) as whole:
        chunk = whole.opened["patterns"].id.get_chunk_info(index)
        patterns = [whole.pattern(number) for number in range(MEASURED)]
    place = data.draw(st.integers(8 * chunk.byte_offset, 8 * (chunk.byte_offset + chunk.size) - 1))
    file = flipped(session, tmp_path, [place])
    with open_session(file) as damaged:
        for number in range(MEASURED):
            if number != index:
                numpy.testing.assert_array_equal(damaged.pattern(number), patterns[number])
        with pytest.raises(UserError, match=r"damaged.h5 is damaged \(.*\): restore it from a copy\.$"):
            damaged.pattern(index)
    with pytest.raises(UserError, match="is damaged"):
        take_up(file)


def test_more_rows_than_a_file_can_hold_are_neither_waited_for_nor_made_room_for(session, tmp_path) -> None:
    file = flipped(session, tmp_path, [])
    clear_writer_mark(file)
    with h5py.File(file, "r+") as opened:
        opened["patterns"].resize(2**40, axis=0)
    with pytest.raises(UserError, match=r"is damaged \(/patterns cannot have 1099511627776 rows\)"):
        review(file)
