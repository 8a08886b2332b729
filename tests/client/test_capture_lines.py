"""Bytes of a command's output become lines, and lines say what they say. Pure."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flightlog.capture.lines import LINE_LIMIT_CHARS, Entry, entry
from flightlog.capture.split import RAW_LIMIT_BYTES, LineSplitter, RawLine


def split(*reads: bytes) -> list[RawLine]:
    """Return all lines of a stream that came in these reads."""
    splitter = LineSplitter()
    return [line for read in reads for line in splitter.feed(read)] + splitter.finish()


def said(text: str) -> Entry:
    """Return what a line of stdout says."""
    return entry(RawLine(text.encode(), 0), "stdout")


@pytest.mark.covers("S1.4")
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_lines_do_not_depend_on_how_they_were_read(data: bytes, cuts: list[int]) -> None:
    """However a stream is cut into reads, its lines are the same."""
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    reads = [data[start:end] for start, end in pairwise(places)]
    expected = data.split(b"\n")
    if expected[-1] == b"":
        expected.pop()

    assert [line.data for line in split(*reads)] == expected


@pytest.mark.covers("S1.4")
def test_a_character_split_over_two_reads_is_whole() -> None:
    """A character whose bytes come in two reads is not damaged."""
    text = "größer — 日本"
    data = text.encode()

    for at in range(len(data)):
        assert [entry(line, "stdout").message for line in split(data[:at], data[at:])] == [text]


@pytest.mark.covers("S1.4")
def test_the_last_line_needs_no_newline() -> None:
    """Output that ends without a newline loses nothing."""
    assert [line.data for line in split(b"one\ntwo")] == [b"one", b"two"]


def test_empty_lines_are_lines() -> None:
    """An empty line is recorded, for it separates others."""
    assert [line.data for line in split(b"\n\na\n")] == [b"", b"", b"a"]


def test_a_carriage_return_before_the_newline_is_no_text() -> None:
    """The line end of other systems is not part of a message."""
    assert said("text\r").message == "text"


def test_bytes_that_are_no_utf8_are_shown() -> None:
    """Bytes that are no text stay recognisable."""
    assert entry(RawLine(b"a\xffb", 0), "stderr") == Entry("a\\xffb", None, {"stream": "stderr"}, 0)


@pytest.mark.covers("S1.5")
def test_a_long_line_is_cut_and_says_so() -> None:
    """What is over the limit is cut, counted, and marked in the message."""
    long = said("x" * (LINE_LIMIT_CHARS + 12_345))

    assert long.message == "x" * LINE_LIMIT_CHARS + "… [12,345 more characters cut]"
    assert long.cut_chars == 12_345
    assert long.fields == {"stream": "stdout", "cut_chars": 12_345}
    assert said("x" * LINE_LIMIT_CHARS).cut_chars == 0


@pytest.mark.covers("S1.5")
def test_a_line_without_end_costs_bounded_memory() -> None:
    """Of a line that never ends only the beginning is held, and every character of the rest is counted."""
    splitter = LineSplitter()
    for _ in range(40):
        assert splitter.feed("ü".encode() * 50_000) == []
    (line,) = splitter.feed(b"end\n")

    assert len(line.data) == RAW_LIMIT_BYTES
    assert entry(line, "stdout").cut_chars == 40 * 50_000 + 3 - LINE_LIMIT_CHARS


def test_a_long_line_within_one_read_is_counted_in_the_same_way() -> None:
    """It makes no difference whether a long line comes in one piece."""
    data = b"a" * (RAW_LIMIT_BYTES + 10)

    assert split(b"x\n" + data + b"\ny\n") == split(b"x\n", data[:5], data[5:] + b"\n", b"y\n")


@pytest.mark.covers("S1.4")
def test_a_json_object_with_level_and_message_is_structured() -> None:
    """Its level and message are the entry's, and its other keys the fields."""
    line = '{"time":"now","level":"warn","message":"low","disk":{"free":3}}'

    assert said(line) == Entry("low", "warn", {"time": "now", "disk": {"free": 3}, "stream": "stdout"}, 0)
    assert said('{"level":17,"message":"m"}').level == 17


@pytest.mark.covers("S1.4")
@pytest.mark.parametrize(
    "line",
    [
        '{"level":"info"}',
        '{"message":"m"}',
        '{"level":"info","message":5}',
        '{"level":true,"message":"m"}',
        '{"level":null,"message":"m"}',
        '{"level":"info","message":"m"',
        '{"level":"info","message":"m"} trailing',
        '["level","message"]',
        '{"level":"info","message":"m","n":' + "9" * 30 + "}",
        '{"level":"info","message":"m","n":' + "[" * 70 + "]" * 70 + "}",
        '{"level":"info","message":"m","n":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"level":"info","message":"\\ud800"}',
    ],
)
def test_other_json_is_text(line: str) -> None:
    """A line that is no such object, or that the daemon would refuse as one, is kept as text."""
    text = said(line)

    assert text.level is None
    assert text.message.startswith(line[:LINE_LIMIT_CHARS])
    assert text.fields["stream"] == "stdout"


@pytest.mark.covers("S1.5")
def test_a_structured_line_is_parsed_before_it_is_cut() -> None:
    """A long structured line stays structured; its message is what is cut."""
    line = json.dumps({"level": "error", "message": "y" * 20_000, "code": 7})
    long = said(line)

    assert long.level == "error"
    assert long.message.startswith("y" * LINE_LIMIT_CHARS + "…")
    assert long.fields == {"code": 7, "stream": "stdout", "cut_chars": 10_000}


def test_a_field_called_stream_is_kept_beside_ours() -> None:
    """A program's own `stream` is not lost to the name of the stream."""
    assert said('{"level":"info","message":"m","stream":"orders"}').fields == {
        "line_stream": "orders",
        "stream": "stdout",
    }
