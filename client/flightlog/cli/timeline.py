"""A picture of when tasks ran: bars on a common axis. Pure.

    TASK               0s        1s        2s        3s        4s
    extract            ███████▌  ┊         ┊         ┊         ┊      ✗  750ms
      retry 2          ┊       ▐████████████         ┊         ┊      ✓   1.3s
    load               ┊         ┊          ▐█████████████████████▶   …   2.1s

Attempts at one task stand together, in the order in which they began; what still runs is open to the right.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from flightlog.cli.text import cut, one_line
from flightlog_schemas.answers import TaskAttempt
from flightlog_schemas.statuses import ACTIVE
from flightlog_schemas.times import duration_text

LEAST_WIDTH_CHARS: Final = 48
"""A narrower terminal gets lines that it wraps."""

_MARKS: Final = {
    "pending": "·",
    "running": "…",
    "waiting": "…",
    "succeeded": "✓",
    "failed": "✗",
    "cancelled": "⊘",
    "timed_out": "◷",
    "lost": "?",
}
"""How an attempt fared, for eyes without colour."""

_LABEL_LIMIT_CHARS: Final = 40
_TOOK_CHARS: Final = 8
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


class Line(NamedTuple):
    """A line of the picture.

    Attributes:
        label: What stands left.
        bar: The part on the axis.
        tail: Mark and duration.
        status: Of the attempt, None for the axis.
    """

    label: str
    bar: str
    tail: str
    status: str | None


def timeline(attempts: Sequence[TaskAttempt], width_chars: int, now_us: int) -> list[Line]:
    """Return the picture, its axis first.

    Args:
        attempts: Of one execution, in any order.
        width_chars: How wide the whole may be.
        now_us: Where what still runs has got to, microseconds since the epoch.
    """
    groups = _groups(attempts)
    if not groups:
        return []
    labels = [label for group in groups for label in _labels(group)]
    label_chars = min(max(len(label) for label in ("TASK", *labels)), _LABEL_LIMIT_CHARS, width_chars // 3)
    bar_chars = max(width_chars, LEAST_WIDTH_CHARS) - label_chars - _TOOK_CHARS - 5
    ordered = [attempt for group in groups for attempt in group]
    start = min(_start(attempt) for attempt in ordered)
    axis = _Axis(start, max(_end(attempt, now_us) for attempt in ordered), bar_chars)
    lines = [Line("TASK".ljust(label_chars), axis.heading(), " " * (_TOOK_CHARS + 3), None)]
    for label, attempt in zip(labels, ordered, strict=True):
        lines.append(
            Line(
                cut(label, label_chars).ljust(label_chars),
                axis.bar(attempt, now_us),
                f" {_MARKS[attempt.status]} {_took(attempt, now_us):>{_TOOK_CHARS}}",
                attempt.status,
            )
        )
    return lines


def _groups(attempts: Sequence[TaskAttempt]) -> list[list[TaskAttempt]]:
    """Return attempts by task, tasks and attempts in the order in which they began."""
    tasks: dict[str, list[TaskAttempt]] = {}
    for attempt in sorted(attempts, key=lambda one: (_start(one), one.attempt, one.seq)):
        tasks.setdefault(attempt.task_id, []).append(attempt)
    return list(tasks.values())


def _labels(group: Sequence[TaskAttempt]) -> list[str]:
    first = one_line(group[0].task_id)
    return [first, *(f"  retry {attempt.attempt}" for attempt in group[1:])]


def _start(attempt: TaskAttempt) -> int:
    return attempt.created_at if attempt.started_at is None else attempt.started_at


def _end(attempt: TaskAttempt, now_us: int) -> int:
    start = _start(attempt)
    if attempt.finished_at is not None:
        return max(start, attempt.finished_at)
    return max(start, now_us) if attempt.started_at is not None else start


def _took(attempt: TaskAttempt, now_us: int) -> str:
    if attempt.duration_us is not None:
        return duration_text(attempt.duration_us)
    if attempt.status in ACTIVE and attempt.started_at is not None:
        return duration_text(max(now_us - attempt.started_at, 0))
    return ""


class _Axis:
    """Where a time lies, in eighths of a character."""

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
        return min((time_us - self._start) * self._chars * 8 // self._span, self._chars * 8)

    def heading(self) -> str:
        """Return the labels of the ticks."""
        text = ""
        for place, offset in self._ticks.items():
            label = duration_text(offset) if offset else "0s"
            if place >= len(text) and place + len(label) <= self._chars:
                text = text.ljust(place) + label + " "
        return text[: self._chars].ljust(self._chars)

    def bar(self, attempt: TaskAttempt, now_us: int) -> str:
        """Return an attempt's bar among the ticks; one of no length is a hair."""
        cells = ["┊" if place in self._ticks else " " for place in range(self._chars)]
        first, last = self._eighths(_start(attempt)), self._eighths(_end(attempt, now_us))
        start = min(first // 8, self._chars - 1)
        if attempt.started_at is None and attempt.finished_at is None:
            cells[start] = "·"
            return "".join(cells)
        whole, rest = divmod(last, 8)
        for place in range(start, min(whole, self._chars)):
            cells[place] = "█"
        if first % 8 >= 4 and whole > start:
            cells[start] = "▐"
        if rest and whole < self._chars:
            cells[whole] = _EIGHTHS[rest] if whole > start else _EIGHTHS[max(rest - first % 8, 1)]
        elif whole == start and start < self._chars:
            cells[start] = "▏"
        if attempt.status in ACTIVE:
            cells[min(whole, self._chars - 1)] = "▶"
        return "".join(cells)
