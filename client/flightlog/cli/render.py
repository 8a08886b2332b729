"""Executions, log lines and recorded events as a person reads them."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from flightlog.cli.output import Output
from flightlog.cli.text import cut, indent, one_line
from flightlog_schemas.answers import Execution, LogLine, TaskAttempt
from flightlog_schemas.levels import INFO, level_name, level_number
from flightlog_schemas.times import duration_text
from flightlog_schemas.wire.query import Pruned, Recorded

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

_ENVELOPE: Final = frozenset(
    {"type", "execution_id", "time", "id", "trace_id", "span_id", "v", "provenance", "expect_seq", "owner"}
)
"""Fields of an event that a line of `tail` shows elsewhere, or not at all."""

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


class RecordedText:
    """Recorded events as lines: `short` with time, level, execution and source, `cat` the text alone.

    Args:
        output: Where the lines go.
        short: Whether the text alone is not enough.
    """

    def __init__(self, output: Output, *, short: bool) -> None:
        self._output = output
        self._short = short
        self._decode = msgspec.json.Decoder(dict[str, Any]).decode

    def __call__(self, recorded: Recorded) -> str:
        """Return the line for an event."""
        output, event = self._output, self._decode(recorded.event)
        event_type = event["type"]
        if event_type == "log":
            level = level_name(level_number(event.get("level", "INFO")) or INFO)
            style, text = LEVEL_STYLES[level], indent(output.safe(event["message"]))
        else:
            level, style, text = "EVENT", "cyan", output.safe(_summary(event_type, event))
        if not self._short:
            return text
        time, execution, source = event.get("time"), event.get("execution_id"), event.get("source")
        head = output.paint(output.time(recorded.received if time is None else time), "dim")
        head += f" {output.paint(f'{level:<5}', style)}"
        if execution is not None:
            head += f" {output.paint(short_id(execution) if output.terminal else execution, 'dim')}"
        if isinstance(source, str) and event_type == "log":
            head += f" [{output.safe(source)}]"
        return f"{head} {output.paint(text, style if event_type == 'log' else None)}"


def pruned_text(pruned: Pruned) -> str:
    """Return a line for a hole that governance left."""
    return f"-- {pruned.first_seq} to {pruned.last_seq} were pruned: {pruned.reason} --"


def _summary(event_type: str, event: dict[str, Any]) -> str:
    """Return an event that is no log line as `TYPE key=value ...`."""
    told = {key: value for key, value in event.items() if key not in _ENVELOPE}
    return f"{event_type} {pairs_text(told)}".rstrip()


def pairs_text(pairs: dict[str, Any]) -> str:
    """Return what is known of some pairs as `key=value ...`; what is no plain word is JSON, cut if long."""
    parts = []
    for key, value in pairs.items():
        if value is None:
            continue
        plain = isinstance(value, str) and value.isprintable() and value and " " not in value
        text = value if plain else one_line(msgspec.json.encode(value).decode())
        parts.append(f"{key}={cut(text, _VALUE_LIMIT_CHARS)}")
    return " ".join(parts)
