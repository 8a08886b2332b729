"""The axis of a picture of times: its ticks, and bars between them to an eighth of a cell. Pure."""

from typing import Final

from flightlog_schemas.times import duration_text

TICK: Final = "┊"
WAITED: Final = "·"

_TICK_CHARS: Final = 10
"""About how far ticks are apart."""

_STEPS_US: Final = tuple(
    unit * factor
    for unit, factors in (
        (1, (1, 2, 5, 10, 20, 50, 100, 200, 500)),
        (1_000, (1, 2, 5, 10, 20, 50, 100, 200, 500)),
        (1_000_000, (1, 2, 5, 10, 15, 30)),
        (60_000_000, (1, 2, 5, 10, 15, 30)),
        (3_600_000_000, (1, 2, 3, 6, 12)),
        (86_400_000_000, (1, 2, 7, 14, 28, 91, 182, 364)),
    )
    for factor in factors
)
"""Distances of ticks that people count in, microseconds."""

_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_HEIGHTS: Final = " ▁▂▃▄▅▆▇█"


class Axis:
    """Where a time lies.

    Args:
        start_us: The time at its left end, microseconds since the epoch.
        end_us: The time at its right end.
        chars: How wide it is.
    """

    def __init__(self, start_us: int, end_us: int, chars: int) -> None:
        self._start = start_us
        self._span = max(end_us - start_us, 1)
        self._chars = chars
        wanted = self._span * _TICK_CHARS // chars
        self._step = next((step for step in _STEPS_US if step >= wanted), _STEPS_US[-1])
        self._ticks = {
            self._eighths(start_us + offset) // 8: offset for offset in range(0, self._span + 1, self._step)
        }

    def _eighths(self, time_us: int) -> int:
        return min(max(time_us - self._start, 0) * self._chars * 8 // self._span, self._chars * 8)

    def _cell(self, time_us: int) -> int:
        return min(self._eighths(time_us) // 8, self._chars - 1)

    def _empty(self) -> list[str]:
        return [TICK if place in self._ticks else " " for place in range(self._chars)]

    def heading(self) -> str:
        """Return the labels of the ticks."""
        text = ""
        for place, offset in self._ticks.items():
            label = duration_text(offset) if offset else "0s"
            if place >= len(text) and place + len(label) <= self._chars:
                text = text.ljust(place) + label + " "
        return text[: self._chars].ljust(self._chars)

    def bar(self, created_us: int, started_us: int | None, end_us: int, *, open_end: bool) -> str:
        """Return one attempt among the ticks; a run of no length is a hair.

        Args:
            created_us: When it was known; from here until it started, or to its end, there are dots.
            started_us: When it started, None if it never did.
            end_us: When it ended, or the present of one that has not.
            open_end: It still runs.
        """
        cells = self._empty()
        began = end_us if started_us is None else started_us
        start = self._cell(began)
        for place in range(self._cell(created_us), start + (started_us is None)):
            cells[place] = WAITED
        if started_us is None:
            return "".join(cells)
        first, last = self._eighths(began), self._eighths(end_us)
        whole, rest = divmod(last, 8)
        for place in range(start, min(whole, self._chars)):
            cells[place] = "█"
        if first % 8 >= 4 and whole > start:
            cells[start] = "▐"
        if rest and whole < self._chars:
            cells[whole] = _EIGHTHS[rest] if whole > start else _EIGHTHS[max(rest - first % 8, 1)]
        elif whole == start and start < self._chars:
            cells[start] = "▏"
        if open_end:
            cells[min(whole, self._chars - 1)] = "▶"
        return "".join(cells)

    def heights(self, counts: list[tuple[int, int, int]], most: int) -> str:
        """Return how many there are at once: in each cell the most of that time, as high as its share of all.

        Args:
            counts: From, to (microseconds since the epoch), how many.
            most: How many are as high as a line.
        """
        highest = [0] * self._chars
        for start_us, end_us, count in counts:
            first = self._cell(start_us)
            # A cell that is only touched at its left edge is the next one's.
            last = max((self._eighths(end_us) - 1) // 8, first)
            for place in range(first, min(last, self._chars - 1) + 1):
                highest[place] = max(highest[place], count)
        return "".join(_HEIGHTS[-(-count * 8 // most)] for count in highest)
