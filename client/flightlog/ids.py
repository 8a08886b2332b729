"""Ids: unique everywhere, and in the order they were made."""

import os
from typing import Final

from flightlog.clock import now_us
from flightlog_schemas.limits import ID_LIMIT_CHARS

_DIGEST_CHARS: Final = 16


def new_id() -> str:
    """Return a version 7 UUID (RFC 9562) as 32 hex digits: milliseconds first, then randomness."""
    number = (now_us() // 1000) << 80 | int.from_bytes(os.urandom(10))
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return f"{number:032x}"


def new_trace_id() -> str:
    """Return a W3C trace-id: 32 hex digits, not all zero."""
    return new_id()


def new_span_id() -> str:
    """Return a W3C parent-id: 16 hex digits, not all zero."""
    return f"{int.from_bytes(os.urandom(8)) | 1:016x}"


def is_id(text: str) -> bool:
    """Say whether a text can be an id: 1 to 128 printable characters without white space."""
    return 1 <= len(text) <= ID_LIMIT_CHARS and text.isprintable() and " " not in text


def fitting(name: str) -> str:
    """Return a name as an id: itself where it can be one, else as much as fits, `~` and a digest."""
    if is_id(name):
        return name
    from hashlib import sha256  # here, because most programs never need it

    digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARS]
    shown = "".join(char if char.isprintable() and char != " " else "-" for char in name)
    return f"{shown[: ID_LIMIT_CHARS - _DIGEST_CHARS - 1]}~{digest}"
