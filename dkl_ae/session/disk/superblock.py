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
_WORD: typing.Final = 0xFFFFFFFF


def stated_length(block: bytes) -> int:
    """How many bytes the file should have.

    Raises ValueError for what is no superblock of version 3.
    """
    if len(block) < SIZE or block[:8] != _SIGNATURE or block[8] != _VERSION:
        raise ValueError("this is not the beginning of a session file")
    return int.from_bytes(block[_LENGTH], "little")


def mended(block: bytes, length: int) -> bytes:
    """The same block for a closed file of this length.

    Raises ValueError for what is no superblock of version 3.
    """
    stated_length(block)
    result = bytearray(block[:SIZE])
    result[_FLAGS] = 0
    result[_LENGTH] = length.to_bytes(8, "little")
    result[_CHECKSUM] = _checksum(bytes(result[: _CHECKSUM.start])).to_bytes(4, "little")
    return bytes(result)


def _checksum(data: bytes) -> int:
    """Bob Jenkins' lookup3 (public domain, 2006), as HDF5 uses it for all metadata."""
    words = [int.from_bytes(data[start : start + 4], "little") for start in range(0, len(data), 4)]
    words += [0] * (-len(words) % 3)
    a = b = c = (0xDEADBEEF + len(data)) & _WORD
    for start in range(0, len(words) - 3, 3):
        a, b, c = ((x + word) & _WORD for x, word in zip((a, b, c), words[start : start + 3], strict=True))
        a, c = (a - c) & _WORD ^ _turned(c, 4), (c + b) & _WORD
        b, a = (b - a) & _WORD ^ _turned(a, 6), (a + c) & _WORD
        c, b = (c - b) & _WORD ^ _turned(b, 8), (b + a) & _WORD
        a, c = (a - c) & _WORD ^ _turned(c, 16), (c + b) & _WORD
        b, a = (b - a) & _WORD ^ _turned(a, 19), (a + c) & _WORD
        c, b = (c - b) & _WORD ^ _turned(b, 4), (b + a) & _WORD
    a, b, c = ((x + word) & _WORD for x, word in zip((a, b, c), words[-3:], strict=True))
    c = ((c ^ b) - _turned(b, 14)) & _WORD
    a = ((a ^ c) - _turned(c, 11)) & _WORD
    b = ((b ^ a) - _turned(a, 25)) & _WORD
    c = ((c ^ b) - _turned(b, 16)) & _WORD
    a = ((a ^ c) - _turned(c, 4)) & _WORD
    b = ((b ^ a) - _turned(a, 14)) & _WORD
    return ((c ^ b) - _turned(b, 24)) & _WORD


def _turned(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (32 - bits))) & _WORD
