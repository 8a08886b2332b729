"""Log lines and recorded events as a person reads them: aligned, folded and coloured on a terminal.

Elsewhere a line has the same parts in the same order, with whole times and ids, and the text as it is.
"""

from typing import Any, Final
from zlib import crc32

import msgspec
from msgspec import UNSET, Struct

from flightlog.cli.output import Output, width_chars
from flightlog.cli.render import LEVEL_STYLES, STATUS_STYLES, pairs_text, short_id
from flightlog.cli.text import DayClock, SecondClock, cells, fit, fold, indent, one_line
from flightlog.cli.verb import Session
from flightlog.errors import DaemonAway, QueryFailed
from flightlog_schemas.answers import LogLine
from flightlog_schemas.levels import INFO, level_name, level_number
from flightlog_schemas.times import duration_text
from flightlog_schemas.wire.reply import Pruned, Recorded

_ENVELOPE: Final = frozenset(
    {
        "type",
        "execution_id",
        "time",
        "id",
        "trace_id",
        "span_id",
        "v",
        "provenance",
        "expect_seq",
        "owner",
        "clock",
    }
)
"""Fields of an event that a line of `tail` shows elsewhere, or not at all."""

_NAMING: Final = ("execution.created", "execution.started")

_ROOMY_CHARS: Final = 100
"""From this width on a line has room for milliseconds."""

_WIDE_CHARS: Final = 120
"""From this width on it has room for an execution's id beside its name."""

_LEAST_ROOM_CHARS: Final = 24
"""With less room than this beside the columns, text goes on below them instead."""

_STACK_ROOM_CHARS: Final = 80
"""With less room than this beside the columns, stacks stand below them, where their lines are whole."""

_LEAST_COLUMN_CHARS: Final = 8

_EXECUTION_STYLES: Final = ("cyan", "green", "magenta", "blue", "yellow")

_NAMES_LIMIT: Final = 10_000
"""Executions whose names are remembered; then they are learned anew."""


