"""The first bytes of a session file, which a writer that was killed leaves in disorder.

HDF5 writes appended data in an order that keeps a file consistent at every instant (single writer, multiple readers),
but two fields of its first block are only put in order when the file is closed: the mark that a writer is at work, for
which the file cannot be opened again, and the file's length. See "HDF5 File Format Specification Version 3.0",
section II.A, disk format level 0A.
"""

from __future__ import annotations

import typing

_SIGNATURE: typing.Final = b"\x89HDF\r\n\x1a\n"
_VERSION: typing.Final = 3
SIZE: typing.Final = 48
"""Bytes of the block."""
_FLAGS: typing.Final = 11
_LENGTH: typing.Final = slice(28, 36)
_CHECKSUM: typing.Final = slice(44, 48)


def stated_length(block: bytes) -> int:
    """How many bytes the file should have.

    Raises ValueError for what is no superblock of version 3.
    """
    if len(block) < SIZE or block[:8] != _SIGNATURE or block[8] != _VERSION:
        raise ValueError("this is not the beginning of a session file")
    return int.from_bytes(block[_LENGTH], "little")


def repaired(block: bytes, length: int) -> bytes:
    """The same block for a closed file of this length; HDF5's checksum is Bob Jenkins' lookup3 (2006).

    Raises ValueError for what is no superblock of version 3.
    """
    stated_length(block)
    result = bytearray(block[:SIZE])
    result[_FLAGS] = 0
    result[_LENGTH] = length.to_bytes(8, "little")
    result[_CHECKSUM] = _checksum(result)
    return bytes(result)


def is_sound(block: bytes) -> bool:
    """Whether a block is what HDF5 wrote, which adds its checksum to a marked one too."""
    return block[_CHECKSUM] == _checksum(block)


def _checksum(block: bytes | bytearray) -> bytes:
    # numcodecs takes a fifth of a second to import.
    from numcodecs.jenkins import jenkins_lookup3

    checksum: int = jenkins_lookup3(bytes(block[: _CHECKSUM.start]))
    return checksum.to_bytes(4, "little")
