"""Paths to files, and files to lines, in constant memory."""

import os
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

LINE_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""Longest line that is read."""

DOCUMENT_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""Largest file that is read as one document."""

SUFFIXES: Final = (".json", ".jsonl", ".ndjson")
"""What is looked for in directories."""


def files_of(paths: Sequence[Path], suffixes: tuple[str, ...] = SUFFIXES) -> Iterator[Path]:
    """Yield the files that paths name: files as they are, of directories those with a suffix, sorted.

    Links to directories are not followed, so that no loop is walked. What does not exist is yielded, too:
    whoever opens it says so.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for directory, inside, names in os.walk(path):
            inside.sort()
            for name in sorted(names):
                if name.endswith(suffixes):
                    yield Path(directory, name)


def size_of(paths: Sequence[Path]) -> int:
    """Return how many bytes all files have together; what cannot be read counts as none."""
    size = 0
    for file in files_of(paths):
        try:
            size += file.stat().st_size
        except OSError:
            continue
    return size


def without_mark(data: bytes) -> bytes:
    """Return the beginning of a text without the byte order mark that some put there (RFC 8259, 8.1)."""
    return data.removeprefix(BOM_UTF8)


def lines_of(stream: BinaryIO) -> Iterator[bytes | None]:
    """Yield the lines of a stream with their newlines, without a byte order mark; None for one too long."""
    first = True
    while line := stream.readline(LINE_LIMIT_BYTES + 1):
        if first:
            first = False
            line = without_mark(line)
            if not line:
                continue
        if len(line) <= LINE_LIMIT_BYTES:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(LINE_LIMIT_BYTES)
        yield None
