"""Times, levels and patterns as people type them. Pure."""

import time
from collections.abc import Iterator

import click
import pytest

from flightlog.cli.options import COUNT, LEVEL, LEVELS, PAIR, PATTERN, DurationType, IdType
from flightlog.cli.times import parse_time
from flightlog.cli.verbs.exec import ARGS_LIMIT_CHARS, recorded_args
from flightlog.trace import next_span
from flightlog_schemas.times import parse_rfc3339

NOW_US = parse_rfc3339("2026-11-21T10:30:00Z")


@pytest.fixture
def _in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the machine be nine hours ahead of UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.covers("S1.9")
@pytest.mark.usefixtures("_in_tokyo")
@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("0s", "2026-11-21T10:30:00Z"),
        ("5m", "2026-11-21T10:25:00Z"),
        ("1h30m", "2026-11-21T09:00:00Z"),
        ("2d", "2026-11-19T10:30:00Z"),
        ("500ms", "2026-11-21T10:29:59.5Z"),
        ("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z"),
        ("2026-11-01T00:00:00.123456+02:00", "2026-10-31T22:00:00.123456Z"),
        ("2026-11-01T09:00:00", "2026-11-01T00:00:00Z"),
        ("2026-11-01 09:00", "2026-11-01T00:00:00Z"),
        ("today", "2026-11-20T15:00:00Z"),
        ("yesterday", "2026-11-19T15:00:00Z"),
    ],
)
def test_times_are_read_as_people_mean_them(text: str, moment: str) -> None:
    """Durations lie before now, RFC 3339 says its offset, and what has no offset is local."""
    assert parse_time(text, NOW_US) == parse_rfc3339(moment)


def test_times_before_the_epoch_are_the_epoch() -> None:
    """A time further back than anything recorded is no error."""
    assert parse_time("100000d", NOW_US) == 0
    assert parse_time("1960-01-01T00:00:00Z", NOW_US) == 0


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "5x", "tomorrow", "2026-13-01T00:00:00Z", "-5m"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """Anything else is an error that says what to write."""
    with pytest.raises(ValueError, match=r"not a (time|duration)"):
        parse_time(text, NOW_US)


@pytest.mark.covers("S1.1")
def test_levels_are_names_or_numbers() -> None:
    """Levels are typed by name in any case or by number, several with commas, each once."""
    assert LEVEL.convert("warn", None, None) == "warn"
    assert LEVELS.convert("WARN,error, 18", None, None) == (13, 17)
    with pytest.raises(click.BadParameter, match="no such level 'loud'"):
        LEVELS.convert("warn,loud", None, None)


def test_pairs_have_a_key_and_a_value() -> None:
    """KEY=VALUE may have an empty value, and further equals signs in it."""
    assert PAIR.convert("a=b=c", None, None) == ("a", "b=c")
    assert PAIR.convert("a=", None, None) == ("a", "")
    assert COUNT.convert("files=-3", None, None) == ("files", -3)
    for bad in ("a", "=b"):
        with pytest.raises(click.BadParameter):
            PAIR.convert(bad, None, None)
    for bad in ("files=x", f"files={2**63}", "files="):
        with pytest.raises(click.BadParameter):
            COUNT.convert(bad, None, None)


def test_plain_patterns_go_to_the_daemon() -> None:
    """Text without special characters is searched as it is, anything else is a regular expression."""
    assert PATTERN.convert("time out", None, None).literal == "time out"
    assert PATTERN.convert("time ?out", None, None).literal is None
    with pytest.raises(click.BadParameter, match="not a regular expression"):
        PATTERN.convert("(", None, None)


def test_ids_are_checked() -> None:
    """What cannot be an id is a usage error before anybody is asked."""
    assert IdType().convert("build-7", None, None) == "build-7"
    for bad in ("", "a b", "a\n", "x" * 129):
        with pytest.raises(click.BadParameter):
            IdType().convert(bad, None, None)


def test_durations_have_a_limit() -> None:
    """A duration that nobody can wait for is a usage error."""
    assert DurationType(10_000_000).convert("10s", None, None) == 10_000_000
    with pytest.raises(click.BadParameter, match="too long"):
        DurationType(10_000_000).convert("11s", None, None)


@pytest.mark.covers("P10")
def test_a_span_joins_the_trace_around_it() -> None:
    """A valid traceparent gives its trace and flags to a new span."""
    around = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    span = next_span(around)

    assert span.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert span.span_id != "b7ad6b7169203331"
    assert span.parent == f"00-{span.trace_id}-{span.span_id}-00"


@pytest.mark.covers("P10")
@pytest.mark.parametrize(
    "around",
    [
        None,
        "",
        "nonsense",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
    ],
)
def test_a_broken_trace_is_replaced(around: str | None) -> None:
    """What names no trace gives way to a new one."""
    span = next_span(around)

    assert len(span.trace_id) == 32
    assert len(span.span_id) == 16
    assert "0af7651916cd43dd8448eb211c80319c" not in span.parent


@pytest.mark.covers("S0.1")
def test_long_command_lines_are_cut() -> None:
    """A command line is recorded whole, up to a limit; what is cut is counted."""
    assert recorded_args(("make", "-j4")) == ("make", "-j4")

    program, long, rest = recorded_args(("tool", "x" * (2 * ARGS_LIMIT_CHARS), "a", "b"))

    assert program == "tool"
    assert long.endswith("… [100,004 more characters cut]")
    assert rest == "… [2 more arguments cut]"
