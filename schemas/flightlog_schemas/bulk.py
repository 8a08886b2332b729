"""Many log lines at once: the commonest input, decoded and checked in three calls for all of them.

What `codec.decode_line` proves of one line is proved here of many: that it is valid UTF-8, holds nothing but
its type's own fields, each once, and is not nested. Whatever is not so plain is left to `decode_line`.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from flightlog_schemas.limits import INT64_MAX, INT64_MIN, Id, Micros, SpanId, TraceId

_Value = str | Annotated[int, Meta(ge=INT64_MIN, le=INT64_MAX)] | bool | None


class PlainLog(Struct, kw_only=True, omit_defaults=True, gc=False, tag="log", forbid_unknown_fields=True):
    """A `log` event of the commonest form; its fields mean what they mean there.

    It has a time and no key, expects no state, and its `fields` are neither nested nor hold floats: a float
    may be spelt shorter than msgspec writes it, anything else only longer (see `decode_logs`).
    """

    execution_id: Id
    time: Micros
    message: str
    level: str | UnsetType = UNSET
    source: str | None = None
    task_id: Id | None = None
    agent_id: Id | None = None
    trace_id: TraceId | None = None
    span_id: SpanId | None = None
    scrubbed: bool | None = None
    fields: dict[str, _Value] | None = None


class LogMention(Struct, kw_only=True, gc=False, tag="log"):
    """What a `log` event that has a time says of others than itself: whose it is, when, of which level."""

    execution_id: Id
    time: Micros
    level: str | UnsetType = UNSET
    task_id: Id | None = None
    agent_id: Id | None = None


_DECODER: Final = msgspec.json.Decoder(list[PlainLog])
_MENTION_DECODER: Final = msgspec.json.Decoder(list[LogMention])
_ENCODER: Final = msgspec.json.Encoder()

_FIRST: Final = itemgetter(0)
_LAST: Final = itemgetter(-1)
_OPENS: Final = set(b"{")
_CLOSES: Final = set(b"}")

_UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_logs(blob: bytes, lines: Sequence[bytes]) -> list[PlainLog] | None:
    """Decode lines that were joined to a JSON array.

    Written again, no line is longer than it was, and one that held unknown fields, a key twice or spaces is
    shorter: so all are plain where all together are as long as before. That each element is a line shows in
    the joints: one with a brace on both sides lies between elements, or in an array, which none may hold.

    Args:
        blob: The array: the lines with a comma and a newline between them, in brackets.
        lines: The lines; none is empty.

    Returns:
        An event for each line; None where any of them is not plain, or is to be refused. Whether ids are
        printable is left to the caller, who sees most of them many times.
    """
    try:
        events = _DECODER.decode(blob)
    except _UNDECODABLE:
        return None
    if (
        len(events) != len(lines)
        or set(map(_FIRST, lines)) != _OPENS
        or set(map(_LAST, lines)) != _CLOSES
        or len(_ENCODER.encode(events)) != len(blob) - (len(lines) - 1)
    ):
        return None
    return events


def decode_mentions(blob: bytes) -> list[LogMention] | None:
    """Decode of stored lines what read models count; they were proved when they came.

    Args:
        blob: The lines, joined to a JSON array.

    Returns:
        A mention for each line; None where any is another event, has no time, or another kind of level.
    """
    try:
        return _MENTION_DECODER.decode(blob)
    except _UNDECODABLE:
        return None