class Names:
    """Names of executions: learned from what is shown, else asked for, once each.

    Args:
        session: Where the daemon is.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._names: dict[str, str | None] = {}

    def learn(self, execution_id: str, name: str | None) -> None:
        """Note a name, or that there is none."""
        if len(self._names) >= _NAMES_LIMIT:
            self._names.clear()
        self._names[execution_id] = name

    def __call__(self, execution_id: str) -> str | None:
        """Return the name of an execution, None where it has none or nobody can tell."""
        if execution_id not in self._names:
            try:
                found = self._session.daemon.execution(execution_id)
                self.learn(execution_id, found.name if found.execution_id == execution_id else None)
            except DaemonAway:
                return None
            except QueryFailed:
                self.learn(execution_id, None)
        return self._names[execution_id]


Block = tuple[str, str, str]
"""Head, its colour, and the text below it."""


class Line(Struct):
    """One line to be shown, before it is laid out.

    Attributes:
        time: Microseconds since the epoch.
        level: A level's name, or EVENT.
        style: Colour of the level.
        execution_id: Shown where lines of several are mixed.
        label: `[source] [task]`, or less.
        text: The message, any number of lines.
        text_style: Its colour.
        fields: What is told beside the message.
    """

    time: int
    level: str
    style: str | None
    execution_id: str | None
    label: str
    text: str
    text_style: str | None
    fields: dict[str, Any] | None = None


class Layout:
    """Lays lines out, one after the other.

    On a terminal the columns only ever grow, up to a part of its width: they do not jump back and forth.

    Args:
        output: Where the lines go.
        names: Names of executions; None where all lines are of one, which goes without saying.
    """

    def __init__(self, output: Output, names: Names | None) -> None:
        self._output = output
        self._names = names
        self._time = SecondClock()
        self._day_time = DayClock()
        self._day = self._day_time(output.now_us)[0]
        self._execution_chars = 0
        self._label_chars = 0

    def __call__(self, line: Line) -> str:
        """Return a line as it is to be written, without the newline at its end."""
        return self._for_terminal(line) if self._output.terminal else self._for_program(line)

    def _for_program(self, line: Line) -> str:
        paint = self._output.paint
        head = f"{paint(self._time(line.time), 'dim')} {paint(f'{line.level:<5}', line.style)}"
        if self._names is not None and line.execution_id is not None:
            head += f" {paint(line.execution_id, 'dim')}"
        if line.label:
            head += f" {line.label}"
        return f"{head} {paint(indent(line.text), line.text_style)}"

    def _for_terminal(self, line: Line) -> str:
        paint, width = self._output.paint, width_chars()
        day, time = self._day_time(line.time)
        if width < _ROOMY_CHARS:
            time = time[:8]
        head = f"{paint(time, 'dim')} {paint(f'{line.level:<5}', line.style)} "
        margin = len(time) + 7
        if self._names is not None:
            shown = self._execution(line.execution_id, wide=width >= _WIDE_CHARS)
            most = max(16, width // 5)
            self._execution_chars = max(self._execution_chars, min(cells(shown), most), _LEAST_COLUMN_CHARS)
            text = fit(shown, self._execution_chars)
            head += f"{paint(text, _style_of(line.execution_id))} "
            margin += self._execution_chars + 1
        label = one_line(line.label)
        if label:
            most = min(max(10, width // 6), 24)
            self._label_chars = max(self._label_chars, min(cells(label), most), _LEAST_COLUMN_CHARS)
        if self._label_chars:
            head += f"{paint(fit(label, self._label_chars), 'dim' if label else None)} "
            margin += self._label_chars + 1
        if width - margin < _LEAST_ROOM_CHARS:
            head, margin = f"{head.rstrip()}\n    ", 4
        text = head + ("\n" + " " * margin).join(self._body(line, width - margin))
        blocks, _ = _blocks(line.fields or {})
        if blocks:
            indent_chars = margin if width - margin >= _STACK_ROOM_CHARS else 4
            below = "\n" + " " * indent_chars
            text += below + below.join(self._told(blocks, width - indent_chars))
        if day != self._day:
            self._day = day
            text = f"{paint(f'── {day} ──', 'dim')}\n{text}"
        return text

    def _execution(self, execution_id: str | None, *, wide: bool) -> str:
        if execution_id is None or self._names is None:
            return "-"
        name = self._names(execution_id)
        short = short_id(execution_id)
        if name is None or name == execution_id:
            return one_line(short)
        return one_line(f"{short} {name}" if wide else name)

    def _body(self, line: Line, room: int) -> list[str]:
        """Return message and short fields as lines of at most `room` columns."""
        paint, safe = self._output.paint, self._output.safe
        plain = [part for text in _split(safe(line.text)) for part in fold(text, room)]
        body = [paint(part, line.text_style) for part in plain]
        if not line.fields:
            return body
        _, rest = _blocks(line.fields)
        pairs = pairs_text(rest)
        if not pairs:
            return body
        if len(plain) == 1 and cells(plain[0]) + 2 + cells(pairs) <= room:
            return [body[0] + "  " + paint(pairs, "dim")]
        return body + [paint(part, "dim") for part in fold(pairs, room)]

    def _told(self, blocks: list[Block], room: int) -> list[str]:
        """Return what stands on lines of its own as lines of at most `room` columns."""
        paint, safe = self._output.paint, self._output.safe
        told: list[str] = []
        for head, style, text in blocks:
            told += [paint(part, style) for whole in _split(safe(head)) for part in fold(whole, room)]
            told += [paint(part, "dim") for whole in _split(safe(text)) for part in fold(whole, room)]
        return told


def _split(text: str) -> list[str]:
    """Return the lines of a text for a terminal; one that ends with a newline has no empty last line."""
    return [line.expandtabs(8) for line in text.rstrip("\n").split("\n")]


def _blocks(fields: dict[str, Any]) -> tuple[list[Block], dict[str, Any]]:
    """Return (head, style, text) of what is shown on lines of its own, stacks above all, and the rest."""
    blocks: list[Block] = []
    rest: dict[str, Any] = {}
    for key, value in fields.items():
        if isinstance(value, str) and "\n" in value.rstrip("\n"):
            blocks.append((f"{key}:", "dim", value))
        elif isinstance(value, dict) and isinstance(value.get("stack"), str):
            said = ": ".join(str(value[name]) for name in ("type", "message") if value.get(name))
            blocks.append((f"{key}: {said}", "red", value["stack"]))
        else:
            rest[key] = value
    return blocks, rest


def _style_of(execution_id: str | None) -> str:
    if execution_id is None:
        return "dim"
    return _EXECUTION_STYLES[crc32(execution_id.encode()) % len(_EXECUTION_STYLES)]


def _label(source: str | None, task_id: str | None) -> str:
    if source is None:
        return "" if task_id is None else f"[{task_id}]"
    return f"[{source}]" if task_id is None else f"[{source}] [{task_id}]"


class LogText:
    """Log lines as `TIME LEVEL [source] [task] message`.

    Args:
        output: Where they go.
        names: As `Layout` takes it.
    """

    def __init__(self, output: Output, names: Names | None) -> None:
        self._layout = Layout(output, names)

    def __call__(self, line: LogLine) -> str:
        """Return a line without the newline at its end."""
        style = LEVEL_STYLES.get(line.level)
        return self._layout(
            Line(
                line.time,
                line.level,
                style,
                line.execution_id,
                _label(line.source, line.task_id),
                line.message,
                style,
                line.fields,
            )
        )


class RecordedText:
    """Recorded events as lines: time, level, execution, source and task, then the message or the payload.

    Args:
        output: Where they go.
        names: As `Layout` takes it.
        bare: The text alone.
    """

    def __init__(self, output: Output, names: Names | None, *, bare: bool) -> None:
        self._output = output
        self._names = names
        self._layout = Layout(output, names)
        self._bare = bare
        self._decode = msgspec.json.Decoder(dict[str, Any]).decode

    def __call__(self, recorded: Recorded) -> str:
        """Return what is shown of an event, without the newline at its end."""
        event = self._decode(recorded.event)
        if recorded.execution_id is not UNSET:
            event["execution_id"] = recorded.execution_id
        event_type = event["type"]
        fields = task_id = None
        if event_type == "log":
            task_id = event.get("task_id")
            level = level_name(level_number(event.get("level", "INFO")) or INFO)
            style = text_style = LEVEL_STYLES[level]
            text, fields = event["message"], event.get("fields")
            source = event.get("source")
        else:
            level, style, text_style, source = "EVENT", "cyan", None, None
            outcome = event.get("outcome") or event.get("status")
            if isinstance(outcome, str):
                text_style = STATUS_STYLES.get(outcome)
            if self._names is not None and isinstance(event.get("name"), str) and event_type in _NAMING:
                self._names.learn(event["execution_id"], event["name"])
            told = {key: value for key, value in event.items() if key not in _ENVELOPE}
            if self._output.terminal and not self._bare:
                task_id = told.pop("task_id", None)
                if isinstance(told.get("duration_us"), int):
                    told["duration"] = duration_text(told.pop("duration_us"))
                if isinstance(told.get("error"), dict):
                    fields = {"error": told.pop("error")}
            text = f"{event_type} {pairs_text(told)}".rstrip()
        if self._bare:
            return indent(self._output.safe(text))
        time = event.get("time")
        return self._layout(
            Line(
                recorded.received if time is None else time,
                level,
                style,
                event.get("execution_id"),
                _label(source if isinstance(source, str) else None, task_id),
                text,
                text_style,
                fields if isinstance(fields, dict) else None,
            )
        )


def pruned_text(pruned: Pruned) -> str:
    """Return a line for a hole that governance left."""
    return f"-- {pruned.first_seq} to {pruned.last_seq} were pruned: {pruned.reason} --"
