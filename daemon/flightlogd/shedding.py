"""Which lines of a user over a rate are not stored. Pure, but for the counting."""

from collections.abc import Sequence
from typing import Final

from flightlog_schemas.codec import RefusalError, decode_line
from flightlog_schemas.events import Event, Log
from flightlog_schemas.levels import level_name, level_number
from flightlogd.append import SHED
from flightlogd.decode import Mixed, Plain
from flightlogd.users import User

_SHED: Final = RefusalError(SHED, "its user is over a rate, and a rule sheds such lines")
_INFO: Final = level_number("INFO")


def shed_newest(
    parts: Sequence[Plain | Mixed], first_line: int, producer: str, user: User
) -> list[Plain | Mixed]:
    """Return parts of one read, without as many of their newest log lines as the user is over a rate.

    Only lines of levels that the user's rule sheds go. Each keeps its number: it is refused.

    Args:
        parts: What was read, decoded.
        first_line: The producer's number of the first line.
        producer: Whose lines these are.
        user: Over a rate.
    """
    kept: list[Plain | Mixed] = []
    last_line = first_line + sum(len(part.lines) for part in parts) - 1
    for part in reversed(parts):
        kept.append(_shed_part(part, last_line, producer, user) if user.overdrawn else part)
        last_line -= len(part.lines)
    return kept[::-1]


def _shed_part(part: Plain | Mixed, last_line: int, producer: str, user: User) -> Plain | Mixed:
    events: list[Event | RefusalError] = []
    events += part.events if isinstance(part, Mixed) else map(decode_line, part.lines)
    lines = list(part.lines)
    found = False
    for index in range(len(lines) - 1, -1, -1):
        if not user.overdrawn:
            break
        level = _level(events[index])
        if level in user.bounds.shed:
            user.shed(producer, last_line - (len(lines) - 1 - index), level, len(lines[index]))
            events[index], lines[index] = _SHED, b""
            found = True
    return Mixed(lines, events, sum(map(len, lines))) if found else part


def _level(event: Event | RefusalError) -> str | None:
    """Return the name of a log line's level range, None for what is none."""
    if not isinstance(event, Log):
        return None
    return level_name(level_number(event.level) or _INFO)  # type: ignore[arg-type]  # INFO is a level
