"""What commands that change an execution share: append where nothing came between, look at the effect."""

from msgspec.structs import replace

from flightlog.clock import now_us
from flightlog.daemon import Daemon
from flightlog.errors import Refusal
from flightlog.query import Connection
from flightlog_schemas.answers import AuditEntry, Execution
from flightlog_schemas.events.envelope import Event, type_of
from flightlog_schemas.wire.query import Audit, Inspect

_ENTRIES_LIMIT = 20
"""Enough to find the entries of one event behind those of a few that do not move the state."""


def change(daemon: Daemon, event: Event, state_seq: int) -> Execution:
    """Append an event for an execution as it was seen, and return the execution as it is after that.

    Args:
        daemon: Where.
        event: What to append; it gets the time of now.
        state_seq: The execution's `state_seq` when it was decided that the event makes sense.

    Raises:
        Conflict: the execution has changed since; nothing was written.
        Refusal: recorded, but it changes nothing, because the execution belongs to somebody else.
        AppendRefused: a value that no event may have.
        DaemonAway: nobody listens, or the outcome is unknown.
    """
    assert event.execution_id is not None
    seq = daemon.write(replace(event, time=now_us(), expect_seq=state_seq))
    with daemon.ask() as connection:
        anomaly = _anomaly(connection, event, state_seq, seq)
        if anomaly is not None:
            raise Refusal(
                f"recorded, but it changes nothing: {anomaly}", f"flightlog audit {event.execution_id}"
            )
        return connection.one(Inspect(execution_id=event.execution_id, min_seq=seq), Execution)


def _anomaly(connection: Connection, event: Event, state_seq: int, seq: int) -> str | None:
    """Return why an event that was appended does not count, None if it does.

    It was the first to move the state after `state_seq`. What else may have left entries since then is told
    from it by its type, for only an anomaly of such an event could stand before it.
    """
    request = Audit(execution_id=event.execution_id, after=state_seq, limit=_ENTRIES_LIMIT, min_seq=seq)
    for entry in connection.all(request, AuditEntry):
        told_of = (entry.detail or {}).get("event") if entry.event_type == "ANOMALY" else type_of(event)
        if told_of == type_of(event):
            return entry.reason if entry.event_type == "ANOMALY" else None
    return None
