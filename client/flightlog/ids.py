"""Ids: unique everywhere, and in the order they were made."""

import os

from flightlog.clock import now_us


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
