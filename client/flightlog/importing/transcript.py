"""What a format of transcripts is: one module of `formats`, and nothing else to change.

A transcript is what one session of an agent left behind, in one file or several. A format finds transcripts
among files and turns each into events:

| in the transcript | event |
|---|---|
| the session | `execution.started`, and `execution.ended` once it has been silent for `QUIET_AFTER_US` |
| the agent, and those that it sent | `agent.added`, `agent.updated` |
| a call of a tool | `task.started`, `task.ended`: an attempt at a task |
| the same call again after it failed | the next attempt at that task |
| a file written | `artifact.added` |
| tokens used | `agent.usage` |
| what was said | `log`, source `user`, `assistant` or `system`; thoughts at DEBUG, source `thinking` |
| anything else | `FORMAT.TYPE`, a user's own type, with all of the record |

A key is made of the session and the record, so that a file that has grown adds its new records and nothing
twice.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Final, Protocol

from msgspec import Struct

from flightlog.importing import formats
from flightlog.importing.keys import as_id, digest, key_of, span_of
from flightlog.importing.shorten import cut_text, cut_value
from flightlog_schemas.events import (
    ErrorInfo,
    Event,
    ExecutionEnded,
    Log,
    TaskEnded,
    TaskIO,
    TaskStarted,
)
from flightlog_schemas.events.execution import Outcome
from flightlog_schemas.events.task import TaskOutcome

QUIET_AFTER_US: Final = 3_600_000_000
"""Transcripts do not tell of ends: a session without a record for so long is taken as ended with its last."""

MAIN_AGENT: Final = "main"
"""The agent that a session begins with."""

TEXT_LIMIT_CHARS: Final = 20_000
"""Most of one text within inputs, outputs and unknown records."""
VALUE_LIMIT_CHARS: Final = 120_000
"""Most of such a value in all: it must fit into a line, at six bytes a character."""
MESSAGE_LIMIT_CHARS: Final = 100_000
ERROR_LIMIT_CHARS: Final = 4_000
NAME_LIMIT_CHARS: Final = 80

Told = Event | Mapping[str, Any]
"""An event; a user's own type is a mapping."""


class Transcript(Struct, frozen=True):
    """What one session left behind.

    Attributes:
        path: The file that stands for it.
        session_id: What the agent calls the session.
        others: More files of the same session.
    """

    path: Path
    session_id: str
    others: tuple[Path, ...] = ()


class NoTranscriptError(Exception):
    """A file is no transcript of this format; the message says why."""


class Format(Protocol):
    """What a module of `formats` provides."""

    @property
    def ABOUT(self) -> str:  # noqa: N802  # a module's constant
        """Whose transcripts, and where they usually are."""

    def find(self, path: Path) -> Iterator[Transcript | NoTranscriptError]:
        """Yield the transcripts that a path leads to: a file, or all in a directory."""

    def read(self, transcript: Transcript, now_us: int) -> Iterator[Told]:
        """Yield a transcript's events in order; `now_us` tells whether it has been silent for long.

        Raises:
            OSError: a file cannot be read.
        """


def format_names() -> list[str]:
    """Return the names of all formats, as they are typed."""
    return sorted(found.name.replace("_", "-") for found in iter_modules(formats.__path__))


def format_named(name: str) -> Format:
    """Return a format by one of these names."""
    module: Format = import_module(f"{formats.__name__}.{name.replace('-', '_')}")
    return module


class Call(Struct):
    """A call of a tool that has begun.

    Attributes:
        task_id: Its task: the id of the first call.
        span_id: The attempt.
        trace_id: The same over all attempts.
        attempt: Counted from 1.
        agent_id: Whose.
        tool: What was called.
        inputs: With what.
        time: When, microseconds since the epoch.
    """

    task_id: str
    span_id: str
    trace_id: str
    attempt: int
    agent_id: str
    tool: str
    inputs: dict[str, Any]
    time: int

    @property
    def same_as(self) -> str:
        """Equal for calls that are the same."""
        return digest(self.agent_id, self.tool, repr(self.inputs))


