"""The text of a search is words, whatever is in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flightlog_schemas.words import Word, search_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("disk full", [Word("disk"), Word("full")]),
        ('"disk full"', [Word("disk full")]),
        ('-"disk full"* x', [Word("disk full", prefix=True, exclude=True), Word("x")]),
        ("dis* -test", [Word("dis", prefix=True), Word("test", exclude=True)]),
        ("--verbose -(x - *", [Word("--verbose"), Word("-(x"), Word("-"), Word("*")]),
        ('say "half open', [Word("say"), Word("half open")]),
        ('a"b" x AND (y)', [Word('a"b'), Word("x"), Word("AND"), Word("(y)")]),
        ("  ", []),
    ],
)
def test_words(text: str, words: list[Word]) -> None:
    """Quotes keep words in a row, a star takes beginnings, a dash leaves out; all else is text."""
    assert list(search_words(text)) == words


@given(st.text())
def test_any_text_is_words(text: str) -> None:
    """No text is refused, and no letter of it is lost."""
    letters = [char for char in text if char.isalnum()]

    assert [char for word in search_words(text) for char in word.text if char.isalnum()] == letters
