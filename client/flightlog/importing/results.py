"""One result of a task to one event, its end with all that is known of its beginning, in an execution.

| field | becomes |
|---|---|
| `task_id` | the task |
| `task_name` | its name |
| `started_at`, `completed_at` | when it began and ended; RFC 3339, or seconds, milliseconds, microseconds |
| `success` | the outcome: succeeded or failed |
| `response` | outputs; `{"response": ...}` where it is no object |
| `error` | the error: a text, or an object with `message`, `type`, `stack` |
| `metadata` | kept in `task.ended`; `slug`, `task_type`, `inputs`, `agent_id` also where they belong |

These may stand beside them or in `metadata`: `trace_id`, `span_id`, `attempt`, `retry_of` as events have
them; `execution_id` of an execution that is in the log already: nothing but the task is told of it; `run_id`,
whose tasks are the execution `backfill-RUN`. All others are in one execution a day,
`backfill-UID-2026-11-21`, of the day (UTC) on which they began.
"""

import os
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from flightlog.encode import encode_line
from flightlog.importing.keys import as_id, digest, key_of, span_of
from flightlog.importing.moments import moment_us
from flightlog.importing.shorten import cut_text, cut_value
from flightlog_schemas.codec import is_id
from flightlog_schemas.events import ErrorInfo, TaskEnded
from flightlog_schemas.limits import LINE_LIMIT_BYTES, Id, SpanId, TraceId
from flightlog_schemas.times import rfc3339

_MESSAGE_LIMIT_CHARS: Final = 10_000
_STACK_LIMIT_CHARS: Final = 100_000
_TEXT_LIMIT_CHARS: Final = 50_000
_VALUE_LIMIT_CHARS: Final = 120_000
"""Of a value that does not fit into a line: six bytes a character at the worst."""

_VALUES: Final = ("inputs", "outputs", "metadata")
"""What is cut then."""

_NO_MESSAGE: Final = "it failed and said nothing of why"


class ResultError(Exception):
    """A result cannot be told; the message says why."""


class _Extra(Struct):
    """What may stand beside the others or in `metadata`."""

    execution_id: Id | None = None
    run_id: str | int | None = None
    trace_id: TraceId | None = None
    span_id: SpanId | None = None
    attempt: Annotated[int, Meta(ge=1, le=2**31)] | None = None
    retry_of: SpanId | None = None
    agent_id: Id | None = None
    slug: str | None = None
    task_type: str | None = None
    inputs: dict[str, Any] | None = None


class _Result(_Extra, kw_only=True):
    task_id: Id
    started_at: int | float | str
    completed_at: int | float | str
    success: bool
    task_name: str | None = None
    response: Any = None
    error: Any = None
    metadata: dict[str, Any] | None = None


class _Ended(TaskEnded, kw_only=True, tag="task.ended"):
    """An attempt with all that the file says of it."""

    metadata: dict[str, Any] | None = None


class Told(Struct):
    """A result as events.

    Attributes:
        execution_id: Where it is.
        announced: The execution is one of ours, to be announced and ended; else it is in the log already.
        started_at: Microseconds since the epoch.
        completed_at: Likewise.
        succeeded: How it ended.
        line: Its event.
    """

    execution_id: str
    announced: bool
    started_at: int
    completed_at: int
    succeeded: bool
    line: bytes


_decode = msgspec.json.Decoder(_Result).decode


