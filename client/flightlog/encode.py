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
from flightlog_schemas.limits import INT64_MAX, INT64_MIN, LINE_LIMIT_BYTES

_DEPTH_LIMIT: Final = 32
"""Deepest nesting kept of a value that could not be encoded as it is."""

_CHAR_BYTES: Final = 6
"""Most bytes that one character takes in JSON: `\\u0000`."""
_MARKER_BYTES: Final = 150
"""Of the marker at the end of a message that was cut, and of the field that counts it."""

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
    for a line is cut and says so.
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
        return masked_line(_encode(event))
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


def _is_storable(value: object) -> bool:
    """Say whether all whole numbers inside have at most 64 bits, as the log requires."""
    kind = type(value)
    if kind is int:
        return INT64_MIN <= value <= INT64_MAX  # type: ignore[operator]  # kind is int
    if kind is dict:
        return all(_is_storable(inner) for inner in value.values())  # type: ignore[attr-defined]
    if kind is list or kind is tuple:
        return all(_is_storable(inner) for inner in value)  # type: ignore[attr-defined]
    return True


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
