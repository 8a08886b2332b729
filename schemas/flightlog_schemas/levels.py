"""Log levels: names as people write them, numbers as OpenTelemetry counts them.

Source: OpenTelemetry Logs Data Model, field SeverityNumber (1..24, six ranges of four).
"""

from typing import Final

TRACE: Final = 1
DEBUG: Final = 5
INFO: Final = 9
WARN: Final = 13
ERROR: Final = 17
FATAL: Final = 21

NAMES: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
"""The six ranges in rising order; range `n` holds the numbers `4n+1` to `4n+4`."""

_BY_NAME: Final[dict[str, int]] = {name: 4 * index + 1 for index, name in enumerate(NAMES)} | {
    "WARNING": WARN,
    "ERR": ERROR,
    "CRITICAL": FATAL,
    "NOTICE": INFO + 1,
}

SPELLINGS: Final = tuple(_BY_NAME)
"""All names that are a level, in upper case."""


def level_number(level: object) -> int | None:
    """Return the OpenTelemetry severity number of a level, or None for what is not one.

    A level is a name in any case, or a number 1..24 (also written as digits in a string).
    """
    if isinstance(level, str):
        number = _BY_NAME.get(level.upper())
        if number is not None:
            return number
        if not (level.isascii() and level.isdigit() and len(level) <= 2):
            return None
        level = int(level)
    if not isinstance(level, int) or isinstance(level, bool):
        return None
    return level if 1 <= level <= 24 else None


def level_name(number: int) -> str:
    """Return the name of the range that a severity number (1..24) lies in: 10 is `INFO`."""
    return NAMES[(number - 1) // 4]