def tell_result(data: bytes | msgspec.Raw) -> Told:
    """Return one JSON object as the events of a task.

    Raises:
        ResultError: it is no result, or one that makes no sense.
    """
    try:
        result = _decode(data)
        extra = result if result.metadata is None else _with_metadata(result, result.metadata)
        started_at = _moment("started_at", result.started_at)
        completed_at = _moment("completed_at", result.completed_at)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ResultError(_reason(error)) from None
    if completed_at < started_at:
        raise ResultError(
            f"completed_at: {rfc3339(completed_at)} is before started_at, {rfc3339(started_at)}"
        )
    for name in ("task_id", "execution_id", "agent_id"):
        value = getattr(extra, name, None) or getattr(result, name)
        if value is not None and not is_id(value):
            raise ResultError(f"{name}: an id is 1 to 128 printable characters without white space")
    attempt = extra.attempt or 1
    identity = digest(result.task_id, started_at, attempt, extra.span_id or "")
    ended = _Ended(
        execution_id=extra.execution_id or _execution_of(extra.run_id, started_at),
        task_id=result.task_id,
        agent_id=extra.agent_id,
        trace_id=extra.trace_id,
        span_id=extra.span_id or span_of(identity),
        provenance="backfill",
        id=key_of("backfill", identity, "ended"),
        time=completed_at,
        outcome="succeeded" if result.success else "failed",
        error=None if result.success and result.error is None else _error(result.error),
        outputs=_outputs(result.response),
        duration_us=completed_at - started_at,
        started_at=started_at,
        name=result.task_name,
        slug=extra.slug,
        task_type=extra.task_type,
        attempt=attempt,
        retry_of=extra.retry_of,
        inputs=extra.inputs,
        metadata=result.metadata,
    )
    return Told(
        execution_id=ended.execution_id,
        announced=extra.execution_id is None,
        started_at=started_at,
        completed_at=completed_at,
        succeeded=result.success,
        line=_line(ended),
    )


def _with_metadata(result: _Result, metadata: dict[str, Any]) -> _Extra:
    """Return what stands beside the others, filled up from the metadata."""
    found = {name: getattr(result, name) for name in _Extra.__struct_fields__}
    for name, value in found.items():
        if value is None and metadata.get(name) is not None:
            found[name] = metadata[name]
    return msgspec.convert(found, _Extra)


def _moment(name: str, value: str | float) -> int:
    try:
        return moment_us(value)
    except ValueError as error:
        raise ResultError(f"{name}: {error}") from None


def _reason(error: Exception) -> str:
    """Return what msgspec says as `field: what`."""
    what, _, where = str(error).partition(" - at `")
    place = where.rstrip("`").removeprefix("$").removeprefix(".")
    if what.startswith("Object missing required field "):
        return f"{what.split('`')[1]}: missing"
    return f"{place}: {what[:1].lower()}{what[1:]}" if place else what


def _execution_of(run_id: str | int | None, started_at: int) -> str:
    if run_id is not None:
        return as_id(f"backfill-{run_id}")
    return f"backfill-{os.getuid()}-{rfc3339(started_at)[:10]}"


def _error(error: Any) -> ErrorInfo:
    if isinstance(error, dict):
        message, kind = error.get("message"), error.get("type")
        stack = error.get("stack") or error.get("traceback")
        if isinstance(message, str):
            return ErrorInfo(
                message=cut_text(message, _MESSAGE_LIMIT_CHARS) or _NO_MESSAGE,
                type=kind if isinstance(kind, str) else None,
                stack=cut_text(stack, _STACK_LIMIT_CHARS) if isinstance(stack, str) else None,
            )
    if error is None or error == "":
        return ErrorInfo(message=_NO_MESSAGE)
    text = error if isinstance(error, str) else msgspec.json.encode(error).decode()
    return ErrorInfo(message=cut_text(text, _MESSAGE_LIMIT_CHARS))


def _outputs(response: Any) -> dict[str, Any] | None:
    if response is None or isinstance(response, dict):
        return response
    return {"response": response}


def _line(event: _Ended) -> bytes:
    """Return an event's line; where it is too long, its values are cut and say so."""
    line = encode_line(event)
    if line is not None and len(line) > LINE_LIMIT_BYTES:
        for name in _VALUES:
            room = _VALUE_LIMIT_CHARS // len(_VALUES)
            setattr(event, name, cut_value(getattr(event, name), _TEXT_LIMIT_CHARS, room))
        line = encode_line(event)
    if line is None or len(line) > LINE_LIMIT_BYTES:
        raise ResultError("it does not fit into a line, or holds what JSON cannot say")
    return line
