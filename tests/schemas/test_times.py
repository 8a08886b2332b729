"""Times and durations as people read and write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flightlog_schemas.limits import INT64_MAX
from flightlog_schemas.times import duration_text, parse_duration, parse_rfc3339, rfc3339

LAST_OF_9999 = 253_402_300_799_999_999


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (1_790_000_000_123_456, "2026-09-21T14:13:20.123456Z"),
        (LAST_OF_9999, "9999-12-31T23:59:59.999999Z"),
        (INT64_MAX, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_rfc3339(micros: int, text: str) -> None:
    """A time is written in UTC with six decimals, and what the format cannot hold as its last moment."""
    assert rfc3339(micros) == text


@given(st.integers(0, LAST_OF_9999))
def test_rfc3339_is_read_back(micros: int) -> None:
    """Any time that was written is read back to the microsecond."""
    assert parse_rfc3339(rfc3339(micros)) == micros


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2026-09-21T14:13:20Z", 1_790_000_000_000_000),
        ("2026-09-21T16:13:20+02:00", 1_790_000_000_000_000),
        ("2026-09-21 14:13:20", 1_790_000_000_000_000),
        ("2026-09-21", 1_789_948_800_000_000),
    ],
)
def test_parse_rfc3339(text: str, micros: int) -> None:
    """Offsets are taken into account; without one a time is in UTC."""
    assert parse_rfc3339(text) == micros


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01", "17", "2026-09-21T25:00:00Z"])
def test_what_is_no_time(text: str) -> None:
    """Text that is no time is a ValueError."""
    with pytest.raises(ValueError, match=r"."):
        parse_rfc3339(text)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0s", 0),
        ("7us", 7),
        ("500ms", 500_000),
        ("1.5s", 1_500_000),
        ("5m", 300_000_000),
        ("1h30m", 5_400_000_000),
        ("2d", 172_800_000_000),
        ("1w", 604_800_000_000),
    ],
)
def test_parse_duration(text: str, micros: int) -> None:
    """A duration is one or more numbers, each with its unit."""
    assert parse_duration(text) == micros


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 m", "5y", "1h 30m", "1e3s", "٣s", "9" * 400 + "d"])
def test_what_is_no_duration(text: str) -> None:
    """Text that is no duration is a ValueError that shows how to write one."""
    with pytest.raises(ValueError, match="30s, 5m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0us"),
        (850, "850us"),
        (500_000, "500ms"),
        (999_999, "999ms"),
        (1_000_000, "1s"),
        (2_540_000, "2.5s"),
        (59_999_999, "59.9s"),
        (60_000_000, "1m"),
        (90_000_000, "1m 30s"),
        (3_599_999_999, "59m 59s"),
        (7_500_000_000, "2h 5m"),
        (86_400_000_000, "1d"),
        (273_600_000_000, "3d 4h"),
    ],
)
def test_duration_text(micros: int, text: str) -> None:
    """A duration is shown in the two largest units that say something, never rounded up."""
    assert duration_text(micros) == text
