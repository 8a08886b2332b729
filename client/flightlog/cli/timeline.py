"""A picture of when tasks ran: bars on a common axis. Pure.

    TASK               0s        1s        2s        3s        4s
    AT ONCE            ▄▄▄▄▄▄▄▄  ▄▄▄▄▄▄▄▄▄██▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄      max 2
    extract            ███████▌  ┊         ┊         ┊         ┊      ✗  750ms
      retry 2          ┊       ▐████████████         ┊         ┊      ✓   1.3s
    load               ┊  ·······▐█████████████████████████████████▶  …   2.1s

Attempts at one task stand together, in the order in which they began. Dots are the time that one waited to
start; what still runs is open to the right. Durations are cut, not rounded: nothing took longer than it says
until the next figure.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from flightlog.cli.axis import Axis
from flightlog.cli.text import cells, fit, one_line
from flightlog_schemas.answers import TaskAttempt
from flightlog_schemas.statuses import ACTIVE
from flightlog_schemas.times import duration_text

LEAST_WIDTH_CHARS: Final = 48
"""A narrower terminal gets lines that it wraps."""

_MARKS: Final = {
    "pending": "·",
    "running": "…",
    "waiting": "‖",
    "succeeded": "✓",
    "failed": "✗",
    "cancelled": "⊘",
    "timed_out": "◷",
    "lost": "?",
}
"""How an attempt fared, for eyes without colour."""

_LABEL_LIMIT_CHARS: Final = 60
_NAME_LIMIT_CHARS: Final = 40
_TOOK_CHARS: Final = 8
_LEAST_SCREEN_LINES: Final = 10


class Line(NamedTuple):
    """A line of the picture.

    Attributes:
        label: What stands left.
        bar: The part on the axis.
        tail: Mark and duration.
        status: Of the attempt, None for the axis and for how many ran at once.
    """

    label: str
    bar: str
    tail: str
    status: str | None


class _Overlap(NamedTuple):
    """How attempts lie over each other in time.

    Attributes:
        counts: From, to (microseconds since the epoch), how many ran.
        most: The most at once.
        work_us: All that ran, added up.
        idle_us: How long nothing ran between the first and the last.
        alone_us: The longest that one ran with no other, by its task; None if none did.
    """

    counts: list[tuple[int, int, int]]
    most: int
    work_us: int
    idle_us: int
    alone_us: tuple[int, str] | None


def timeline(
    attempts: Sequence[TaskAttempt], width_chars: int, now_us: int, screen_lines: int | None = None
) -> list[Line]:
    """Return the picture, its axis first.

    Args:
        attempts: Of one execution, in any order.
        width_chars: How wide the whole may be.
        now_us: Where what still runs has got to, microseconds since the epoch.
        screen_lines: How high the screen is: a higher picture repeats its axis, and ends with it.
    """
    groups = _groups(attempts)
    if not groups:
        return []
    labels = [label for group in groups for label in _labels(group)]
    label_chars = min(
        max(cells(label) for label in ("AT ONCE", *labels)), _LABEL_LIMIT_CHARS, width_chars // 3
    )
    bar_chars = max(width_chars, LEAST_WIDTH_CHARS) - label_chars - _TOOK_CHARS - 5
    ordered = [attempt for group in groups for attempt in group]
    started = [attempt.started_at for attempt in ordered if attempt.started_at is not None]
    # A plan may be known for days before its first task starts: the picture begins with that.
    start = min(started or [attempt.created_at for attempt in ordered])
    axis = Axis(start, max(_end(attempt, now_us) for attempt in ordered), bar_chars)

    heading = Line(_fitted("TASK", label_chars), axis.heading(), " " * (_TOOK_CHARS + 3), None)
    lines = [heading]
    overlap = _overlap(ordered, now_us)
    if overlap.most > 1:
        most = f"max {overlap.most}"
        lines.append(
            Line(
                _fitted("AT ONCE", label_chars),
                axis.heights(overlap.counts, overlap.most),
                f"   {most:>{_TOOK_CHARS}}",
                None,
            )
        )
    room = None if screen_lines is None else max(screen_lines, _LEAST_SCREEN_LINES) - 2
    high = room is not None and len(ordered) > room
    for number, (label, attempt) in enumerate(zip(labels, ordered, strict=True), 1):
        lines.append(
            Line(
                _fitted(label, label_chars),
                axis.bar(
                    attempt.created_at,
                    attempt.started_at,
                    _end(attempt, now_us),
                    open_end=attempt.status in ACTIVE,
                ),
                f" {_MARKS[attempt.status]} {_took(attempt, now_us):>{_TOOK_CHARS}}",
                attempt.status,
            )
        )
        if high and room is not None and (number % room == 0 or number == len(ordered)):
            lines.append(heading)
    return lines


def summary(attempts: Sequence[TaskAttempt], now_us: int) -> str | None:
    """Return in words what the picture is for: how long in all, how much at once, and what it waited for.

    Args:
        attempts: Of one execution, in any order.
        now_us: Where what still runs has got to, microseconds since the epoch.
    """
    ran = [attempt for attempt in attempts if attempt.started_at is not None]
    if len(ran) < 2:
        return None
    overlap = _overlap(ran, now_us)
    whole_us = max(_end(attempt, now_us) for attempt in ran) - min(_start(attempt) for attempt in ran)
    parts = [
        f"{duration_text(whole_us)} for {duration_text(overlap.work_us)} of work",
        f"at most {overlap.most} at once",
    ]
    if overlap.idle_us:
        parts.append(f"nothing ran for {duration_text(overlap.idle_us)}")
    longest = max(ran, key=lambda attempt: _end(attempt, now_us) - _start(attempt))
    took = duration_text(_end(longest, now_us) - _start(longest))
    parts.append(f"longest: {_named(longest.task_id)} {took}")
    if overlap.alone_us is not None and overlap.most > 1:
        alone_us, task_id = overlap.alone_us
        parts.append(f"longest alone: {_named(task_id)} {duration_text(alone_us)}")
    return ", ".join(parts)


def _overlap(attempts: Sequence[TaskAttempt], now_us: int) -> _Overlap:
    """Go through all starts and ends in the order of time."""
    turns = sorted(
        (time_us, starts, number)
        for number, attempt in enumerate(attempts)
        if attempt.started_at is not None and _end(attempt, now_us) > attempt.started_at
        # At the same time ends come first: what follows at once does not overlap.
        for time_us, starts in ((attempt.started_at, True), (_end(attempt, now_us), False))
    )
    counts: list[tuple[int, int, int]] = []
    running: set[int] = set()
    alone_us: dict[int, int] = {}
    idle_us = 0
    before_us: int | None = None
    for time_us, starts, number in turns:
        if before_us is not None and time_us > before_us:
            counts.append((before_us, time_us, len(running)))
            if not running:
                idle_us += time_us - before_us
            elif len(running) == 1:
                [only] = running
                alone_us[only] = alone_us.get(only, 0) + time_us - before_us
        before_us = time_us
        (running.add if starts else running.discard)(number)
    longest = max(alone_us, key=alone_us.__getitem__, default=None)
    return _Overlap(
        counts=counts,
        most=max((count for _, _, count in counts), default=min(len(turns), 1)),
        work_us=sum((end - start) * count for start, end, count in counts),
        idle_us=idle_us,
        alone_us=None if longest is None else (alone_us[longest], attempts[longest].task_id),
    )


def _groups(attempts: Sequence[TaskAttempt]) -> list[list[TaskAttempt]]:
    """Return attempts by task, tasks and attempts in the order in which they began."""
    tasks: dict[str, list[TaskAttempt]] = {}
    for attempt in sorted(attempts, key=lambda one: (_start(one), one.attempt, one.seq)):
        tasks.setdefault(attempt.task_id, []).append(attempt)
    return list(tasks.values())


def _labels(group: Sequence[TaskAttempt]) -> list[str]:
    first = one_line(group[0].task_id)
    return [first, *(f"  retry {attempt.attempt}" for attempt in group[1:])]


def _named(task_id: str) -> str:
    text = one_line(task_id)
    return _fitted(text, min(cells(text), _NAME_LIMIT_CHARS)).rstrip()


def _fitted(label: str, width: int) -> str:
    """Return a label of exactly so many columns; of a long one both ends, for ids often begin alike."""
    if cells(label) <= width:
        return fit(label, width)
    end_chars = (width - 1) // 2
    end = label[-end_chars:]
    while cells(end) > end_chars:
        end = end[1:]
    return fit(label, width - cells(end)) + end


def _start(attempt: TaskAttempt) -> int:
    return attempt.created_at if attempt.started_at is None else attempt.started_at


def _end(attempt: TaskAttempt, now_us: int) -> int:
    """Return when an attempt ended, or the present where it has not, never before it began."""
    return max(_start(attempt), now_us if attempt.finished_at is None else attempt.finished_at)


def _took(attempt: TaskAttempt, now_us: int) -> str:
    if attempt.duration_us is not None:
        return duration_text(attempt.duration_us)
    if attempt.status in ACTIVE and attempt.started_at is not None:
        return duration_text(max(now_us - attempt.started_at, 0))
    return ""
