"""Executions, log lines and values as a person reads them."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from flightlog.cli.output import Output
from flightlog.cli.text import cut, indent, one_line
from flightlog_schemas.answers import Execution, LogLine, TaskAttempt
from flightlog_schemas.times import duration_text

STATUS_STYLES: Final = {
    "pending": "dim",
    "running": "cyan",
    "waiting": "blue",
    "succeeded": "green",
    "partial": "yellow",
    "failed": "red",
    "cancelled": "yellow",
    "timed_out": "red",
    "lost": "magenta",
}
AGENT_STYLES: Final = {"active": "cyan", "completed": "green", "failed": "red"}
LEVEL_STYLES: Final = {
    "TRACE": "dim",
    "DEBUG": "dim",
    "INFO": None,
    "WARN": "yellow",
    "ERROR": "red",
    "FATAL": "reverse red",
}

FOUND_STYLE: Final = "bold red"
"""What was searched for, as grep shows it."""

Pieces = Callable[[str], Iterable[tuple[str, bool]]]

_VALUE_LIMIT_CHARS: Final = 120
_SHORT_ID_CHARS: Final = 16


def short_id(execution_id: str) -> str:
    """Return the beginning of a long id, which finds the execution all the same.

    Of the ids that flightlog makes, 48 bits of time and 12 random ones: executions of the same millisecond
    are told apart nearly always, and where they are not, the daemon says so.
    """
    return execution_id if len(execution_id) < 32 else execution_id[:_SHORT_ID_CHARS]


def duration(execution: Execution | TaskAttempt) -> str | None:
    """Return how long an execution or an attempt took, None while that is not known."""
    return None if execution.duration_us is None else duration_text(execution.duration_us)


def running_for(execution: Execution | TaskAttempt, now_us: int) -> str | None:
    """Return how long an execution or an attempt took, or for how long it has been running."""
    if execution.duration_us is None and execution.finished_at is None and execution.started_at is not None:
        seconds = max(now_us - execution.started_at, 0) // 1_000_000
        return f"{duration_text(seconds * 1_000_000)}…" if seconds else "<1s…"
    return duration(execution)


def error_text(attempt: TaskAttempt) -> str | None:
    """Return what went wrong with an attempt: its error, else the reason of its end."""
    error = attempt.error
    if error is None:
        return attempt.reason
    return error.message if error.type is None else f"{error.type}: {error.message}"


def log_text(line: LogLine, output: Output, pieces: Pieces | None = None) -> str:
    """Return a log line as `TIME LEVEL [source] [task] message`, continuation lines indented.

    Args:
        line: The line.
        output: Where it goes.
        pieces: Takes the message apart, True for what is to be emphasised.
    """
    style = LEVEL_STYLES.get(line.level)
    head = f"{output.paint(output.time(line.time), 'dim')} {output.paint(f'{line.level:<5}', style)}"
    for part in (line.source, line.task_id):
        if part is not None:
            head += f" [{output.safe(part)}]"
    text = indent(output.safe(line.message))
    if pieces is None:
        return f"{head} {output.paint(text, style)}"
    parts = (output.paint(part, FOUND_STYLE if found else style) for part, found in pieces(text) if part)
    return f"{head} {''.join(parts)}"


def pairs_text(pairs: dict[str, Any]) -> str:
    """Return what is known of some pairs as `key=value ...`; what is no plain word is JSON, cut if long."""
    parts = []
    for key, value in pairs.items():
        if value is None:
            continue
        plain = isinstance(value, str) and value.isprintable() and value and " " not in value
        text = value if plain else one_line(msgspec.json.encode(value).decode())
        parts.append(f"{one_line(key)}={cut(text, _VALUE_LIMIT_CHARS)}")
    return " ".join(parts)
