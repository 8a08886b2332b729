"""Event to line, whatever a program puts into it: what JSON cannot say is said as text."""

from collections.abc import Mapping, Set
from typing import Final

import msgspec

from flightlog_schemas.events.envelope import Event

_DEPTH_LIMIT: Final = 32
"""Deepest nesting kept of a value that could not be encoded as it is."""

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
    UTF-8, structures that hold themselves, keys that are no strings) the event is rebuilt from plain values.
    """
    try:
        return _encode(event)
    except Exception:  # whatever a program's objects raise
        try:
            return _encode(_plain(event, ()))
        except Exception:  # as above; the caller counts it
            return None


def _plain(value: object, inside: tuple[int, ...]) -> object:
    """Return a value that JSON can say; `inside` are the identities of the containers around it."""
    if value is None or isinstance(value, bool | int | float):
        return value
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
