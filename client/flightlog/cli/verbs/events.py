"""`flightlog events`: what was recorded of one execution, event by event."""

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import click
import msgspec
from msgspec import Struct

from flightlog.cli.event_follower import EventFollower
from flightlog.cli.follow import Patience
from flightlog.cli.options import execution_argument
from flightlog.cli.output import Output
from flightlog.cli.pages import event_pages, pages
from flightlog.cli.stream import Stream
from flightlog.cli.tables import Column
from flightlog.cli.text import tsv
from flightlog.cli.verb import Session, json_option, verb
from flightlog.query import Connection
from flightlog_schemas.answers import AuditEntry
from flightlog_schemas.times import rfc3339
from flightlog_schemas.wire.lines import Events
from flightlog_schemas.wire.query import Audit
from flightlog_schemas.wire.reply import Recorded

_PHASE_CHANGES: Final = frozenset({"PHASE_CHANGE", "PHASE_SKIP", "PHASE_BLOCKED"})

_REACHED: Final = {"task.started": "running", "agent.added": "active", "execution.waiting": "waiting"}
"""What a type of event leads to that says it by its name alone."""


class Row(Struct, frozen=True):
    """One event, and what it changed."""

    recorded: Recorded
    event: dict[str, Any]
    source: str | None
    target: str | None
    reason: str | None

    @property
    def time(self) -> int:
        """When it happened by its producer's clock, or else when it was received."""
        return int(self.event.get("time", self.recorded.received))


@verb(
    "events",
    "flightlog events EXEC",
    "flightlog events EXEC --type execution. --json",
    "flightlog events EXEC -f",
)
@execution_argument
@click.option(
    "--type", "types", metavar="A,B", default="", help="Of these types; `task.` is all that begin so."
)
@click.option("--logs", is_flag=True, help="Log lines, usage and your own types, too.")
@click.option("-n", "count", type=click.IntRange(min=0), metavar="N", help="Only the last N [default: all].")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, to the execution's end.")
@json_option
def command(
    session: Session,
    execution: str,
    types: str,
    logs: bool,
    count: int | None,
    follow: bool,
    as_json: bool,
) -> None:
    """List what was recorded of an execution, oldest first.

    Piped: tab-separated seq, time, type, from, to, reason. FROM and TO are phases where it went from one to
    another, else statuses. --json has the events as they are stored beside that.

    --follow misses and doubles nothing, waits for a daemon that goes away, and ends by itself with the
    execution; with --json each event is an object on a line of its own.
    """
    request = Events(execution_id=execution, type=tuple(part for part in types.split(",") if part), logs=logs)
    output = session.output()
    with session.ask() as daemon, session.ask() as auditor:
        trail = pages(auditor, Audit(execution_id=execution), AuditEntry)
        rows = _rows(event_pages(daemon, request), trail)
        if count is not None:
            rows = iter(deque(rows, maxlen=count))
        if follow:
            _follow(session, output, request, rows, daemon, as_json=as_json)
        elif as_json:
            output.json_array(_json(row) for row in rows)
        elif not output.rows(_columns(output), rows):
            session.say("no events match")


def _follow(
    session: Session,
    output: Output,
    request: Events,
    rows: Iterator[Row],
    history: Connection,
    *,
    as_json: bool,
) -> None:
    """Write the rows that are there, then what comes, each line as soon as it is known."""
    columns = _columns(output)
    with (
        Stream() as stream,
        Patience(session, wait=stream.wait, pause=stream.pause) as daemon,
    ):

        def write(row: Row) -> None:
            if as_json:
                stream.line_bytes(output.harmless(msgspec.json.encode(_json(row))), row.recorded.seq)
            else:
                cells = [column.value(row) for column in columns]
                stream.line(output.safe("  ".join(map(str, cells))) if output.terminal else tsv(cells), 0)

        for row in rows:
            write(row)
        assert history.end is not None
        live = EventFollower(session, daemon, request, history.end.seq, stream.passed)
        for recorded, entries in live.events():
            write(_row(recorded, msgspec.json.decode(recorded.event), entries))


def _rows(events: Iterator[Recorded], trail: Iterator[AuditEntry]) -> Iterator[Row]:
    """Yield events with what the audit trail says of each; both come in the order of the log."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    entry = next(trail, None)
    for recorded in events:
        entries: list[AuditEntry] = []
        while entry is not None and entry.seq <= recorded.seq:
            if entry.seq == recorded.seq:
                entries.append(entry)
            entry = next(trail, None)
        yield _row(recorded, decode(recorded.event), entries)


def _row(recorded: Recorded, event: dict[str, Any], entries: list[AuditEntry]) -> Row:
    anomalies = [f"anomaly: {entry.reason}" for entry in entries if entry.event_type == "ANOMALY"]
    changes = [entry for entry in entries if entry.event_type != "ANOMALY"]
    steps = [entry for entry in changes if entry.event_type in _PHASE_CHANGES]
    # A step into the last phase ends the execution, too; a start may announce it. What is told is the step,
    # and where several entries follow each other, the last one.
    change = steps[0] if steps else changes[-1] if changes else None
    source = None if change is None else change.from_state
    target = None if change is None else change.to_state
    if not str(event["type"]).startswith("execution."):
        # Of what happens to an execution the audit trail tells all; of what happens in it, the event.
        told = event.get("outcome") or event.get("status")
        target = told if isinstance(told, str) else _REACHED.get(str(event["type"]))
    said = event.get("reason")
    skipped = event.get("skipped") if event["type"] == "execution.advanced" else None
    cause = event.get("cause") if event["type"] == "execution.blocked" else None
    parts = [
        cause if isinstance(cause, str) else None,
        said if isinstance(said, str) else None,
        f"skipped {', '.join(map(str, skipped))}" if isinstance(skipped, list) and skipped else None,
        *anomalies,
    ]
    return Row(recorded, event, source, target, "; ".join(part for part in parts if part) or None)


def _columns(output: Output) -> list[Column[Row]]:
    return [
        Column(head="SEQ", value=lambda row: str(row.recorded.seq), right=True),
        Column(head="TIME", value=lambda row: output.time(row.time)),
        Column(head="TYPE", value=lambda row: str(row.event["type"])),
        Column(head="FROM", value=lambda row: row.source),
        Column(head="TO", value=lambda row: row.target),
        Column(head="REASON", value=lambda row: row.reason, wraps=True),
    ]


def _json(row: Row) -> dict[str, Any]:
    """Return a row for programs: what is shown of it, who reported it, and the event as it is stored."""
    recorded = row.recorded
    return {
        "seq": recorded.seq,
        "time": rfc3339(row.time),
        "execution_id": row.event.get("execution_id"),
        "type": row.event["type"],
        "from": row.source,
        "to": row.target,
        "reason": row.reason,
        "uid": recorded.uid,
        "pid": recorded.pid,
        "event": recorded.event,
    }
