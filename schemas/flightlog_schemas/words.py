"""The text of a search, as a person writes it: words, "phrases", beginnings*, and -what is left out. Pure."""

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

_WORD: Final = re.compile(r'-?"[^"]*(?:"\*?|$)|\S+')


class Word(Struct, frozen=True):
    """A word of a search, or several in a row.

    Attributes:
        text: What must occur (punctuation and case do not matter).
        prefix: What occurs may go on after it.
        exclude: It must not occur instead.
    """

    text: str
    prefix: bool = False
    exclude: bool = False


def search_words(text: str) -> Iterator[Word]:
    """Yield the words of a search; there is no text that is not one.

    Quotes keep words in a row, a star behind a word takes what begins so, a dash before a letter, a digit or
    a quote leaves out. Everything else is text: `--verbose`, `(`, `AND`, a quote within a word.
    """
    for match in _WORD.finditer(text):
        word = match[0]
        exclude = word[0] == "-" and (word[1:2] == '"' or word[1:2].isalnum())
        word = word[exclude:]
        prefix = len(word) > 1 and word.endswith("*")
        yield Word(word[: len(word) - prefix].strip('"'), prefix, exclude)