class Teller:
    """Makes the events of one session; what all formats share.

    Args:
        format_name: First word of keys and of types that are its own, such as `claude_code`.
        session_id: What the agent calls the session.
    """

    def __init__(self, format_name: str, session_id: str) -> None:
        self.execution_id = as_id(session_id)
        self._format = format_name
        self._calls: dict[str, Call] = {}
        self._failed: dict[str, Call] = {}

    def head(self, time: int, *place: object) -> dict[str, Any]:
        """Return what every event carries; `place` is where in the session it comes from."""
        return {
            "execution_id": self.execution_id,
            "time": time,
            "id": key_of(self._format, self.execution_id, *place),
            "provenance": "import",
        }

    def log(
        self,
        head: dict[str, Any],
        source: str,
        message: str,
        *,
        level: str = "INFO",
        agent_id: str | None = None,
        fields: dict[str, Any] | None = None,
    ) -> Log:
        """Return a line."""
        text = cut_text(message, MESSAGE_LIMIT_CHARS)
        return Log(**head, message=text, level=level, source=source, agent_id=agent_id, fields=fields)

    def unknown(
        self, head: dict[str, Any], kind: str, record: Any, agent_id: str | None = None
    ) -> dict[str, Any]:
        """Return what is known of no other kind, with all of it."""
        name = as_id(f"{self._format}.{'_'.join(kind.split()) or 'unknown'}")
        event = {"type": name if "." in name else f"{self._format}.{name}", **head}
        if agent_id is not None:
            event["agent_id"] = agent_id
        return event | {"record": cut_value(record, TEXT_LIMIT_CHARS, VALUE_LIMIT_CHARS)}

    def call(
        self,
        head: dict[str, Any],
        call_id: str,
        tool: str,
        inputs: dict[str, Any],
        agent_id: str,
        what: str | None,
    ) -> TaskStarted:
        """Return that a tool is called.

        Args:
            head: As `head` makes it.
            call_id: What the transcript calls it by.
            tool: Its name.
            inputs: With what.
            agent_id: Whose call.
            what: A few words on it, for lists.
        """
        span_id = span_of(self._format, self.execution_id, call_id)
        trace_id = digest("trace", self._format, self.execution_id, call_id)
        call = Call(as_id(call_id), span_id, trace_id, 1, agent_id, tool, inputs, head["time"])
        before = self._failed.pop(call.same_as, None)
        if before is not None:
            call.task_id, call.trace_id, call.attempt = before.task_id, before.trace_id, before.attempt + 1
        self._calls[call_id] = call
        return TaskStarted(
            **head,
            task_id=call.task_id,
            span_id=span_id,
            trace_id=call.trace_id,
            attempt=call.attempt,
            retry_of=None if before is None else before.span_id,
            reason=None if before is None else "the same call again after it failed",
            agent_id=agent_id,
            name=cut_text(f"{tool}: {what}", NAME_LIMIT_CHARS) if what else tool,
            slug=tool,
            task_type="tool",
            inputs=cut_value(inputs, TEXT_LIMIT_CHARS, VALUE_LIMIT_CHARS) or None,
        )

    def result(
        self,
        head: dict[str, Any],
        call_id: str,
        outcome: TaskOutcome,
        text: str,
        *,
        files: tuple[str, ...] = (),
        agent_id: str = MAIN_AGENT,
    ) -> tuple[TaskEnded, Call | None]:
        """Return that a call is over, and the call; None where the transcript has no beginning of it."""
        call = self._calls.pop(call_id, None)
        if outcome == "failed" and call is not None:
            self._failed[call.same_as] = call
        failed = outcome == "failed"
        message = cut_text(text, ERROR_LIMIT_CHARS).strip() or "it failed and said nothing of why"
        return (
            TaskEnded(
                **head,
                task_id=as_id(call_id) if call is None else call.task_id,
                span_id=span_of(self._format, self.execution_id, call_id),
                trace_id=None if call is None else call.trace_id,
                agent_id=agent_id if call is None else call.agent_id,
                outcome=outcome,
                reason=cut_text(text, NAME_LIMIT_CHARS) if outcome == "cancelled" else None,
                error=ErrorInfo(message=message, type="ToolError") if failed else None,
                outputs={"text": cut_text(text, TEXT_LIMIT_CHARS)}
                if text and outcome == "succeeded"
                else None,
                duration_us=None if call is None else max(0, head["time"] - call.time),
                io=TaskIO(files_written=files) if files else None,
            ),
            call,
        )

    def opened(self, call_id: str) -> Call | None:
        """Return a call that is not over yet."""
        return self._calls.get(call_id)

    def ended(self, time: int, outcome: Outcome) -> ExecutionEnded:
        """Return that the session is over."""
        return ExecutionEnded(
            **self.head(time, "ended"),
            outcome=outcome,
            reason="its transcript has no record after this",
        )


def title_of(text: str) -> str:
    """Return the first line of a text as a name."""
    lines = text.strip().splitlines()
    return cut_text(lines[0].strip(), NAME_LIMIT_CHARS) if lines else ""
