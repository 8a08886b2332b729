"""Event to line, whatever a program puts into it: what JSON cannot say is said as text, secrets are masked.

Everything that this process emits becomes bytes here, so nothing unmasked is buffered, spooled or sent.
"""

from collections.abc import Mapping, Set
from typing import Final

import msgspec

from flightlog.masking import is_clean, is_scrubbed, masked_line, masked_text
from flightlog_schemas.cuts import CUT_CHARS
from flightlog_schemas.events.envelope import Event
from flightlog_schemas.events.log import Log
from flightlog_schemas.limits import DEPTH_LIMIT, INT64_MAX, INT64_MIN, LINE_LIMIT_BYTES

_DEPTH_LIMIT: Final = 32
"""Deepest nesting kept of a value that could not be encoded as it is."""

_CHAR_BYTES: Final = 6
"""Most bytes that one character takes in JSON: `\\u0000`."""
_MARKER_BYTES: Final = 150
"""Of the marker at the end of a message that was cut, and of the field that counts it."""

_FREE: Final = ("inputs", "outputs")
"""Fields of flightlog's own events that may hold anything."""
_TEXT_LIMIT_CHARS: Final = 20_000
_VALUE_LIMIT_CHARS: Final = 60_000
"""Most of one text, and of all that a field holds, in an event that is too long for a line."""

TOO_DEEP: Final = "(nested too deep)"


def text(value: object) -> str:
    """Return what `str` says, or the type's name where that fails. Never raises an Exception."""
    try:
        return str(value)
    except Exception:  # a program's broken __str__ must not break the program
        return f"<{type(value).__qualname__}>"


_encode = msgspec.json.Encoder(enc_hook=text).encode


def encode_line(event: Event | Mapping[str, object]) -> bytes | None:
    """Return the event's JSON on one line, or None where even its plain form cannot be encoded.

    Paths, exceptions and other objects become their text. Where that is not enough (file names that are not
    UTF-8, structures that hold themselves, keys that are no strings, numbers past 64 bits) the event is
    rebuilt from plain values. What is secret is masked; what cannot be masked is not said. A message too long
    for a line is cut and says so, and so is what of the inputs or outputs of a task is.
    """
    try:
        return _encode_whole(event)
    except Exception:  # whatever a program's objects raise
        try:
            return masked_line(_encode(_plain(event, ())))
        except Exception:  # as above; the caller counts it
            return None


def _encode_whole(event: Event | Mapping[str, object]) -> bytes | None:
    if type(event) is not Log:
        if not isinstance(event, Event):
            # What others say is kept as they say it, or refused by the daemon.
            return masked_line(_encode(event))
        storable = all(_is_storable(getattr(event, name, None)) for name in _FREE)
        line = masked_line(_encode(event if storable else _plain(event, ())))
        return line if len(line) <= LINE_LIMIT_BYTES else _shortened(line)
    if event.fields is not None and not _is_storable(event.fields):
        return masked_line(_encode(_plain(event, ())))
    # Before it may be cut: half a secret would not be found.
    if not is_clean(event.message):
        message = masked_text(event.message)
        scrubbed = is_scrubbed(message) or event.scrubbed
        event = msgspec.structs.replace(event, message=message, scrubbed=scrubbed)
    line = _encode(event)
    if event.fields is not None or event.source is not None:
        line = masked_line(line)
    return line if len(line) <= LINE_LIMIT_BYTES else _cut(event, len(line))


def _is_storable(value: object, depth: int = 2) -> bool:
    """Say whether whole numbers inside have at most 64 bits, and no level is too deep, as the log requires.

    Args:
        value: Anything.
        depth: How deep it stands in the line, counted from 1.
    """
    kind = type(value)
    if kind is int:
        return INT64_MIN <= value <= INT64_MAX  # type: ignore[operator]  # kind is int
    if kind is dict:
        inside = value.values()  # type: ignore[attr-defined]  # kind is dict
    elif kind is list or kind is tuple:
        inside = value
    else:
        return True
    if depth > DEPTH_LIMIT:
        return False
    for inner in inside:  # noqa: SIM110  # as one expression it takes longer, for every line
        # Most are texts, and a call costs more than to see that.
        if type(inner) is not str and not _is_storable(inner, depth + 1):
            return False
    return True


def _shortened(line: bytes) -> bytes:
    """Return an event's line with what is long in it cut; as it is where even that does not fit.

    It was masked before: half a secret would not be found.
    """
    from flightlog.importing.shorten import cut_text, cut_value  # here, because most programs never need it

    said = msgspec.json.decode(line)
    for name, value in said.items():
        if name in _FREE:
            said[name] = cut_value(value, _TEXT_LIMIT_CHARS, _VALUE_LIMIT_CHARS)
        elif isinstance(value, str):
            said[name] = cut_text(value, _TEXT_LIMIT_CHARS)
    short = _encode(said)
    return short if len(short) <= LINE_LIMIT_BYTES else line


def _cut(event: Log, size_bytes: int) -> bytes | None:
    """Return a log line with its message cut to fit; None where the rest alone is too long."""
    other_bytes = size_bytes - len(_encode(event.message))
    kept_chars = max(LINE_LIMIT_BYTES - other_bytes - _MARKER_BYTES, 0) // _CHAR_BYTES
    cut_chars = len(event.message) - kept_chars
    message = f"{event.message[:kept_chars]}… [{cut_chars:,} more characters cut]"
    fields = {**(event.fields or {}), CUT_CHARS: cut_chars}
    line = masked_line(_encode(msgspec.structs.replace(event, message=message, fields=fields)))
    return line if len(line) <= LINE_LIMIT_BYTES else None


def _plain(value: object, inside: tuple[int, ...]) -> object:
    """Return a value that JSON can say; `inside` are the identities of the containers around it."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if INT64_MIN <= value <= INT64_MAX else str(value)
    if isinstance(value, str):
        # Lone surrogates come from file names that are not UTF-8.
        return value.encode("utf-8", "backslashreplace").decode()
    if id(value) in inside or len(inside) >= _DEPTH_LIMIT:
        return TOO_DEEP
    inside = (*inside, id(value))
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        tag = {"type": value.__struct_config__.tag} if value.__struct_config__.tag else {}
        return _plain(tag | {name: field for name, field in fields.items() if field is not None}, inside)
    if isinstance(value, Mapping):
        return {_plain(text(key), ()): _plain(inner, inside) for key, inner in value.items()}
    if isinstance(value, list | tuple | Set):
        return [_plain(inner, inside) for inner in value]
    return _plain(text(value), ())
