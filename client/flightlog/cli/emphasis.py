"""Where the words of a search are in a message, only to show them: the daemon has found the line. Pure."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Final

from flightlog_schemas.words import Word, search_words

_PARTS: Final = re.compile(r"[^\W_]+")
_BETWEEN: Final = r"[\W_]+"
_START: Final = r"(?<![^\W_])"
_END: Final = r"(?![^\W_])"


def emphasis(text: str) -> Callable[[str], Iterator[tuple[str, bool]]]:
    """Return a function that takes a message apart into pieces, True for those that a search asked for.

    Args:
        text: The text of the search.
    """
    found = [pattern for word in search_words(text) if not word.exclude and (pattern := _pattern(word))]
    # The longest first: of a phrase and its first word the phrase is shown.
    found.sort(key=len, reverse=True)
    regex = re.compile("|".join(found) or r"(?!)", re.IGNORECASE)

    def pieces(message: str) -> Iterator[tuple[str, bool]]:
        end = 0
        for match in regex.finditer(_plain(message)):
            yield message[end : match.start()], False
            end = match.end()
            yield message[match.start() : end], True
        yield message[end:], False

    return pieces


def _pattern(word: Word) -> str | None:
    parts = _PARTS.findall(_plain(word.text))
    return _START + _BETWEEN.join(parts) + ("" if word.prefix else _END) if parts else None


def _plain(text: str) -> str:
    """Return text without accents, each character in its place."""
    if text.isascii():
        return text
    return "".join(unicodedata.normalize("NFD", char)[0] for char in text)
