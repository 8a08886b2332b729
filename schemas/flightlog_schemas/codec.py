"""Bytes to event and back, with every check that a line must pass.

A line is refused for how it is written, never for what it says. msgspec decodes it into its type; beyond
that a line must be valid UTF-8 throughout (also in fields nobody reads), nested at most 64 deep, hold no
number past 64 bits and no key twice at the top level.

Looking for those costs more than decoding, so most lines prove it another way: where writing the decoded
event again gives exactly as many bytes, the line held nothing but its type's own fields, each once. Lines
with other fields are decoded as plain values; where writing these gives the same bytes, no key stood there
twice. Only what is left (spaces, escapes, odd floats) is read pair by pair.
"""

import json
from functools import cache
from math import isfinite
from typing import Annotated, Any, Final, get_args, get_origin

import msgspec

from flightlog_schemas.elsewhere import split_mark
from flightlog_schemas.events import (
    BY_TAG,
    FLOAT_TYPES,
    Event,
    KnownEvent,
    UserEvent,
    is_reserved,
)
from flightlog_schemas.limits import DEPTH_LIMIT, INT64_MAX, INT64_MIN
from flightlog_schemas.upcast import current_version, upcast
from flightlog_schemas.wire.ingest import RefusalCode

_KNOWN: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(KnownEvent)
_USER: Final = msgspec.json.Decoder(UserEvent)
_ENCODER: Final = msgspec.json.Encoder()

_decode_known = _KNOWN.decode
encode_event = _ENCODER.encode
"""Event to its line, without the newline. Fields at their default are left out."""

_UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes it cannot take; ValidationError is a DecodeError."""


class RefusalError(Exception):
    """A line is not an event that can be stored.

    Attributes:
        code: Which of the closed list of reasons.
        reason: A sentence that names the place.
    """

    def __init__(self, code: RefusalCode, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code: RefusalCode = code
        self.reason = reason


def decode_line(line: bytes) -> Event:
    """Return the event that a line (without its newline) holds, as its producer sent it.

    Raises:
        RefusalError: the line cannot be stored; the code and the reason say why.
    """
    try:
        event = _decode_known(line)
    except _UNDECODABLE as error:
        event = _decode_other(line, error)
    _check(event, line)
    return event


def _check(event: Event, line: bytes) -> None:
    """Refuse a decoded line for what its decoder does not look at."""
    kind = type(event)
    plain = (
        kind is not UserEvent
        and kind not in FLOAT_TYPES
        and len(encode_event(event)) == len(line)
        and all(_is_plain(getattr(event, name), 1) for name in _free_fields(kind))
    )
    if not plain and not _is_canonical(line):
        _check_longhand(line)
    _check_envelope(event)


@cache
def _free_fields(kind: type[Event]) -> tuple[str, ...]:
    """Return which fields of a type may hold anything; values of all others are in order once decoded."""
    return tuple(field.name for field in msgspec.structs.fields(kind) if _is_free(field.type))


def _is_free(annotation: Any) -> bool:
    """Say whether values of a type may be nested at will, or be numbers of any size."""
    if annotation is Any or annotation is int or annotation is float:
        return True
    if get_origin(annotation) is Annotated:
        return False  # a number in its range
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return any(_is_free(field.type) for field in msgspec.structs.fields(annotation))
    return any(map(_is_free, get_args(annotation)))


def _is_canonical(line: bytes) -> bool:
    """Say whether a line is written just as we would: then no key stands in it twice."""
    try:
        value = msgspec.json.decode(line)
        return encode_event(value) == line and _is_plain(value, 0, floats=True)
    except (*_UNDECODABLE, OverflowError):
        return False


def decode_stored(line: bytes) -> Event:
    """Return the event of a stored line, old payload versions upcast to the current one.

    A line that passed `decode_line` once needs no check again.
    """
    try:
        event = _decode_known(line)
    except msgspec.ValidationError:
        user_event = _USER.decode(line)
        if not is_reserved(user_event.type):
            return user_event
    else:
        if event.v == 1 and current_version(_tag(event)) == 1:
            return event
    payload = upcast(msgspec.json.decode(line))
    return msgspec.convert(payload, BY_TAG[payload["type"]])


def _tag(event: Event) -> str:
    tag = event.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def _decode_other(line: bytes, error: Exception) -> Event:
    """Return a user's own event, or raise the refusal that fits what msgspec said of the line."""
    if isinstance(error, RecursionError):
        raise RefusalError("too_deep", f"nested deeper than {DEPTH_LIMIT} levels") from None
    if isinstance(error, UnicodeDecodeError):
        raise RefusalError("invalid", f"not UTF-8: {error.reason} at byte {error.start}") from None
    try:
        event = _USER.decode(line)
    except RecursionError:
        raise RefusalError("too_deep", f"nested deeper than {DEPTH_LIMIT} levels") from None
    except _UNDECODABLE as own_error:
        # Of a type that is none of ours, the first error says only that.
        told = own_error if str(error).endswith(" - at `$.type`") else error
        raise RefusalError("invalid", _place(str(told))) from None
    if not is_reserved(event.type):
        return event
    if event.type not in BY_TAG:
        raise RefusalError("unknown_type", f"no type {event.type!r} in this version of flightlog") from None
    raise RefusalError("invalid", f"{event.type}: {_place(str(error))}") from None


