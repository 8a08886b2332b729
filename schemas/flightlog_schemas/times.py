"""Microseconds since the epoch, and the RFC 3339 text that people read."""

from datetime import UTC, datetime, timedelta
from typing import Final

from flightlog_schemas.regex import compiled

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS_US: Final = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
_DURATION: Final = r"(?:[0-9]{1,18}(?:\.[0-9]+)?(?:us|ms|s|m|h|d|w))+"
_PART: Final = r"([0-9]+(?:\.[0-9]+)?)(us|ms|s|m|h|d|w)"


def rfc3339(micros: int) -> str:
    """Return a time (microseconds since the epoch) as RFC 3339 in UTC with six decimals.

    Times past the year 9999, which RFC 3339 cannot write, are shown as that year's last microsecond.
    """
    try:
        moment = _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        moment = datetime.max.replace(tzinfo=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_rfc3339(text: str) -> int:
    """Return microseconds since the epoch for RFC 3339 text (a missing offset means UTC).

    Raises:
        ValueError: the text is not a date and time of RFC 3339.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def parse_duration(text: str) -> int:
    """Return microseconds for text such as `500ms`, `5m`, `1h30m`, `2d`.

    Raises:
        ValueError: the text is not a sequence of numbers with units us, ms, s, m, h, d or w.
    """
    if not compiled(_DURATION).fullmatch(text):
        raise ValueError(f"not a duration: {text!r} (write 500ms, 30s, 5m, 2h, 1d)")
    return sum(round(float(number) * _UNITS_US[unit]) for number, unit in compiled(_PART).findall(text))


def duration_text(micros: int) -> str:
    """Return a duration as people read it: `850us`, `500ms`, `2.5s`, `1m 30s`, `2h 5m`, `3d 4h`."""
    if micros < 1_000:
        return f"{micros}us"
    if micros < 1_000_000:
        return f"{micros // 1_000}ms"
    if micros < 60_000_000:
        return f"{micros // 100_000 / 10:g}s"
    seconds = micros // 1_000_000
    if seconds < 3_600:
        large, small, names = seconds // 60, seconds % 60, ("m", "s")
    elif seconds < 86_400:
        large, small, names = seconds // 3_600, seconds % 3_600 // 60, ("h", "m")
    else:
        large, small, names = seconds // 86_400, seconds % 86_400 // 3_600, ("d", "h")
    return f"{large}{names[0]} {small}{names[1]}" if small else f"{large}{names[0]}"
