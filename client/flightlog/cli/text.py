"""Text for people and for other programs: safe, cut, escaped, timed. Pure."""

import re
from datetime import UTC, datetime, timedelta
from textwrap import TextWrapper
from typing import Final

from flightlog_schemas.regex import compiled
from flightlog_schemas.times import rfc3339

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_COLOURING: Final = r"\x1b\[[0-9;:]*m"
_CONTROL: Final = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\u2028\u2029"  # line and paragraph separators
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # direction marks and overrides, which reorder text
)
_TSV_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

UNKNOWN: Final = "-"
"""A value that is not known, in text. Never empty: shells that split on tabs would lose the column."""


def safe(text: str) -> str:
    r"""Return text that cannot move the cursor, recolour or reorder a terminal.

    Colour sequences go away; any other control character is shown as an escape such as `\x1b`. Newlines
    and tabs stay.
    """
    if text.isprintable():
        return text
    return compiled(_CONTROL).sub(_shown, compiled(_COLOURING).sub("", text))


def _shown(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def one_line(text: str) -> str:
    """Return text with its line ends and tabs shown as escapes, for a cell of a table."""
    return safe(text).replace("\n", "\\n").replace("\t", "\\t")


def tsv(values: list[str | None]) -> str:
    """Return one line of tab-separated values: tabs, line ends and backslashes escaped, unknown as `-`."""
    return "\t".join(UNKNOWN if value is None else value.translate(_TSV_ESCAPES) for value in values)


def cut(text: str, limit_chars: int) -> str:
    """Return text of at most `limit_chars` characters, with an ellipsis where it was cut."""
    return text if len(text) <= limit_chars else text[: limit_chars - 1] + "…"


def counted(count: int, noun: str) -> str:
    """Return a number of things: `1 task`, `2,000 tasks`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def indent(text: str, by: str = "    ") -> str:
    """Return text with every line but the first indented."""
    return text.replace("\n", "\n" + by) if "\n" in text else text


def wrap(text: str, margin_chars: int, width_chars: int) -> str:
    """Return text broken at `width_chars`, every line but the first indented by `margin_chars`.

    Spaces stay as they are, so that what was broken can be put together again.
    """
    room = max(width_chars - margin_chars, 20)
    wrapper = TextWrapper(
        room, expand_tabs=False, replace_whitespace=False, drop_whitespace=False, break_on_hyphens=False
    )
    lines = [part for line in text.split("\n") for part in wrapper.wrap(line) or [""]]
    return ("\n" + " " * margin_chars).join(lines)


class LocalClock:
    """Times as a person at this machine reads them: the time of today, date and time before.

    Args:
        now_us: What counts as now, in microseconds since the epoch.
    """

    def __init__(self, now_us: int) -> None:
        self._today = _moment(now_us).astimezone().date()
        self._second = -1
        self._text = ""

    def __call__(self, micros: int) -> str:
        """Return `04:57:33.123`, or with its date when it is another day."""
        second, rest = divmod(micros, 1_000_000)
        if second != self._second:  # lines of one second share its text: logs come by the thousand
            moment = _moment(micros).astimezone()
            pattern = "%H:%M:%S" if moment.date() == self._today else "%Y-%m-%d %H:%M:%S"
            self._second, self._text = second, moment.strftime(pattern)
        return f"{self._text}.{rest // 1000:03d}"


class SecondClock:
    """Times as RFC 3339 in UTC for programs."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def __call__(self, micros: int) -> str:
        """Return `2026-11-21T04:57:33.123456Z`."""
        second, rest = divmod(micros, 1_000_000)
        if second != self._second:  # as above
            self._second, self._text = second, rfc3339(micros)[:-7]
        return f"{self._text}{rest:06d}Z"


class DayClock:
    """Times as a person at this machine reads them, the day apart from the time."""

    def __init__(self) -> None:
        self._second = -1
        self._day = ""
        self._text = ""

    def __call__(self, micros: int) -> tuple[str, str]:
        """Return the day and the time: `Sat 2026-11-21`, `04:57:33.123`."""
        second, rest = divmod(micros, 1_000_000)
        if second != self._second:  # lines of one second share their text: they come by the thousand
            moment = _moment(micros).astimezone()
            self._second = second
            self._day, self._text = moment.strftime("%a %Y-%m-%d"), moment.strftime("%H:%M:%S")
        return self._day, f"{self._text}.{rest // 1000:03d}"


def cells(text: str) -> int:
    """Return how many columns of a terminal a text takes: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # here, for most lines are ASCII and rich takes a while to load

    return cell_len(text)


def fit(text: str, width: int) -> str:
    """Return text of exactly so many columns: padded, or cut with an ellipsis."""
    size = cells(text)
    if size > width:
        text = text[: _end_of(text, 0, max(width - 1, 1))] + "…"
        size = cells(text)
    return text + " " * (width - size)


def fold(line: str, room: int) -> list[str]:
    """Return a line as several of at most `room` columns each, broken at spaces where there are any."""
    if cells(line) <= room:
        return [line]
    found: list[str] = []
    start = 0
    while start < len(line):
        end = _end_of(line, start, room)
        if end < len(line):
            space = line.rfind(" ", start + (end - start) // 3, end + 1)
            if space > start:
                found.append(line[start:space])
                start = space + 1
                continue
        found.append(line[start:end])
        start = end
    return found


def _end_of(line: str, start: int, room: int) -> int:
    """Return where a part that begins at `start` and takes at most `room` columns ends."""
    end = min(start + room, len(line))
    if line[start:end].isascii():
        return end
    end, taken = start, 0
    while end < len(line):
        taken += cells(line[end])
        if taken > room and end > start:
            break
        end += 1
    return end


def _moment(micros: int) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        # A day before the last one, so that no time zone pushes it over.
        return datetime.max.replace(tzinfo=UTC) - timedelta(days=1)


def bytes_text(size_bytes: int) -> str:
    """Return a size as people read it: `812 B`, `4.2 KiB`, `1.3 GiB`."""
    if size_bytes < 1024:
        return f"{size_bytes} B"
    size, units = size_bytes / 1024, iter(("KiB", "MiB", "GiB"))
    unit = next(units)
    while size >= 1024 and (larger := next(units, None)) is not None:
        size, unit = size / 1024, larger
    return f"{size:.1f} {unit}"
