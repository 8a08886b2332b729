"""Where the next page begins, as a text that an agent hands back without looking into it. Pure."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Final

import msgspec
from msgspec import Struct

from flightlog.errors import UsageError

_FREE: Final = frozenset({"cursor", "limit", "budget_tokens", "text_chars"})
"""Arguments that may differ from page to page."""


class Cursor(Struct, frozen=True, array_like=True):
    """The end of a page.

    Attributes:
        question: Digest of the tool and of what it was asked.
        next: Where the daemon goes on.
        now_us: When the first page was asked for, from which relative times are told.
    """

    question: str
    next: int | str
    now_us: int


def question(tool: str, arguments: Struct) -> str:
    """Return the digest of what a tool was asked, whatever the page."""
    told: dict[str, Any] = msgspec.to_builtins(arguments)
    asked = {name: value for name, value in told.items() if name not in _FREE}
    return hashlib.sha256(msgspec.json.encode([tool, asked], order="deterministic")).hexdigest()[:12]


def encode(cursor: Cursor) -> str:
    """Return a cursor as text."""
    return urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def decode(text: str, asked: str) -> Cursor:
    """Return the cursor that a text is.

    Args:
        text: What came back.
        asked: The digest of what the tool is asked now.

    Raises:
        UsageError: it is no cursor, or one of another question.
    """
    try:
        found = msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Cursor)
    except ValueError:
        raise UsageError("cursor: not one of an earlier answer", "leave it out for the first page") from None
    if found.question != asked:
        raise UsageError(
            "cursor: it belongs to an answer to other arguments",
            "repeat the arguments of the page before, or leave the cursor out",
        )
    return found