def _place(message: str) -> str:
    """Turn msgspec's "Expected `str`, got `int` - at `$.name`" into "name: expected `str`, got `int`"."""
    what, _, where = message.partition(" - at `")
    path = where.rstrip("`").removeprefix("$").removeprefix(".")
    if what[1:2].islower():
        what = what[0].lower() + what[1:]
    return f"{path}: {what}" if path else what


def _check_envelope(event: Event) -> None:
    """Refuse ids with white space or unprintable characters, and versions that nobody knows yet."""
    name = event.execution_id
    if name is not None:
        if " " in name or not name.isprintable():
            raise RefusalError("invalid", _BAD_ID.format("execution_id"))
        if "~" in name and split_mark(name)[1]:
            raise RefusalError("invalid", _OTHERS_ID)
    if (name := event.task_id) is not None and not is_id(name):
        raise RefusalError("invalid", _BAD_ID.format("task_id"))
    if (name := event.agent_id) is not None and not is_id(name):
        raise RefusalError("invalid", _BAD_ID.format("agent_id"))
    if (name := event.id) is not None and not is_id(name):
        raise RefusalError("invalid", _BAD_ID.format("id"))
    if (name := event.causation_id) is not None and not is_id(name):
        raise RefusalError("invalid", _BAD_ID.format("causation_id"))
    if type(event) is UserEvent:
        if not is_id(event.type):
            raise RefusalError("invalid", _BAD_ID.format("type"))
    elif event.v != 1 and not 1 <= event.v <= current_version(_tag(event)):
        raise RefusalError("unsupported_version", f"{_tag(event)}: version {event.v} is not known here")


_OTHERS_ID: Final = "execution_id: ids that end in `~` and 12 hex digits are of executions of other machines"
_BAD_ID: Final = "{}: an id is 1 to 128 printable characters without white space"


def is_id(text: str) -> bool:
    """Say whether a text of the right length is an id: printable, no white space."""
    return text.isprintable() and " " not in text


def _is_plain(value: object, depth: int, *, floats: bool = False) -> bool:
    """Say whether a value is nested no deeper than allowed and holds no number past 64 bits.

    Args:
        value: As it was decoded.
        depth: How deep it stands itself.
        floats: Whether it may hold floats, which have no single spelling: a longer one could make up for a
            key that stood there twice, where only lengths are compared.
    """
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return INT64_MIN <= value <= INT64_MAX  # type: ignore[operator]  # kind is int
    if kind is float:
        return floats and isfinite(value)  # type: ignore[arg-type]  # kind is float
    if depth >= DEPTH_LIMIT:
        return False
    inside: Any = value.values() if kind is dict else value  # type: ignore[attr-defined]  # kind is dict
    return all(_is_plain(inner, depth + 1, floats=floats) for inner in inside)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its pairs as written."""


_PAIRS: Final = json.JSONDecoder(object_pairs_hook=_Pairs)


def _check_longhand(line: bytes) -> None:
    """Read the line again, pair by pair, and refuse what the design forbids anywhere in it."""
    try:
        pairs = _PAIRS.decode(line.decode())
    except UnicodeDecodeError as error:
        raise RefusalError("invalid", f"not UTF-8: {error.reason} at byte {error.start}") from None
    except RecursionError:
        raise RefusalError("too_deep", f"nested deeper than {DEPTH_LIMIT} levels") from None
    except ValueError as error:  # also an int of more digits than Python converts
        raise RefusalError("invalid", str(error)) from None
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise RefusalError("invalid", f"{key}: the same key twice")
        seen.add(key)
    level: list[Any] = [pairs]
    for depth in range(1, DEPTH_LIMIT + 2):
        if not level:
            return
        if depth > DEPTH_LIMIT:
            raise RefusalError("too_deep", f"nested deeper than {DEPTH_LIMIT} levels")
        level = [inner for container in level for inner in _inner(container)]


_INFINITIES: Final = (float("inf"), float("-inf"))


def _inner(container: Any) -> list[Any]:
    """Return the containers directly inside one; refuse numbers that no 64-bit field can hold."""
    values = [value for _, value in container] if isinstance(container, _Pairs) else container
    for value in values:
        if (type(value) is int and not INT64_MIN <= value <= INT64_MAX) or value in _INFINITIES:
            raise RefusalError("invalid", "a number past 64 bits")
    return [value for value in values if isinstance(value, list)]
