"""Times as people type them, to microseconds. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Final

from flightlog_schemas.times import parse_duration

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS_BACK: Final = {"today": 0, "yesterday": 1}


def parse_time(text: str, now_us: int) -> int:
    """Return microseconds since the epoch for a time as it is typed.

    `5m`, `2h`, `1d` lie that long before now; `today` and `yesterday` begin at midnight here; a date and
    time of RFC 3339 without offset is local, as the times that a terminal shows.

    Args:
        text: What was typed.
        now_us: What counts as now, in microseconds since the epoch.

    Raises:
        ValueError: the text is none of these.
    """
    if text in _DAYS_BACK:
        today = (_EPOCH + timedelta(microseconds=now_us)).astimezone().date()
        day = today - timedelta(days=_DAYS_BACK[text])
        return _micros(datetime.combine(day, datetime.min.time()))
    if text[:1].isdigit() and text[-1:].isalpha() and text[-1] not in "zZ":
        return max(now_us - parse_duration(text), 0)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"not a time: {text!r} (write 5m, 2h, 1d, today, yesterday, or 2026-11-21T09:30:00Z)"
        ) from None
    return max(_micros(moment), 0)


def _micros(moment: datetime) -> int:
    # astimezone takes a time without offset for a local one.
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
