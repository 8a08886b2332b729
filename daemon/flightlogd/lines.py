r"""Lines as one blob, and where each is in it. Pure.

Lines are joined by `,\n` between brackets: a plain JSON array, and yet, since no line holds a newline, one
split takes it apart and one search finds a line's end.
"""

import struct
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

SEPARATOR: Final = b",\n"

LINES_LIMIT: Final = 2000
"""Most lines in one blob."""

JOIN_LIMIT_BYTES: Final = 256 * 1024
"""No line of a blob starts behind this many bytes (separators apart)."""

GONE: Final = b"null"
"""What stands in the place of a line that governance took."""

_INDEX_BITS: Final = 11
"""An offset packs where a line starts (21 bits) and its index in the blob (11 bits) into 32."""
_INDEX_MASK: Final = (1 << _INDEX_BITS) - 1

_PACK_ONE: Final = struct.Struct("=I").pack

assert LINES_LIMIT <= _INDEX_MASK
assert JOIN_LIMIT_BYTES + len(SEPARATOR) * LINES_LIMIT < 1 << (32 - _INDEX_BITS)


def join_lines(lines: Sequence[bytes]) -> bytes:
    """Return the lines as one blob: a JSON array."""
    return b"[" + SEPARATOR.join(lines) + b"]"


def split_lines(blob: bytes) -> list[bytes]:
    """Return the lines of a blob; the inverse of `join_lines`."""
    return blob[1:-1].split(SEPARATOR)


def line_offsets(lines: Sequence[bytes]) -> list[int]:
    """Return the packed offset of each line in the blob that `join_lines` makes of them."""
    step = (len(SEPARATOR) << _INDEX_BITS) + 1
    first = 1 << _INDEX_BITS  # behind the bracket
    others = range(first, first + step * len(lines), step)
    sizes = accumulate(map(len, lines[:-1]), initial=0)
    return [(size << _INDEX_BITS) + other for size, other in zip(sizes, others, strict=True)]


def pack_offsets(indexes: Sequence[int], offsets: Sequence[int]) -> bytes:
    """Return the offsets at some indexes, four bytes for each, in this machine's order."""
    if len(indexes) == 1:
        return _PACK_ONE(offsets[indexes[0]])
    return array("I", [offsets[index] for index in indexes]).tobytes()


def unpack_offsets(packed: bytes) -> Iterator[tuple[int, int]]:
    """Yield (index, start) of each line; the inverse of `pack_offsets`."""
    for (value,) in struct.iter_unpack("=I", packed):
        yield value & _INDEX_MASK, value >> _INDEX_BITS


def nth_line(blob: bytes, index: int, count: int) -> bytes:
    """Return the line of that index in a blob of so many; the blob is taken apart from its nearer end."""
    if index < count // 2:
        part = blob.split(SEPARATOR, index + 1)[index]
    else:
        part = blob.rsplit(SEPARATOR, count - index)[-(count - index)]
    return part[index == 0 : len(part) - (index == count - 1)]


def line_at(blob: bytes, start: int) -> bytes:
    """Return the line that starts there: up to the separator, or the closing bracket."""
    end = blob.find(SEPARATOR, start)
    return blob[start:end] if end >= 0 else blob[start:-1]
