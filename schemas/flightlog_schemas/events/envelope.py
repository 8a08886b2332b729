"""The envelope: the fields that every event carries, whatever it tells."""

from typing import Any, Literal

from msgspec import Struct

from flightlog_schemas.limits import Count, Id, Micros, SpanId, TraceId

Provenance = Literal["live", "backfill", "import", "relay"]


class Event(Struct, kw_only=True, omit_defaults=True, gc=False):
    """One fact, as its producer tells it: a JSON object on one line, tagged by `type`.

    Attributes:
        execution_id: The stream; which run this belongs to.
        time: Microseconds since the epoch by the producer's clock; None means when it was received.
        id: Key for resends beyond a connection: from one uid, the same key is stored once, for ever.
        task_id: Which task within the execution.
        agent_id: Which agent within the execution.
        trace_id: W3C trace-id; constant over the retries of a task.
        span_id: W3C parent-id; new for each attempt.
        causation_id: The event that caused this one.
        v: Version of this type's payload.
        provenance: How it came here.
        expect_seq: The execution's `state_seq` as the producer saw it (0: must not exist yet); when it
            has moved on, the event is refused with `conflict`.
        scrubbed: Whether personal data was taken out of its texts.
    """

    execution_id: Id | None = None
    time: Micros | None = None
    id: Id | None = None
    task_id: Id | None = None
    agent_id: Id | None = None
    trace_id: TraceId | None = None
    span_id: SpanId | None = None
    causation_id: Id | None = None
    v: Count = 1
    provenance: Provenance = "live"
    expect_seq: Count | None = None
    scrubbed: bool | None = None


class UserEvent(Event, kw_only=True):
    """An event of a user's own type: only the envelope is known here, the rest is kept as it came."""

    type: Id
    scrubbed: Any = None
    """Theirs, where they have a field of that name."""


class ErrorInfo(Struct, kw_only=True, omit_defaults=True, gc=False):
    """What went wrong.

    Attributes:
        message: One sentence for a person.
        type: The kind of error, such as an exception's class name.
        stack: The stack as text.
        stack_hash: SHA-256 of the normalised stack, to group by.
    """

    message: str
    type: str | None = None
    stack: str | None = None
    stack_hash: str | None = None


def tag_of(event_type: type[Event]) -> str:
    """Return the `type` of an event class: `tag_of(Log) == "log"`."""
    tag = event_type.__struct_config__.tag
    assert isinstance(tag, str), event_type
    return tag


def type_of(event: Event) -> str:
    """Return the `type` of an event, also of a user's own."""
    return event.type if isinstance(event, UserEvent) else tag_of(type(event))
