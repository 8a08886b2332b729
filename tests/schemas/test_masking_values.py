"""Values that were registered, in any spelling. Pure."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flightlog_schemas.masking import MASK, Values
from support.secrets import base64_spellings, spellings

SECRETS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Zs", "Zl", "Zp")) | st.sampled_from(' "\\/+%&\n'),
    min_size=6,
    max_size=40,
).filter(lambda text: len(text.strip()) >= 6 and text == text.strip() and len(set(text)) > 3)


def registered(*values: str) -> Values:
    """Return values that were registered."""
    found = Values()
    for value in values:
        found.add(value)
    return found


@pytest.mark.covers("S1.12")
@settings(deadline=None)
@given(SECRETS)
def test_every_spelling_vanishes(secret: str) -> None:
    """A registered value is masked as it is, in JSON once and twice, and URL-encoded in any way."""
    values = registered(secret)
    for spelt in spellings(secret):
        text = f"<{spelt}>"
        assert values.may_hold(text)
        masked = values.mask(text)
        assert MASK in masked
        assert spelt not in masked
        assert values.mask(masked) == masked


@pytest.mark.covers("S1.12")
@settings(deadline=None)
@given(SECRETS)
def test_every_base64_vanishes(secret: str) -> None:
    """A registered value is masked in base64, standard and URL-safe, wherever it begins."""
    values = registered(secret)
    for text, digits in base64_spellings(secret):
        assert values.may_hold(text)
        assert digits not in values.mask(text)


@settings(deadline=None)
@given(SECRETS, st.text())
def test_a_text_that_is_passed_over_holds_nothing(secret: str, text: str) -> None:
    """Where the first look finds nothing, masking changes nothing."""
    values = registered(secret)
    if not values.may_hold(text):
        assert values.mask(text) == text


@pytest.mark.covers("S1.12")
def test_the_longest_wins() -> None:
    """Of values that overlap all is masked, of one within another too."""
    assert registered("hunter2", "hunter2-and-more").mask("x hunter2-and-more") == f"x {MASK}"
    assert registered("abcdef", "defghi").mask("abcdefghi") == MASK


@pytest.mark.covers("S1.12")
def test_lines_of_a_value() -> None:
    """A value of several lines is masked whole, and each of its longer lines alone."""
    values = registered("first line of it\n{\nsecond line of it")
    assert values.mask("a first line of it\n{\nsecond line of it b") == f"a {MASK} b"
    assert values.mask("  second line of it  ") == f"  {MASK}  "
    assert values.mask("{") == "{"


@pytest.mark.parametrize("value", ["", "  ", "short", "  a  \n", "*" * 20])
def test_what_would_mask_everything_is_refused(value: str) -> None:
    """A value that is too short to be told from ordinary text is refused, with the reason."""
    with pytest.raises(ValueError, match="would mask ordinary text: 6 are the least"):
        Values().add(value)


def test_values_are_bounded() -> None:
    """A value that is too long is refused, and so is one too many."""
    with pytest.raises(ValueError, match="at most 65,536"):
        Values().add("x" * 70_000)
    values = Values()
    values._known = frozenset(map(str, range(1_000)))
    with pytest.raises(ValueError, match="1,000 values"):
        values.add("one too many")
