"""Days, and the stretches of 32 of them that sums over long times are read by. Pure.

Both are numbers in one column: days are counted from 0, that of the Unix epoch; stretch n (days 32 n to
32 n + 31) is -1 - n. A sum over any days then takes a row for each stretch that is inside, and at most 62 for
single days at its ends.
"""

from typing import Final

DAY_US: Final = 86_400_000_000
_STRETCH_DAYS: Final = 32


def day_of(time: int) -> int:
    """Return the day, in UTC, of a time in microseconds since the epoch."""
    return time // DAY_US


def stretch_of(day: int) -> int:
    """Return the stretch that a day is in."""
    return -1 - day // _STRETCH_DAYS


def widened(first_day: int, last_day: int, lowest: int, highest: int) -> tuple[int, int]:
    """Return some days with the rest of their stretches, where these lie between two bounds as well."""
    first, end = first_day // _STRETCH_DAYS * _STRETCH_DAYS, (last_day // _STRETCH_DAYS + 1) * _STRETCH_DAYS
    return first if first >= lowest else first_day, end - 1 if end - 1 <= highest else last_day


def ranges(first_day: int, last_day: int) -> list[tuple[int, int]]:
    """Return what covers some days, each exactly once: lowest and highest period of each range.

    Args:
        first_day: The first.
        last_day: The last, included.
    """
    first, end = -(-first_day // _STRETCH_DAYS), (last_day + 1) // _STRETCH_DAYS
    if first >= end:
        return [(first_day, last_day)] if first_day <= last_day else []
    found = [(first_day, first * _STRETCH_DAYS - 1), (end * _STRETCH_DAYS, last_day)]
    return [(-end, -1 - first), *((low, high) for low, high in found if low <= high)]
