"""Keys and ids that come from what is told: the same in every run, on every machine."""

from hashlib import sha256
from typing import Final

from flightlog.ids import is_id

_SEPARATOR: Final = "\x1f"
"""Between parts; in no id, so that no two lists of parts are one text."""


def digest(*parts: object) -> str:
    """Return 32 hex digits for a list of parts."""
    text = _SEPARATOR.join(map(str, parts))
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def span_of(*parts: object) -> str:
    """Return a span id for a list of parts."""
    return digest("span", *parts)[:16]


def as_id(text: str) -> str:
    """Return a text as an id: itself where it can be one, else its digest."""
    return text if is_id(text) else digest(text)


def key_of(*parts: object) -> str:
    """Return a key for an event: its parts joined by colons, or their digest where that is no id."""
    return as_id(":".join(map(str, parts)))
