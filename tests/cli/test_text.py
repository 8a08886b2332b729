"""Text harms no terminal and breaks no columns. Pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flightlog.cli.text import LocalClock, bytes_text, cut, indent, one_line, safe, tsv, wrap

NOON_US = 1_795_867_200_000_000  # 2026-11-28T12:00:00Z


@pytest.mark.covers("S1.9")
@given(st.text())
def test_safe_text_has_no_control_characters(text: str) -> None:
    """Whatever text holds, nothing but newlines and tabs reaches the terminal as a control."""
    shown = safe(text)

    assert all(char in "\n\t" or not (ord(char) < 32 or 0x7F <= ord(char) < 0xA0) for char in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")


@pytest.mark.covers("S1.9")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain — ünï 日本 😀", "plain — ünï 日本 😀"),
        ("two\nlines\tand", "two\nlines\tand"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[38;5;1;4mred\x1b[m", "red"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x1b[2J", "\\x1b[2J"),
        ("50%\r99%", "50%\\r99%"),
        ("a\x00b\x7f\x9b", "a\\x00b\\x7f\\x9b"),
        ("user\u202enimda", "user\\u202enimda"),
    ],
)
def test_controls_are_shown_not_obeyed(text: str, shown: str) -> None:
    """Colours go away, and every other control is shown as an escape."""
    assert safe(text) == shown


@given(st.lists(st.none() | st.text(), min_size=1))
def test_values_never_break_a_row(values: list[str | None]) -> None:
    """A row has as many columns as values, on one line, none of them empty for being unknown."""
    columns = tsv(values).split("\t")

    assert len(columns) == len(values)
    assert "\n" not in tsv(values)
    assert all(column == "-" for column, value in zip(columns, values, strict=True) if value is None)


def test_cells_are_one_line() -> None:
    """A cell of a table shows line ends instead of having them."""
    assert one_line("a\nb\tc") == "a\\nb\\tc"


def test_cut_text_says_so() -> None:
    """What is too long ends with an ellipsis, and is no longer than allowed."""
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdefg", 6) == "abcde…"


def test_continuation_lines_are_indented() -> None:
    """Every line but the first is indented."""
    assert indent("a\nb\nc") == "a\n    b\n    c"


def test_wrapped_text_stays_right_of_its_margin() -> None:
    """Long values break at the terminal's edge and keep to their column, with every space they had."""
    text = "one  two three-four " * 5
    lines = wrap(text, 10, 40).split("\n")

    assert all(len(line) <= 40 for line in lines)
    assert all(line.startswith(" " * 10) for line in lines[1:])
    assert lines[0] + "".join(line[10:] for line in lines[1:]) == text
    assert wrap("a\n\nb", 2, 40) == "a\n  \n  b"


def test_times_of_today_need_no_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person sees the time of today, and the date where it is another day."""
    clock = LocalClock(NOON_US)
    today, before = clock(NOON_US - 1_000), clock(NOON_US - 86_400_000_000)

    assert len(today) == len("11:59:59.999")
    assert today.endswith(":59:59.999")
    assert before.endswith(":00:00.000")
    assert before.startswith("2026-11-2")


def test_times_past_the_calendar_are_shown() -> None:
    """A time that no calendar can say does not end the listing."""
    assert LocalClock(NOON_US)(2**63 - 1).startswith("9999-12-3")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (4_400_000, "4.2 MiB"),
        (2**30, "1.0 GiB"),
        (2**50, "1048576.0 GiB"),
    ],
)
def test_sizes_are_readable(size: int, text: str) -> None:
    """Sizes have a unit and one decimal."""
    assert bytes_text(size) == text
