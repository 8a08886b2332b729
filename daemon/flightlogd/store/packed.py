"""Lines stored compressed, and the one way in which everybody reads them.

`event_batch.codec` is 0 where lines are stored as they came, else the number of the dictionary with which
they are compressed (zstd). Dictionaries are in the database, for what needs them is, too. Whoever reads lines
of the log selects `LINES`; every connection that `database` opens knows the function in it.
"""

import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import apsw

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LINES: Final = "iif(codec = 0, lines, plain_lines(codec, lines))"
"""The lines of a row of `event_batch` as one blob, however they are stored."""

DICTIONARY_BYTES: Final = 32 * 1024
"""Size of a dictionary: it has what a few lines have in common with all others. Twice as much gained nothing
(measured)."""

_LEVEL: Final = 9
"""A millisecond for 100 KiB; levels above take ten times as long for a few percent (measured)."""

_LIMIT_BYTES: Final = 128 * 1024 * 1024
"""More than the longest row: what would be longer is damaged."""

_OPENED: Final = 8
"""Dictionaries that a connection keeps at hand."""


class DamagedLinesError(apsw.CorruptError):
    """Compressed lines are not what was stored, or their dictionary is not there."""


def teach(db: apsw.Connection) -> None:
    """Have a connection know the function `plain_lines(codec, lines)`."""

    @lru_cache(_OPENED)
    def dictionary(codec: int) -> zstd.ZstdDict:
        content = db.execute("select content from cold_dictionary where codec = ?", (codec,)).get
        if not content:
            raise DamagedLinesError(f"dictionary {codec} of compressed lines is missing")
        return open_dictionary(content)

    def plain_lines(*stored: Any) -> bytes:
        codec, packed = stored
        return unpack(packed, dictionary(codec))

    # It is used in the view `event`, and reads nothing but a dictionary.
    db.create_scalar_function("plain_lines", plain_lines, 2, deterministic=True, flags=apsw.SQLITE_INNOCUOUS)


def train(samples: Sequence[bytes]) -> bytes | None:
    """Return a dictionary of what samples have in common, None where there are too few."""
    try:
        return zstd.train_dict(samples, DICTIONARY_BYTES).dict_content
    except zstd.ZstdError:
        return None


def open_dictionary(content: bytes) -> zstd.ZstdDict:
    """Return a stored dictionary ready for use.

    Raises:
        DamagedLinesError: it is not what was stored.
    """
    try:
        return zstd.ZstdDict(content)
    except (ValueError, zstd.ZstdError) as error:
        raise DamagedLinesError(f"a dictionary of compressed lines: {error}") from error


def pack(lines: bytes, dictionary: zstd.ZstdDict) -> bytes:
    """Return lines compressed, with a checksum; other threads run meanwhile."""
    parameter = zstd.CompressionParameter
    options: dict[int, int] = {parameter.compression_level: _LEVEL, parameter.checksum_flag: 1}
    return zstd.compress(lines, options=options, zstd_dict=dictionary)


def unpack(packed: bytes, dictionary: zstd.ZstdDict) -> bytes:
    """Return what was packed.

    Raises:
        DamagedLinesError: it is not what `pack` returned.
    """
    decompressor = zstd.ZstdDecompressor(dictionary)
    try:
        lines = decompressor.decompress(packed, _LIMIT_BYTES)
    except zstd.ZstdError as error:
        raise DamagedLinesError(f"compressed lines: {error}") from error
    if not decompressor.eof or decompressor.unused_data:
        raise DamagedLinesError("compressed lines are cut, or something follows them")
    return lines
