"""`flightlog audit`: who did what to an execution, and when."""

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from flightlog.cli.options import execution_argument
from flightlog.cli.output import Output, shown
from flightlog.cli.render import pairs_text
from flightlog.cli.tables import Column
from flightlog.cli.verb import Session, json_option, verb
from flightlog.query import Connection
from flightlog_schemas.answers import AuditEntry
from flightlog_schemas.wire.query import Audit

T = TypeVar("T")


@verb("audit", "flightlog audit EXEC")
@execution_argument
@json_option
def command(session: Session, execution: str, as_json: bool) -> None:
    """Show the audit trail of an execution, oldest first.

    Who is uid:pid of the process that reported it, by the kernel's word. Piped: tab-separated seq, time,
    type, from, to, reason, uid, pid, detail.
    """
    output = session.output()
    with session.ask() as daemon:
        if as_json:
            output.json_array(shown(entry) for entry in audit_trail(daemon, execution, dict[str, Any]))
        else:
            show_audit(output, audit_trail(daemon, execution, AuditEntry))


def audit_trail(daemon: Connection, execution_id: str, kind: type[T]) -> Iterator[T]:
    """Yield the whole audit trail of an execution, page by page."""
    request = Audit(execution_id=execution_id)
    while True:
        yield from daemon.all(request, kind)
        if daemon.end is None or not daemon.end.truncated:
            return
        request = Audit(execution_id=execution_id, after=int(daemon.end.next or 0))


def show_audit(output: Output, entries: Iterator[AuditEntry]) -> None:
    """Write audit entries as a list."""
    columns: list[Column[AuditEntry]] = [
        Column(head="SEQ", value=lambda e: str(e.seq), right=True),
        Column(head="TIME", value=lambda e: output.time(e.time)),
        Column(head="EVENT", value=lambda e: e.event_type),
        Column(head="FROM", value=lambda e: e.from_state),
        Column(head="TO", value=lambda e: e.to_state),
    ]
    if output.terminal:
        columns += [
            Column(head="WHO", value=lambda e: f"{e.uid}:{e.pid}"),
            Column(head="REASON", value=_why, wraps=True),
        ]
    else:
        columns += [
            Column(head="REASON", value=lambda e: e.reason),
            Column(head="UID", value=lambda e: str(e.uid)),
            Column(head="PID", value=lambda e: str(e.pid)),
            Column(head="DETAIL", value=_detail),
        ]
    output.rows(columns, entries)


def _detail(entry: AuditEntry) -> str | None:
    return None if not entry.detail else msgspec.json.encode(entry.detail).decode()


def _why(entry: AuditEntry) -> str | None:
    return " ".join(part for part in (entry.reason, pairs_text(entry.detail or {})) if part) or None
