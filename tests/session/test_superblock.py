"""The first block of a session file, against one that HDF5 wrote and checksums that were computed once and kept."""

import pathlib

import pytest

from dkl_ae.session.disk.superblock import SIZE, repaired, stated_length

SESSION = pathlib.Path(__file__).parent.parent / "data/session-1.h5"
BLOCK = bytes.fromhex(
    "894844460d0a1a0a030808000000000000000000ffffffffffffffffc6d90300000000003000000000000000f10a6898"
)
LENGTH = 252358


def test_the_block_is_that_of_the_kept_session() -> None:
    assert SESSION.read_bytes()[:SIZE] == BLOCK
    assert SESSION.stat().st_size == LENGTH == stated_length(BLOCK)


@pytest.mark.parametrize("mark", [0, 1, 5])
@pytest.mark.parametrize(("length", "checksum"), [(LENGTH, "f10a6898"), (123456789, "c4a3fd30")])
def test_whatever_the_mark_and_the_length_the_block_is_that_of_a_closed_file(mark, length, checksum) -> None:
    left = bytearray(BLOCK)
    left[11] = mark
    assert repaired(bytes(left), length) == BLOCK[:28] + length.to_bytes(8, "little") + BLOCK[36:44] + bytes.fromhex(
        checksum
    )


@pytest.mark.parametrize("block", [b"", BLOCK[:-1], b"\0" + BLOCK[1:], BLOCK[:8] + b"\x02" + BLOCK[9:]])
def test_what_is_no_block_of_this_version_is_refused(block) -> None:
    with pytest.raises(ValueError, match="this is not the beginning of a session file"):
        repaired(block, LENGTH)
