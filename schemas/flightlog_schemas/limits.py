"""The numbers that bound an event and a line; units come last in each name."""

from typing import Annotated

from msgspec import Meta

ID_LIMIT_CHARS = 128
"""Longest id of any kind (execution, task, agent, producer, key)."""

LINE_LIMIT_BYTES = 1024 * 1024
"""Longest line on a socket, without its newline; the daemon's default, configurable there."""

DEPTH_LIMIT = 64
"""Deepest nesting of one line. Far below SQLite's 1000 and Python 3.11's recursion limit."""

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1

Id = Annotated[str, Meta(min_length=1, max_length=ID_LIMIT_CHARS)]
"""1 to 128 printable characters without white space (the codec checks the characters)."""

ExecutionRef = Annotated[str, Meta(min_length=1, max_length=ID_LIMIT_CHARS + 13)]
"""The id of an execution as a question names it: one of another log is longer by its mark."""

Int64 = Annotated[int, Meta(ge=INT64_MIN, le=INT64_MAX)]
"""A whole number that SQLite can store."""

Count = Annotated[int, Meta(ge=0, le=INT64_MAX)]
"""How many of something; never negative."""

Micros = Annotated[int, Meta(ge=0, le=INT64_MAX)]
"""Microseconds: since the Unix epoch in UTC for a time, plain for a duration."""

TraceId = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
"""W3C Trace Context trace-id: 32 lower-case hex digits."""

SpanId = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
"""W3C Trace Context parent-id: 16 lower-case hex digits."""

Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
"""A SHA-256 digest in lower-case hex."""
