"""Other people's text on its way to an agent, and what is cut of it. Pure."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flightlog.errors import UsageError
from flightlog.mcp.cursors import Cursor, decode, encode
from flightlog.mcp.untrusted import Sizes, harmless, shortened, size_bytes, within


@pytest.mark.covers("S2.9")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, größe, 漢字, שלום", "plain, größe, 漢字, שלום"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31;1mred\x1b[0m", "red"),
        ("\x1b]0;title\x07\x1b[2J", r"\x1b]0;title\x07\x1b[2J"),
        ("over\rwritten\x00\x7f\x9b", r"over\rwritten\x00\x7f\x9b"),
        ("abc\u202edcba\u2066x\u2069", r"abc\u202edcba\u2066x\u2069"),
        ("a\u200bb\ufeffc\u2028d", r"a\u200bb\ufeffc\u2028d"),
        ("x\U000e0049\U000e0067", r"x\U000e0049\U000e0067"),
        ("e\U000e0101\ufe00", r"e\U000e0101\ufe00"),
        (
            "\U0001f469\u200d\U0001f4bb ❤\ufe0f ن\u200cک",
            "\U0001f469\u200d\U0001f4bb ❤\ufe0f ن\u200cک",
        ),
        ("a\u200c\u200d\u200c\u200dz", r"a\u200c\u200d\u200c\u200dz"),
    ],
)
def test_nothing_hides_in_text(text: str, shown: str) -> None:
    """Colours go, what nobody sees is shown as an escape, and what people write stays as it is."""
    assert harmless(text) == shown


@given(st.text())
def test_harmless_text_stays_harmless(text: str) -> None:
    """Text that was made harmless is left as it is, and holds no control character but newline and tab."""
    found = harmless(text)
    assert harmless(found) == found
    assert all(char.isprintable() or char in "\n\t" or ord(char) > 0x9F for char in found)


@pytest.mark.covers("S2.9")
def test_large_values_are_cut_with_a_mark() -> None:
    """A long text, a long list, a large object and deep nesting say how much is left out."""
    sizes = Sizes(chars=128, entries=2, depth=3)
    assert (
        shortened("x" * 130, sizes) == "x" * 128 + "… [cut 2 characters: raise text_chars or budget_tokens]"
    )
    assert shortened([1, 2, 3, 4], sizes) == [1, 2, "… 2 more items"]
    assert shortened({"a": "1", "b": "2", "c": "3"}, sizes) == {"a": "1", "b": "2", "…": "1 more keys"}
    assert shortened({"a": 1, "b": 2, "c": 3}, sizes) == {"a": 1, "b": 2, "…": 1}
    assert shortened([[[[1]], {}]], Sizes(chars=128, depth=2)) == [
        [["… 1 items, nested deeper than is shown"], {}]
    ]
    assert shortened({"\x1b": None, "n": 1.5, "t": True}, Sizes(128)) == {r"\x1b": None, "n": 1.5, "t": True}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.covers("S2.9")
@given(st.dictionaries(st.sampled_from(["message", "fields", "inputs"]), json_values))
def test_cut_values_are_whole_json(value: dict[str, Any]) -> None:
    """Whatever is cut of an object, it keeps its keys and is JSON; what is small enough is kept as it is."""
    found = within(value, Sizes(1000), 500)
    assert set(found) == set(value)
    assert json.loads(json.dumps(found)) == found
    assert size_bytes(found) <= max(500, size_bytes(shortened(value, Sizes(1000))))


@pytest.mark.covers("S2.9")
def test_objects_give_way_until_they_fit() -> None:
    """An object that alone is larger than the room for it is cut further and further."""
    huge = {"message": "m" * 100_000, "fields": {f"key {n}": "v" * 5000 for n in range(500)}, "seq": 1}
    found = within(huge, Sizes(100_000), 6000)
    assert size_bytes(found) <= 6000
    assert found["seq"] == 1
    assert found["message"].startswith("mmm")


@pytest.mark.covers("S2.9")
def test_cursors() -> None:
    """A cursor comes back as it was given, with the same question only; anything else is an error."""
    cursor = Cursor("abc", "17:3", 1_790_000_000_000_000)
    assert decode(encode(cursor), "abc") == cursor
    with pytest.raises(UsageError, match="other arguments"):
        decode(encode(cursor), "abd")
    for text in ("", "x", "....", "WzEsMl0", "é"):
        with pytest.raises(UsageError, match="not one of an earlier answer"):
            decode(text, "abc")
